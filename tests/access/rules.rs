//! What may be asked for: issuers and rules of grants, rules of vaults, and the ways around them.

use crate::kit::{ADMIN, LONG, Server, create, facts, policy, reason};
use crate::requested_key::RequestedKey;
use certmint::proto::v1;
use certmint::proto::v1::certificate_authority_service_client::CertificateAuthorityServiceClient as AuthorityClient;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::Code;

const SHOP: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["shop-*"]
    issuers = ["Self", "Unknown"]
    note = "shop team"
    rules = { dns = ["shop.example", "*.shop.example"], key_types = ["EC"], max_validity_months = 3, ekus = ["serverAuth", "clientAuth"] }

    [[grant]]
    principal = "token:two"
    role = "Key Vault Certificates Officer"
    vault = "*"
"#;

/// A policy for a host name, changed by what is put over it.
fn body(change: Value) -> String {
    let mut body = json!({"policy": {
        "key_props": {"kty": "EC", "exportable": false},
        "x509_props": {"subject": "CN=web.shop.example", "validity_months": 3},
        "issuer": {"name": "Unknown"},
    }});
    merge(&mut body["policy"], change);
    body.to_string()
}

fn merge(into: &mut Value, change: Value) {
    match change {
        Value::Object(members) => members.into_iter().for_each(|(name, value)| merge(&mut into[name], value)),
        value => *into = value,
    }
}

#[tokio::test]
async fn a_request_has_to_keep_to_the_rules_of_one_grant() {
    let server = Server::start(SHOP).await;
    server.must("shop", "POST /certificates/shop-1/create", &body(json!({}))).await;
    for (change, member, value) in [
        (json!({"x509_props": {"subject": "CN=evilshop.example"}}), "policy.x509_props.subject", "CN=evilshop.example"),
        (
            json!({"x509_props": {"sans": {"dns_names": ["a.example"]}}}),
            "policy.x509_props.sans.dns_names",
            "a.example",
        ),
        (json!({"x509_props": {"validity_months": 4}}), "policy.x509_props.validity_months", "4 (at most 3)"),
        (json!({"key_props": {"kty": "RSA"}}), "policy.key_props.kty", "RSA"),
        (json!({"key_props": {"exportable": true}}), "policy.key_props.exportable", "true"),
        (json!({"key_props": {"reuse_key": true}}), "policy.key_props.reuse_key", "true"),
        (json!({"issuer": {"name": "corp"}}), "policy.issuer.name", "corp"),
    ] {
        let reply = server.send("shop", "POST /certificates/shop-2/create", &body(change.clone())).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, error["code"].as_str()), (403, Some("Forbidden")), "{change}: {}", reply.body);
        assert_eq!(error["innererror"]["code"], "ForbiddenByPolicy", "{change}");
        let message = format!(
            "Property {member} has a value that is not allowed. {value} is not allowed by the grant (shop team)."
        );
        assert_eq!(error["message"], message, "{change}");
    }
    let refused = server.client("shop").create_certificate(create("shop-2", "Unknown")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "REQUEST_NOT_ALLOWED"));
    assert_eq!(facts(&refused).get("innerCode").map(String::as_str), Some("ForbiddenByPolicy"));
    server.must("two", "POST /certificates/shop-2/create", &policy("Unknown")).await;
}

#[tokio::test]
async fn the_policy_is_no_way_around_the_rules() {
    let server = Server::start(SHOP).await;
    server.must("shop", "POST /certificates/shop-1/create", &body(json!({}))).await;
    let wider = json!({"x509_props": {"subject": "CN=bank.example"}});
    for (request, body) in [
        ("PATCH /certificates/shop-1/policy", wider.to_string()),
        ("PATCH /certificates/shop-1", json!({"policy": wider}).to_string()),
    ] {
        let reply = server.send("shop", request, &body).await;
        assert_eq!(reply.status, 403, "{request}: {}", reply.body);
        assert!(reply.body.contains("ForbiddenByPolicy"), "{}", reply.body);
    }
    server.must("shop", "DELETE /certificates/shop-1/pending", "").await;
    // The stored policy is held against the rules too.
    server.must(ADMIN, "PATCH /certificates/shop-1/policy", &wider.to_string()).await;
    let reply = server.send("shop", "POST /certificates/shop-1/create", "{}").await;
    assert!(reply.status == 403 && reply.body.contains("CN=bank.example"), "{}", reply.body);
}

