//! Whether a key may leave is a property of the key: no way of using it again makes it exportable.

use crate::records::place::{A, B, Life, Place, policy};

const REUSED: &str = r#""reuse_key":true,"exportable":true"#;
const REFUSED: &str = "The reused key is not exportable, and this cannot be changed";

async fn refused(life: &Life, vault: &str, body: &str) {
    let reply = life.send(vault, "POST /certificates/locked/create", body).await;
    assert!(reply.status == 400 && reply.body.contains(REFUSED), "{} {}", reply.status, reply.body);
}

#[tokio::test]
async fn a_key_that_is_used_again_stays_what_it_was() {
    let place = Place::new();
    place.filled().await;
    let life = place.open().await;
    refused(&life, A, &policy("Self", REUSED)).await;
    // `exportable` is true if nothing is said.
    refused(&life, A, &policy("Self", r#""reuse_key":true"#)).await;
    life.create_with(A, "locked", r#""reuse_key":true,"exportable":false"#).await;
    refused(&life, A, &policy("Self", REUSED)).await;
}

#[tokio::test]
async fn a_policy_that_was_changed_first_and_a_backup_are_no_way_around() {
    let place = Place::new();
    place.filled().await;
    let life = place.open().await;
    let change = r#"{"key_props":{"kty":"EC","reuse_key":true,"exportable":true}}"#;
    life.ok(A, "PATCH /certificates/locked/policy", change).await;
    refused(&life, A, "{}").await;
    let backup = life.ok(A, "POST /certificates/locked/backup", "").await;
    life.ok(B, "DELETE /certificates/locked", "").await;
    life.ok(B, "DELETE /deletedcertificates/locked", "").await;
    life.ok(B, "POST /certificates/restore", &backup.to_string()).await;
    refused(&life, B, "{}").await;
}

#[tokio::test]
async fn a_new_key_may_be_exportable() {
    let place = Place::new();
    place.filled().await;
    let life = place.open().await;
    // Of another type, so that the old one is not used.
    life.create_with(A, "locked", r#""crv":"P-384","reuse_key":true,"exportable":true"#).await;
    life.create_with(A, "locked", r#""exportable":true"#).await;
    let secret = life.ok(A, "GET /secrets/locked", "").await;
    assert_eq!(secret["attributes"]["enabled"], true);
}
