//! The list `newer`: recordings of 2019 to 2026, most with their requests, in which long base64 is cut out.

use super::play::{NAMELESS, Play, Request, Seen};
use crate::ca::Ca;
use crate::client::path;
use crate::pfx::{Pfx, RSA};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

pub(super) async fn play(seen: &mut Seen) {
    challenge(seen).await;
    failed_operation(seen).await;
    cancelled_operation(seen).await;
    placeholder(seen).await;
    deleted_operation(seen).await;
    merge(seen).await;
    refused_merge(seen).await;
    alternative_names(seen).await;
    signature(seen).await;
    secrets(seen).await;
    versions(seen).await;
    pages(seen).await;
    purge(seen).await;
    refusals(seen).await;
    import(seen).await;
}

fn simple(issuer: &str) -> Value {
    json!({"policy": {"x509_props": {"subject": "CN=DefaultPolicy"}, "issuer": {"name": issuer}}})
}

async fn challenge(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    for index in 0..2 {
        play.exchange(("newer", index), Request::recorded().anonymous()).await;
    }
}

/// The provider that rejects stands in for the one whose credentials were wrong.
async fn failed_operation(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    let issuer = json!({"provider": "Test", "credentials": {"account_id": "reject", "pwd": "test"},
        "org_details": {"id": "test"}});
    play.exchange(("newer", 2), Request::recorded().body(issuer)).await;
    play.exchange(("newer", 3), Request::recorded()).await;
    play.work("1509320617").await;
    play.exchange(("newer", 4), Request::recorded()).await;
    play.exchange(("newer", 5), Request::recorded()).await;
}

async fn cancelled_operation(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    play.client.must("POST /certificates/1910886742/create", &simple("Self").to_string()).await;
    play.exchange(("newer", 6), Request::recorded()).await;
    play.exchange(("newer", 7), Request::recorded()).await;
    play.work("1910886742").await;
    play.exchange(("newer", 8), Request::recorded()).await;
}

async fn placeholder(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    play.exchange(("newer", 9), Request::recorded()).await;
    let bundle = play.exchange(("newer", 10), Request::recorded()).await.json();
    play.exchange(("newer", 11), Request::recorded().path(path(&bundle["id"]))).await;
}

async fn deleted_operation(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    play.client.must("POST /certificates/1503984187/create", &simple("Unknown").to_string()).await;
    play.exchange(("newer", 12), Request::recorded()).await;
    play.exchange(("newer", 13), Request::recorded()).await;
}

async fn merge(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    let expected = json!({"policy": {"x509_props": {"subject": "CN=Azure SDK"},
        "issuer": {"name": "Unknown", "cert_transparency": false}}});
    let operation = play.client.must("POST /certificates/346865062/create", &expected.to_string()).await;
    let ca = Ca::new();
    let leaf = ca.sign(operation["csr"].as_str().unwrap(), 1);
    let chain = json!({"x5c": [STANDARD.encode(leaf), STANDARD.encode(ca.certificate())]});
    play.exchange(("newer", 14), Request::recorded().body(chain)).await;
    play.exchange(("newer", 15), Request::recorded()).await;
}

async fn refused_merge(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    play.client.must("POST /certificates/pending-cert/create", &simple("Unknown").to_string()).await;
    let stranger = json!({"x5c": [STANDARD.encode(Ca::new().stranger())], "attributes": {"enabled": true}});
    play.exchange(("newer", 16), Request::recorded().body(stranger)).await;
    play.exchange(("newer", 17), Request::recorded()).await;
    play.exchange(("newer", 18), Request::recorded()).await;
}

async fn alternative_names(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    play.exchange(("newer", 19), Request::recorded()).await;
    play.work("allsans1112799132").await;
    play.exchange(("newer", 20), Request::recorded()).await;
}

