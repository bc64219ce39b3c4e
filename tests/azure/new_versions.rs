//! Creating under an existing name: a new version, with the old or a new key.

use crate::client::{Client, path};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The public key of a bundle, as it stands in the certificate.
fn public_key(bundle: &Value) -> Vec<u8> {
    let der = STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap();
    x509_parser::parse_x509_certificate(&der).unwrap().1.public_key().raw.to_vec()
}

async fn next(client: &Client, body: &str) -> Value {
    client.must("POST /certificates/web/create", body).await;
    assert_eq!(client.ended("web").await["status"], "completed");
    client.must("GET /certificates/web", "").await
}

fn keys(reuse: bool, key: &str) -> String {
    format!(
        r#"{{"policy":{{"key_props":{{{key},"reuse_key":{reuse}}},"x509_props":{{"subject":"CN=a"}},"issuer":{{"name":"Self"}}}}}}"#
    )
}

#[tokio::test]
async fn a_new_version_has_a_new_key_unless_the_policy_reuses_it() {
    let client = Client::start().await;
    let ec = r#""kty":"EC""#;
    let first = next(&client, &keys(false, ec)).await;
    let second = next(&client, "{}").await;
    assert_ne!(public_key(&first), public_key(&second));
    let third = next(&client, &keys(true, ec)).await;
    assert_eq!(public_key(&second), public_key(&third));
    assert_eq!(third["policy"]["key_props"]["reuse_key"], true);
    // The policy may be left out: the stored one still applies.
    let fourth = next(&client, "").await;
    assert_eq!(public_key(&third), public_key(&fourth));
    assert_ne!(third["id"], fourth["id"]);
    let older = client.must(&format!("GET {}", path(&third["id"])), "").await;
    assert_eq!(older["x5t"], third["x5t"]);
}

#[tokio::test]
async fn an_rsa_key_is_reused_too() {
    let client = Client::start().await;
    let first = next(&client, &keys(true, r#""kty":"RSA""#)).await;
    let second = next(&client, "{}").await;
    assert_eq!(public_key(&first), public_key(&second));
}

#[tokio::test]
async fn a_key_of_another_type_cannot_be_reused() {
    let client = Client::start().await;
    let first = next(&client, &keys(true, r#""kty":"EC""#)).await;
    let second = next(&client, &keys(true, r#""kty":"EC","crv":"P-384""#)).await;
    assert_ne!(public_key(&first), public_key(&second));
    let third = next(&client, "{}").await;
    assert_eq!(public_key(&second), public_key(&third));
}

#[tokio::test]
async fn a_policy_changed_in_between_does_not_lose_the_key() {
    let client = Client::start().await;
    let first = next(&client, &keys(true, r#""kty":"EC""#)).await;
    client.must("PATCH /certificates/web/policy", r#"{"key_props":{"crv":"P-384"}}"#).await;
    client.must("PATCH /certificates/web/policy", r#"{"key_props":{"crv":"P-256"}}"#).await;
    let second = next(&client, "{}").await;
    assert_eq!(public_key(&first), public_key(&second));
    // The policy of the certificate is no longer that of its newest key.
    client.must("PATCH /certificates/web/policy", r#"{"key_props":{"crv":"P-384"}}"#).await;
    let third = next(&client, &keys(true, r#""kty":"EC""#)).await;
    assert_eq!(public_key(&second), public_key(&third));
}

#[tokio::test]
async fn a_given_policy_replaces_the_stored_one() {
    let client = Client::start().await;
    let first = next(&client, &keys(true, r#""kty":"EC","exportable":false"#)).await;
    let second = next(&client, &keys(false, r#""kty":"EC""#)).await;
    assert_eq!(first["policy"]["key_props"]["exportable"], false);
    assert_eq!(second["policy"]["key_props"]["exportable"], true);
    assert_eq!(first["policy"]["attributes"]["created"], second["policy"]["attributes"]["created"]);
}