/// A certificate for the name, with its key, in PEM.
fn pem(name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 11, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 15);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap();
    format!("{}{}", key.serialize_pem(), certificate.pem())
}

#[tokio::test]
async fn an_import_keeps_to_the_rules_by_the_names_of_its_certificate() {
    let server = Server::start(SHOP).await;
    let import = async |name: &str, host: &str| {
        let policy = json!({"key_props": {"exportable": false}, "issuer": {"name": "Unknown"}});
        let body = json!({"value": pem(host), "policy": policy}).to_string();
        server.send("shop", &format!("POST /certificates/{name}/import"), &body).await
    };
    let reply = import("shop-1", "web.shop.example").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = import("shop-2", "bank.example").await;
    assert!(reply.status == 403 && reply.body.contains("ForbiddenByPolicy"), "{}", reply.body);
    let reply = import("web", "web.shop.example").await;
    assert!(reply.status == 403 && reply.body.contains("ForbiddenByRbac"), "{}", reply.body);
}

#[tokio::test]
async fn a_merged_certificate_keeps_to_the_rules() {
    let server = Server::start(SHOP).await;
    let made = server.must("shop", "POST /certificates/shop-1/create", &body(json!({}))).await;
    let csr =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, made["csr"].as_str().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let issuer = rcgen::Issuer::new(ca, key);
    let sign = |host: &str| {
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2026, 11, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 15);
        let der = params.signed_by(&RequestedKey::of(&csr), &issuer).unwrap().der().to_vec();
        json!({"x5c": [base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der)]}).to_string()
    };
    let merge = "POST /certificates/shop-1/pending/merge";
    let reply = server.send("shop", merge, &sign("bank.example")).await;
    assert!(reply.status == 403 && reply.body.contains("sans.dns_names"), "{} {}", reply.status, reply.body);
    let reply = server.send("shop", merge, &sign("web.shop.example")).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
}

#[tokio::test]
async fn a_backup_is_restored_under_its_name_within_the_rules_and_moved_by_administrators_alone() {
    let server = Server::start(SHOP).await;
    server.issue(&["web", "shop-1"]).await;
    let taken = async |name: &str| {
        let backup = server.must(ADMIN, &format!("POST /certificates/{name}/backup"), "").await;
        server.must(ADMIN, &format!("DELETE /certificates/{name}"), "").await;
        assert_eq!(server.send(ADMIN, &format!("DELETE /deletedcertificates/{name}"), "").await.status, 204);
        backup.to_string()
    };
    let (other, outside) = (taken("web").await, taken("shop-1").await);
    let reply = server.send("shop", "POST /certificates/restore", &other).await;
    assert!(reply.status == 403 && reply.body.contains("certificates/web"), "another's name: {}", reply.body);
    let value = serde_json::from_str::<Value>(&other).unwrap()["value"].as_str().unwrap().to_owned();
    let value = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, value).unwrap();
    let restore = v1::RestoreCertificateRequest { value: value.into(), ..Default::default() };
    let refused = server.client("shop").restore_certificate(restore).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_DENIED");
    let reply = server.send("shop", "POST /certificates/restore", &outside).await;
    assert!(reply.status == 403 && reply.body.contains("ForbiddenByPolicy"), "outside of the rules: {}", reply.body);

    let mut vaults = v1::vault_service_client::VaultServiceClient::new(server.channel(ADMIN));
    vaults.create_vault(v1::CreateVaultRequest { vault_name: "b".to_owned(), ..Default::default() }).await.unwrap();
    let to_b = async |caller: &str| server.send_to("b.localhost", caller, "POST /certificates/restore", &other).await;
    let reply = to_b("two").await;
    assert!(reply.status == 403 && reply.body.contains("certmint/backups/move"), "into another vault: {}", reply.body);
    assert_eq!(to_b(ADMIN).await.status, 200);
    assert_eq!(server.send("two", "POST /certificates/restore", &other).await.status, 200, "where it was");
}