async fn signature(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    let mut expected = simple("Self");
    expected["policy"]["key_props"] = json!({"kty": "EC", "crv": "P-256"});
    play.client.must("POST /certificates/ec-certificate-signer/create", &expected.to_string()).await;
    play.work("ec-certificate-signer").await;
    play.exchange(("newer", 21), Request::recorded()).await;
    play.exchange(("newer", 22), Request::recorded()).await;
}

async fn secrets(seen: &mut Seen) {
    for (index, name, exportable, retention) in [(23, "1828305212", false, 7), (24, NAMELESS, true, 90)] {
        let mut play = Play::begin(seen, retention).await;
        let mut expected = simple("Self");
        expected["policy"]["key_props"] = json!({"exportable": exportable, "kty": "RSA", "key_size": 2048});
        expected["policy"]["secret_props"] = json!({"contentType": "application/x-pem-file"});
        play.client.must(&format!("POST /certificates/{name}/create"), &expected.to_string()).await;
        play.work(name).await;
        let bundle = play.client.must(&format!("GET /certificates/{name}"), "").await;
        let path = if exportable { format!("/secrets/{name}/") } else { path(&bundle["sid"]) };
        play.exchange(("newer", index), Request::recorded().path(path)).await;
    }
}

async fn versions(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    let mut expected = simple("Self");
    expected["preserveCertOrder"] = false.into();
    for name in ["testcert10239d927e4", "testcert3819283c"] {
        play.client.must(&format!("POST /certificates/{name}/create"), &expected.to_string()).await;
        play.work(name).await;
    }
    let version = play.client.must("GET /certificates/testcert10239d927e4", "").await["id"].clone();
    play.exchange(("newer", 25), Request::recorded().path(path(&version))).await;
    // The dates come back as they were read.
    let bundle = play.client.must("GET /certificates/testcert3819283c", "").await;
    let attributes = json!({"enabled": false, "nbf": bundle["attributes"]["nbf"], "exp": bundle["attributes"]["exp"]});
    let change = json!({"attributes": attributes, "tags": {}});
    play.exchange(("newer", 26), Request::recorded().path(path(&bundle["id"])).body(change)).await;
}

async fn pages(seen: &mut Seen) {
    let mut play = Play::begin(seen, 90).await;
    let completed = "listCertificateName-canlistcertificatesbypage-1";
    play.client.must(&format!("POST /certificates/{completed}/create"), &simple("Self").to_string()).await;
    play.work(completed).await;
    // The third one makes a second page.
    for name in ["mergeCertificateName-canmergeaselfsignedcertificate-572479697424075", "zzz"] {
        play.client.must(&format!("POST /certificates/{name}/create"), &simple("Unknown").to_string()).await;
    }
    let page = Request::recorded().path("/certificates?maxresults=2&includePending=true");
    play.exchange(("newer", 27), page).await;
}

async fn purge(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    play.client.must("POST /certificates/purge-certificate/create", &simple("Self").to_string()).await;
    play.work("purge-certificate").await;
    play.exchange(("newer", 28), Request::recorded()).await;
    play.exchange(("newer", 30), Request::recorded().header("accept", "*/*")).await;
}

async fn refusals(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    for index in 31..39 {
        play.exchange(("newer", index), Request::recorded()).await;
    }
}

async fn import(seen: &mut Seen) {
    let mut play = Play::begin(seen, 7).await;
    let subject = "/C=US/ST=WA/L=Redmond/O=Contoso/OU=Test/CN=Test/emailAddress=test@contoso.com";
    let body = json!({
        "value": Pfx::new(RSA, &format!("-subj {subject}")).pem(),
        "policy": {"secret_props": {"contentType": "application/x-pem-file"},
            "x509_props": {"subject": "CN=AzureSDK"}, "issuer": {"name": "Self"}},
        "attributes": {"enabled": true}, "tags": {"key": "val"},
    });
    play.exchange(("newer", 39), Request::recorded().body(body)).await;
}
