//! The settings of a vault: existence, retention, purge protection; and the isolation of vaults.

use crate::client::Client;
use crate::support::service;
use certmint::domain::{RetentionDays, VaultName};
use certmint::service::{NamedVault, ServiceOptions, VaultOptions};
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;

/// A server that knows v1, with these settings, and no other vault but the default one.
async fn client(days: u32, purge_protection: bool) -> Client {
    let settings =
        NamedVault { retention_days: RetentionDays::new(days).ok(), purge_protection: Some(purge_protection) };
    let named = [(VaultName::parse("v1").unwrap(), settings)].into();
    let vaults = VaultOptions { named, ..VaultOptions::default() };
    let limits = ServiceOptions { vaults, ..ServiceOptions::default() };
    let service = service::start_with(limits).await;
    Client::over(service, RestOptions::new(Auth::Development))
}

#[tokio::test]
async fn the_retention_of_the_vault_is_in_every_answer() {
    for (days, protected, level) in
        [(7, false, "CustomizedRecoverable+Purgeable"), (90, true, "Recoverable"), (30, true, "CustomizedRecoverable")]
    {
        let client = client(days, protected).await;
        client.create("early", "Unknown").await;
        let bundle = client.issued("web").await;
        let version = client.must(&format!("GET {}", crate::client::path(&bundle["id"])), "").await;
        let changed = client.must("PATCH /certificates/web", r#"{"tags":{}}"#).await;
        let placeholder = client.must("GET /certificates/early", "").await;
        let deleted = client.must("DELETE /certificates/web", "").await;
        let read = client.must("GET /deletedcertificates/web", "").await;
        for answer in [&bundle, &version, &changed, &placeholder, &deleted, &read] {
            assert_eq!(answer["attributes"]["recoveryLevel"], level, "{answer}");
            assert_eq!(answer["attributes"]["recoverableDays"], days, "{answer}");
        }
        let date = |member: &str| deleted[member].as_i64().unwrap();
        assert_eq!(date("scheduledPurgeDate") - date("deletedDate"), i64::from(days) * 86_400);
    }
}

#[tokio::test]
async fn a_protected_vault_does_not_purge_before_its_time() {
    let client = client(7, true).await;
    client.issued("web").await;
    client.must("DELETE /certificates/web", "").await;
    client.send("DELETE /deletedcertificates/web", "").await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation "purge" is not allowed: the vault v1 has purge protection. The certificate web is purged automatically when its retention ends."}}
    "#.replace("\"purge\"", "\\\"purge\\\"").as_str());
    client.must("POST /deletedcertificates/web/recover", "").await;
    client.send("DELETE /deletedcertificates/none", "").await.is_refusal(404, "CertificateNotFound", "none");
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_not_found_after_the_challenge() {
    let client = client(90, false).await;
    let request = "GET /certificates/web?api-version=7.4";
    let reply = client.raw(request, &[("host", "v2.localhost:8443")], "").await;
    assert_eq!(reply.status, 401, "{}", reply.body);
    let token = ("authorization", "Bearer t");
    client.raw(request, &[token, ("host", "v2.localhost:8443")], "").await.is(r#"
        404
        content-type: application/json; charset=utf-8
        {"error":{"code":"VaultNotFound","message":"There is no vault named v2 on this server. Create it first: certmint vault create v2"}}
    "#);
    for host in ["v1.localhost", "V1.LOCALHOST:8443", "localhost", "127.0.0.1", "default.localhost"] {
        let reply = client.raw(request, &[token, ("host", host)], "").await;
        reply.is_refusal(404, "CertificateNotFound", "web");
    }
}

/// Everything that a vault can hold is put into one and asked for in another.
#[tokio::test]
async fn nothing_leaks_from_one_vault_to_another() {
    let client = Client::start().await;
    let version = crate::client::path(&client.issued("web").await["id"]);
    client.create("early", "Unknown").await;
    client.issued("old").await;
    client.must("DELETE /certificates/old", "").await;
    client.test_issuer("house", "complete").await;
    client.must("PUT /certificates/contacts", r#"{"contacts":[{"email":"a@b.example"}]}"#).await;
    let backup = client.must("POST /certificates/web/backup", "").await.to_string();

    let other = [("authorization", "Bearer t"), ("host", "v2.localhost:8443"), ("content-type", "application/json")];
    let paths = [
        "GET /certificates/web".to_owned(),
        format!("GET {version}"),
        "GET /certificates/web/policy".to_owned(),
        "GET /certificates/early/pending".to_owned(),
        "GET /certificates/issuers/house".to_owned(),
        "GET /certificates/contacts".to_owned(),
        "GET /deletedcertificates/old".to_owned(),
        "PATCH /certificates/web".to_owned(),
        format!("PATCH {version}"),
        "DELETE /certificates/web".to_owned(),
        "DELETE /certificates/early/pending".to_owned(),
        "DELETE /deletedcertificates/old".to_owned(),
        "DELETE /certificates/contacts".to_owned(),
        "DELETE /certificates/issuers/house".to_owned(),
        "POST /deletedcertificates/old/recover".to_owned(),
        "POST /certificates/web/backup".to_owned(),
    ];
    for path in paths {
        let reply = client.raw(&format!("{path}?api-version=7.4"), &other, r#"{"tags":{"x":"y"}}"#).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.body);
    }
    for list in [
        "/certificates?includePending=true&",
        "/deletedcertificates?includePending=true&",
        "/certificates/issuers?",
        "/certificates/web/versions?",
        "/keys/web/versions?",
        "/secrets/web/versions?",
    ] {
        let reply = client.raw(&format!("GET {list}api-version=7.4"), &other, "").await;
        assert_eq!(reply.body, r#"{"value":[],"nextLink":null}"#, "{list}");
    }
    // The same name is free there, and what is done with it stays there.
    let restored = client.raw("POST /certificates/restore?api-version=7.4", &other, &backup).await;
    assert_eq!(restored.status, 200, "{}", restored.body);
    assert!(
        restored.body.contains("https://v2.localhost:8443/keys/web/") && !restored.body.contains("v1."),
        "{}",
        restored.body
    );
    let reply = client.raw("DELETE /certificates/web?api-version=7.4", &other, "").await;
    assert_eq!(reply.status, 200);
    let reply = client.raw("DELETE /deletedcertificates/web?api-version=7.4", &other, "").await;
    assert_eq!(reply.status, 204);
    client.must(&format!("GET {version}"), "").await;
    client.must("GET /deletedcertificates/old", "").await;
}