#[tokio::test]
async fn a_repeat_is_the_callers_own() {
    let server = Server::start(SHOP).await;
    let request = v1::CreateCertificateRequest { request_id: "1".repeat(32), ..create("x", "Unknown") };
    let first = server.client("two").create_certificate(request.clone()).await.unwrap().into_inner();
    let again = server.client("two").create_certificate(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.operation, again.operation);
    let refused = server.client(ADMIN).create_certificate(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let named = v1::CreateCertificateRequest { request_id: "1".repeat(32), ..create("shop-1", "Unknown") };
    server.regrant(&SHOP.replace("rules =", "#"));
    let refused = server.client("shop").create_certificate(named).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    assert!(!format!("{refused:?}").contains("\\x01x\""), "nothing is said of the other request: {refused:?}");
}

#[tokio::test]
async fn the_rules_of_a_vault_hold_for_everybody_and_again_when_it_is_issued() {
    let rules = r#"
        [[vault_rules]]
        vault = "default"
        rules = { dns = ["*.shop.example"], key_types = ["EC"], ekus = ["serverAuth", "clientAuth"] }
    "#;
    let server = Server::start(rules).await;
    let reply = server.send(ADMIN, "POST /certificates/bank/create", &policy("Unknown")).await;
    assert!(reply.status == 403 && reply.body.contains("the rules of the vault"), "{}", reply.body);
    server.must(ADMIN, "POST /certificates/web/create", &body(json!({}))).await;

    // An issuer that is paused keeps the operation from being asked until the rules have changed.
    server.must(ADMIN, "PUT /certificates/issuers/house", r#"{"provider":"LocalCA"}"#).await;
    let mut issuers = v1::certificate_admin_service_client::CertificateAdminServiceClient::new(server.channel(ADMIN));
    let pause =
        v1::PauseIssuerRequest { issuer_name: "house".to_owned(), reason: "a test".to_owned(), ..Default::default() };
    issuers.pause_issuer(pause).await.unwrap();
    server.must(ADMIN, "POST /certificates/late/create", &body(json!({"issuer": {"name": "house"}}))).await;
    server.regrant(&rules.replace("*.shop.example", "*.bank.example"));
    let resume = v1::ResumeIssuerRequest { issuer_name: "house".to_owned(), ..Default::default() };
    issuers.resume_issuer(resume).await.unwrap();
    let begun = Instant::now();
    let ended = loop {
        let operation = server.must(ADMIN, "GET /certificates/late/pending", "").await;
        if operation["status"] != "inProgress" {
            break operation;
        }
        assert!(begun.elapsed() < LONG, "{operation}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((ended["status"].as_str(), ended["error"]["code"].as_str()), (Some("failed"), Some("Request rejected")));
    assert!(ended["error"]["message"].as_str().unwrap().contains("rules of the vault"), "{ended}");
}

#[tokio::test]
async fn who_may_ask_an_issuer_reads_what_it_is_and_not_what_it_signed_for_others() {
    let server = Server::start(&SHOP.replace(r#"["Self", "Unknown"]"#, r#"["house"]"#)).await;
    server.must(ADMIN, "PUT /certificates/issuers/house", r#"{"provider":"LocalCA"}"#).await;
    server.must("shop", "GET /certificates/issuers/house", "").await;
    let log = "GET /certificates/issuers/house/ca/issued";
    for request in [log, "GET /certificates/issuers/house/ca/issued/0102"] {
        let reply = server.send("shop", request, "").await;
        assert!(reply.status == 403 && reply.body.contains("certificatecas/read"), "{request}: {}", reply.body);
    }
    let mut authorities = AuthorityClient::new(server.channel("shop"));
    let wanted = v1::ListIssuedCertificatesRequest { issuer_name: "house".to_owned(), ..Default::default() };
    let refused = authorities.list_issued_certificates(wanted).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_DENIED");
    for caller in [ADMIN, "two"] {
        server.must(caller, log, "").await;
    }
}

#[tokio::test]
async fn rules_are_held_against_what_a_profile_makes_of_the_request() {
    let grants = SHOP.replace(r#"["Self", "Unknown"]"#, r#"["house"]"#).replace(r#", "clientAuth""#, "");
    let server = Server::start(&grants).await;
    let profiles = json!({"server": {"ekus": ["1.3.6.1.5.5.7.3.1"]}});
    let house = json!({"provider": "LocalCA", "profiles": profiles, "default_profile": "server"});
    server.must(ADMIN, "PUT /certificates/issuers/house", &house.to_string()).await;
    // Usages are not said: Key Vault's would be two.
    let create = |subject: &str| body(json!({"x509_props": {"subject": subject}, "issuer": {"name": "house"}}));
    let reply = server.send("shop", "POST /certificates/shop-2/create", &create("CN=bank.example")).await;
    assert!(reply.status == 403 && reply.body.contains("CN=bank.example"), "{}", reply.body);
    server.must("shop", "POST /certificates/shop-1/create", &create("CN=web.shop.example")).await;
}
