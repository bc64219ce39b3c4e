//! Revoking what an issuer signed: nobody learns of names, or takes versions out of service, that his grants do not reach.

use crate::kit::{ADMIN, LONG, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

const TEAMS: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["shop-*"]

    [[grant]]
    principal = "token:other"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["billing-*"]
"#;

/// A request of this key.
fn csr(key: &rcgen::KeyPair, name: &str) -> String {
    let csr = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().serialize_request(key).unwrap();
    STANDARD.encode(csr.der())
}

/// A server with two teams and a CA.
async fn start(issuer: &str) -> Server {
    let server = Server::start(TEAMS).await;
    server.must(ADMIN, &format!("PUT /certificates/issuers/{issuer}"), r#"{"provider":"LocalCA"}"#).await;
    server
}

/// A certificate for the caller's own request; the last part of its id.
async fn issued(server: &Server, issuer: &str, caller: &str, name: &str, csr: &str) -> String {
    let body = json!({"policy": {"issuer": {"name": issuer}, "x509_props": {}}, "csr": csr}).to_string();
    server.must(caller, &format!("POST /certificates/{name}/create"), &body).await;
    let begun = Instant::now();
    loop {
        let pending = server.must(ADMIN, &format!("GET /certificates/{name}/pending"), "").await;
        if pending["status"] == "completed" {
            break;
        }
        assert!(pending["status"] == "inProgress" && begun.elapsed() < LONG, "{pending}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    version(server, name).await
}

async fn version(server: &Server, name: &str) -> String {
    let found = server.must(ADMIN, &format!("GET /certificates/{name}"), "").await;
    found["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// What a CA signed, as its log has it.
async fn log(server: &Server, issuer: &str) -> Vec<Value> {
    let log = server.must(ADMIN, &format!("GET /certificates/issuers/{issuer}/ca/issued"), "").await;
    log["value"].as_array().unwrap().clone()
}

async fn is_enabled(server: &Server, name: &str) -> bool {
    let found = server.must(ADMIN, &format!("GET /certificates/{name}"), "").await;
    found["attributes"]["enabled"].as_bool().unwrap()
}

#[tokio::test]
async fn the_other_certificates_of_a_key_are_named_only_to_whom_may_see_them() {
    let server = start("corp").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let version = issued(&server, "corp", "shop", "shop-one", &csr(&key, "one.example")).await;
    issued(&server, "corp", "shop", "shop-two", &csr(&key, "two.example")).await;
    issued(&server, "corp", "other", "billing-two", &csr(&key, "hidden.example")).await;
    let compromise = r#"{"reason":"keyCompromise"}"#;
    let path = format!("POST /certificates/shop-one/{version}/revoke");
    // A repeat answers them again.
    for _ in 0..2 {
        let said = server.must("shop", &path, compromise).await;
        let names: Vec<&Value> = said["same_key"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["shop-two"], "{said}");
    }
    let said = server.must(ADMIN, &path, compromise).await;
    assert_eq!(said["same_key"].as_array().unwrap().len(), 2, "{said}");
}

#[tokio::test]
async fn a_grant_on_the_issuer_revokes_and_disables_no_version_of_other_names() {
    let server = start("shop-ca").await;
    let key = rcgen::KeyPair::generate().unwrap();
    issued(&server, "shop-ca", "other", "billing-web", &csr(&key, "web.example")).await;
    let serial = log(&server, "shop-ca").await[0]["serial"].as_str().unwrap().to_owned();
    let path = format!("POST /certificates/issuers/shop-ca/ca/issued/{serial}/revoke");
    let refused = server.send("shop", &path, r#"{"reason":"keyCompromise","disable":true}"#).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("certificates/update/action"), "{}", refused.body);
    let log = log(&server, "shop-ca").await;
    assert!(log[0]["revocation"].is_null(), "a refusal revokes nothing: {log:?}");
    let said = server.must("shop", &path, r#"{"reason":"keyCompromise"}"#).await;
    assert_eq!(said["revocation"]["reason"], "keyCompromise", "{said}");
    assert!(is_enabled(&server, "billing-web").await);
    assert_eq!(server.send("other", &path, r#"{"reason":"keyCompromise"}"#).await.status, 403, "not its issuer");
    // Whose name it is disables it.
    let path = format!("POST /certificates/billing-web/{}/revoke", version(&server, "billing-web").await);
    server.must("other", &path, r#"{"reason":"keyCompromise","disable":true}"#).await;
    assert!(!is_enabled(&server, "billing-web").await);
}

#[tokio::test]
async fn a_role_that_may_revoke_neither_disables_nor_learns_names_by_it() {
    let server = Server::start(
        r#"
        [[grant]]
        principal = "token:shop"
        role = "Revoker"
        vault = "default"
        names = ["shop-*"]

        [[role]]
        name = "Revoker"
        actions = ["Microsoft.KeyVault/vaults/certificatecas/write"]
        "#,
    )
    .await;
    server.must(ADMIN, "PUT /certificates/issuers/shop-ca", r#"{"provider":"LocalCA"}"#).await;
    let key = rcgen::KeyPair::generate().unwrap();
    for name in ["shop-one", "shop-two"] {
        issued(&server, "shop-ca", ADMIN, name, &csr(&key, "web.example")).await;
    }
    let by_version = format!("POST /certificates/shop-one/{}/revoke", version(&server, "shop-one").await);
    let log = log(&server, "shop-ca").await;
    let one = log.iter().find(|it| it["name"] == "shop-one").unwrap();
    let by_serial = format!("POST /certificates/issuers/shop-ca/ca/issued/{}/revoke", one["serial"].as_str().unwrap());
    for path in [&by_version, &by_serial] {
        let refused = server.send("shop", path, r#"{"reason":"superseded","disable":true}"#).await;
        assert!(refused.status == 403 && refused.body.contains("certificates/update/action"), "{}", refused.body);
        let said = server.must("shop", path, r#"{"reason":"keyCompromise"}"#).await;
        assert!(said["same_key"].as_array().is_none_or(Vec::is_empty), "{said}");
        assert!(is_enabled(&server, "shop-one").await, "{path}");
    }
}

/// A certificate that says that the CA signed it, with a key and the certificate of the CA behind it, in PEM.
fn forged(ca: &[u8], serial: &[u8]) -> String {
    let (_, read) = X509Certificate::from_der(ca).unwrap();
    let mut above = rcgen::CertificateParams::default();
    above.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    above.distinguished_name = rcgen::DistinguishedName::new();
    let name = read.subject().iter_common_name().next().unwrap().as_str().unwrap();
    let name = rcgen::string::PrintableString::try_from(name).unwrap();
    above.distinguished_name.push(rcgen::DnType::CommonName, rcgen::DnValue::PrintableString(name));
    let ski = read.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    above.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(ski.unwrap());
    let mut leaf = rcgen::CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    leaf.serial_number = Some(rcgen::SerialNumber::from_slice(serial));
    leaf.use_authority_key_identifier_extension = true;
    let (own, key) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(above, own)).unwrap();
    let ca = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(ca));
    format!("{}{}{ca}", key.serialize_pem(), leaf.pem())
}

#[tokio::test]
async fn a_certificate_that_only_says_that_a_ca_signed_it_revokes_nothing_and_is_in_no_log() {
    let server = start("corp").await;
    let key = rcgen::KeyPair::generate().unwrap();
    issued(&server, "corp", "other", "billing-victim", &csr(&key, "victim.example")).await;
    let victim = log(&server, "corp").await[0].clone();
    let serial = victim["serial"].as_str().unwrap();
    let serial: Vec<u8> =
        (0..serial.len()).step_by(2).map(|at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap()).collect();
    let pem = server.send(ADMIN, "GET /certificates/issuers/corp/ca", "").await.body;
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let ca = pem.contents;
    for (name, serial) in [("shop-evil", serial.as_slice()), ("shop-other", &[0x11; 16])] {
        let body = json!({
            "value": forged(&ca, serial),
            "policy": {"secret_props": {"contentType": "application/x-pem-file"}},
        });
        let imported = server.send("shop", &format!("POST /certificates/{name}/import"), &body.to_string()).await;
        assert_eq!(imported.status, 200, "{}", imported.body);
        let path = format!("POST /certificates/{name}/{}/revoke", version(&server, name).await);
        let refused = server.send("shop", &path, r#"{"reason":"keyCompromise"}"#).await;
        assert!(refused.status == 400 && refused.body.contains("No CA of this vault signed"), "{}", refused.body);
    }
    server.service.certificate_authorities().adopt_issued(Duration::ZERO).await.unwrap();
    assert_eq!(log(&server, "corp").await, [victim]);
    assert!(is_enabled(&server, "billing-victim").await);
}
