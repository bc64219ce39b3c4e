//! Backup and restore over REST.

use crate::client::{Client, policy};
use crate::support::service;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::keys::MasterKeys;
use certmint::limits::Limits;
use certmint::service::ServiceOptions;
use certmint::store::sqlite::Sqlite;
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;
use serde_json::{Value, json};
use std::sync::Arc;

const KEYS: &str = "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An installation of its own that knows these master keys.
async fn installation(keys: &str, limits: ServiceOptions) -> Client {
    let store = Arc::new(Sqlite::open_in_memory().unwrap());
    let service = service::start_on(store, MasterKeys::from_text(keys).unwrap(), limits).await;
    Client::over(service, RestOptions::new(Auth::Development))
}

/// A certificate with two versions and tags, and its backup.
async fn backed_up(client: &Client) -> (Value, String) {
    client.issued("web").await;
    client.issued("web").await;
    client.must("PATCH /certificates/web", r#"{"tags":{"a":"1"},"attributes":{"enabled":false}}"#).await;
    client.must("DELETE /certificates/web/pending", "").await;
    let bundle = client.must("GET /certificates/web", "").await;
    (bundle, client.must("POST /certificates/web/backup", "").await["value"].as_str().unwrap().to_owned())
}

fn body(value: &str) -> String {
    json!({ "value": value }).to_string()
}

async fn purge(client: &Client) {
    client.must("DELETE /certificates/web", "").await;
    assert_eq!(client.send("DELETE /deletedcertificates/web", "").await.status, 204);
}

#[tokio::test]
async fn a_backup_is_one_sealed_text_and_brings_everything_back() {
    let client = Client::start().await;
    let (bundle, value) = backed_up(&client).await;
    let versions = client.must("GET /certificates/web/versions", "").await;
    let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
    assert!(bytes.starts_with(b"certmint-backup\x01"));
    assert!(!bytes.windows(3).any(|window| window == b"web"), "what is inside can be read");
    purge(&client).await;
    let restored = client.must("POST /certificates/restore", &body(&value)).await;
    assert_eq!(restored, bundle);
    assert_eq!(client.must("GET /certificates/web", "").await, bundle);
    assert_eq!(client.must("GET /certificates/web/versions", "").await, versions);
}

#[tokio::test]
async fn another_installation_that_knows_the_master_key_restores_it() {
    let here = installation(KEYS, ServiceOptions::default()).await;
    let (bundle, value) = backed_up(&here).await;
    // It was rotated there: the key of the backup is not the newest any more.
    let rotated = format!("{KEYS}\nk2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let there = installation(&rotated, ServiceOptions::default()).await;
    assert_eq!(there.must("POST /certificates/restore", &body(&value)).await, bundle);
    // The keys are there too: the next version reuses the last one.
    let reuse = r#"{"key_props":{"reuse_key":true}}"#;
    there.must("PATCH /certificates/web/policy", reuse).await;
    there.must("POST /certificates/web/create", "{}").await;
    assert_eq!(there.ended("web").await["status"], "completed");
    // And it can be backed up again.
    there.must("POST /certificates/web/backup", "").await;
}

#[tokio::test]
async fn another_installation_without_the_master_key_says_which_it_lacks() {
    let here = installation(KEYS, ServiceOptions::default()).await;
    let (_, value) = backed_up(&here).await;
    let there = installation("k2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", ServiceOptions::default()).await;
    let reply = there.send("POST /certificates/restore", &body(&value)).await;
    reply.is_refusal(400, "Malformed backup blob", "sealed with the master key k1, which this server does not have");
    // The same id with another key is no better.
    let there = installation("k1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", ServiceOptions::default()).await;
    let reply = there.send("POST /certificates/restore", &body(&value)).await;
    reply.is_refusal(400, "Malformed backup blob", "Backup blob contains invalid or corrupt version.");
}

#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let client = Client::start().await;
    let (_, value) = backed_up(&client).await;
    purge(&client).await;
    let mut flipped = URL_SAFE_NO_PAD.decode(&value).unwrap();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let half = URL_SAFE_NO_PAD.encode(&flipped[..flipped.len() / 2]);
    for (bad, words) in [
        ("bm9uLWV4aXN0aW5n", "is corrupt"),
        ("!!!", "is corrupt"),
        (&half, "contains invalid or corrupt version"),
        (&value[1..], "is corrupt"),
        (&URL_SAFE_NO_PAD.encode(flipped), "contains invalid or corrupt version"),
    ] {
        client.send("POST /certificates/restore", &body(bad)).await.is(&format!(
            r#"
            400
            content-type: application/json; charset=utf-8
            {{"error":{{"code":"Malformed backup blob","message":"Backup blob {words}."}}}}
        "#
        ));
    }
    let reply = client.send("POST /certificates/restore", "{}").await;
    reply.is_refusal(400, "BadParameter", "Property value has invalid value. It is required");
    // Padded, and in the other alphabet, it is the same backup.
    let padded = base64::engine::general_purpose::STANDARD.encode(URL_SAFE_NO_PAD.decode(&value).unwrap());
    client.must("POST /certificates/restore", &body(&padded)).await;
}

#[tokio::test]
async fn a_name_that_is_in_use_is_not_restored_over() {
    let client = Client::start().await;
    let (_, value) = backed_up(&client).await;
    let reply = client.send("POST /certificates/restore", &body(&value)).await;
    reply.is_refusal(409, "Conflict", "There was a conflict restoring the certificate web");
    client.must("DELETE /certificates/web", "").await;
    let reply = client.send("POST /certificates/restore", &body(&value)).await;
    reply.is_refusal(409, "Conflict", "is currently in a deleted but recoverable state");
    assert_eq!(reply.json()["error"]["innererror"]["code"], "ObjectIsDeletedButRecoverable");
    assert_eq!(client.send("DELETE /deletedcertificates/web", "").await.status, 204);
    client.must("POST /certificates/web/create", &policy("Unknown")).await;
    client.send("POST /certificates/restore", &body(&value)).await.is_refusal(409, "Conflict", "conflict restoring");
}

#[tokio::test]
async fn there_is_nothing_to_back_up_before_the_first_version() {
    let client = Client::start().await;
    client.create("web", "Unknown").await;
    let reply = client.send("POST /certificates/web/backup", "").await;
    reply.is_refusal(400, "BadParameter", "has no completed version yet");
    client.send("POST /certificates/none/backup", "").await.is_refusal(404, "CertificateNotFound", "none");
}

#[tokio::test]
async fn the_size_of_a_backup_is_bounded() {
    let here = installation(KEYS, ServiceOptions::default()).await;
    let (_, value) = backed_up(&here).await;
    let size = URL_SAFE_NO_PAD.decode(&value).unwrap().len();
    let there = installation(KEYS, Limits { backup_bytes: size - 1, ..Limits::default() }.into()).await;
    let reply = there.send("POST /certificates/restore", &body(&value)).await;
    reply.is_refusal(
        400,
        "BadParameter",
        &format!("The backup has {size} bytes, and this server takes up to {}", size - 1),
    );
    there.issued("web").await;
    there.must("POST /certificates/web/backup", "").await;
    for _ in 0..2 {
        there.issued("web").await;
    }
    let reply = there.send("POST /certificates/web/backup", "").await;
    reply.is_refusal(400, "BadParameter", "limits.backup_bytes");
}
