//! The list `full`: the tests of the SDK for node of 2018, with complete bodies. Their requests are not in the recording;
//! what they said follows from the answers. The vault had no soft delete.

use super::play::{Play, Request, Seen};
use crate::pfx::{P256, Pfx};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use time::macros::datetime;

pub(super) async fn play(seen: &mut Seen) {
    create_and_delete(seen).await;
    import(seen).await;
    issuers(seen).await;
    cancel_and_delete(seen).await;
    contacts(seen).await;
    policy(seen).await;
    signing_request(seen).await;
}

fn expected(issuer: &str, months: u32) -> Value {
    json!({"policy": {
        "key_props": {"exportable": true, "kty": "RSA", "key_size": 2048, "reuse_key": false},
        "secret_props": {"contentType": "application/x-pkcs12"},
        "issuer": {"name": issuer},
        "x509_props": {"subject": "CN=*.microsoft.com", "sans": {}, "validity_months": months},
    }})
}

async fn create_and_delete(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.exchange(("full", 0), Request::recorded().body(expected("Self", 24))).await;
    for index in 1..5 {
        play.exchange(("full", index), Request::recorded()).await;
    }
    play.work("nodeCertificate").await;
    play.exchange(("full", 5), Request::recorded()).await;
    play.exchange(("full", 6), Request::recorded().body(json!({"tags": {"tag1": "value1"}}))).await;
    let bundle = play.exchange(("full", 7), Request::recorded()).await.json();
    play.exchange(("full", 8), Request::recorded().path(crate::client::path(&bundle["sid"]))).await;
    play.exchange(("full", 9), Request::recorded()).await;
    play.exchange(("full", 10), Request::recorded()).await;
}

/// A certificate with the subject and the times of the one in the recording, whose key is not there.
fn key_vault_test() -> Value {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "KeyVaultTest");
    parameters.not_before = datetime!(2015-04-29 21:53:41 UTC);
    parameters.not_after = datetime!(2039-12-31 23:59:59 UTC);
    let certificate = parameters.self_signed(&key).unwrap();
    let pfx = Pfx::new(P256, "");
    pfx.write("key.pem", key.serialize_pem().as_bytes());
    pfx.write("cert.pem", certificate.pem().as_bytes());
    json!({"value": pfx.base64("123", ""), "pwd": "123"})
}

async fn import(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.exchange(("full", 11), Request::recorded().own_certificate(key_vault_test())).await;
}

fn issuer(account: &str, first_name: &str, email: &str, phone: &str) -> Value {
    json!({"provider": "test", "credentials": {"account_id": account, "pwd": "password"}, "org_details": {
        "admin_details": [{"first_name": first_name, "last_name": "Doe", "email": email, "phone": phone}]}})
}

async fn issuers(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    let jane = issuer("keyvaultuser", "Jane", "admin@contoso.com", "4256666666");
    play.exchange(("full", 12), Request::recorded().body(jane.clone())).await;
    play.exchange(("full", 13), Request::recorded()).await;
    let change = issuer("xboxuser", "Jane II", "admin@contoso2.com", "1111111111");
    play.exchange(("full", 14), Request::recorded().body(change)).await;
    for index in 15..17 {
        play.exchange(("full", index), Request::recorded()).await;
    }
    for index in 17..19 {
        play.exchange(("full", index), Request::recorded().body(jane.clone())).await;
    }
    play.exchange(("full", 19), Request::recorded()).await;
}

async fn cancel_and_delete(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.exchange(("full", 20), Request::recorded().body(expected("Self", 12))).await;
    play.exchange(("full", 21), Request::recorded().body(json!({"cancellation_requested": true}))).await;
    for index in 22..26 {
        play.exchange(("full", index), Request::recorded()).await;
    }
}

async fn contacts(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    let contacts = json!({"contacts": [
        {"email": "admin@contoso.com", "name": "John Doe", "phone": "1111111111"},
        {"email": "admin2@contoso.com", "name": "John Doe2", "phone": "2222222222"}]});
    play.exchange(("full", 26), Request::recorded().body(contacts)).await;
    for index in 27..30 {
        play.exchange(("full", index), Request::recorded()).await;
    }
}

async fn policy(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.exchange(("full", 30), Request::recorded().own_certificate(key_vault_test())).await;
    play.exchange(("full", 31), Request::recorded()).await;
    play.exchange(("full", 32), Request::recorded().body(json!({"issuer": {"name": "Self"}}))).await;
    play.exchange(("full", 33), Request::recorded()).await;
}

async fn signing_request(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.exchange(("full", 34), Request::recorded().body(expected("Unknown", 12))).await;
    play.exchange(("full", 35), Request::recorded().header("accept", "application/pkcs10")).await;
}
