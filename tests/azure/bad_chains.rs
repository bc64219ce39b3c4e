//! Errors of a merge for anything but the chain of the request.

use crate::ca::{Ca, x5c};
use crate::client::Client;
use base64::{Engine, engine::general_purpose::STANDARD};

const MERGE: &str = "POST /certificates/mycert1/pending/merge";

/// Merges what `body` makes of a request, and expects a refusal that leaves the operation open.
async fn refused(body: impl Fn(&Ca, &str) -> String, words: &str) {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Unknown").await;
    let body = body(&Ca::new(), operation["csr"].as_str().unwrap());
    client.send(MERGE, &body).await.is_refusal(400, "BadParameter", words);
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["status"], "inProgress");
}

#[tokio::test]
async fn no_chain() {
    for body in ["", "{}", r#"{"x5c":null}"#] {
        refused(|_, _| body.to_owned(), "Property x5c has invalid value. It is required").await;
    }
}

#[tokio::test]
async fn an_empty_chain() {
    refused(|_, _| r#"{"x5c":[]}"#.to_owned(), "The list is empty").await;
}

#[tokio::test]
async fn a_chain_that_is_no_list() {
    refused(|_, _| r#"{"x5c":"AAAA"}"#.to_owned(), "an array is expected").await;
    refused(|_, _| r#"{"x5c":[1]}"#.to_owned(), "a string is expected").await;
}

#[tokio::test]
async fn what_is_not_base64() {
    refused(|_, _| r#"{"x5c":["no base64!"]}"#.to_owned(), "x5c[0]").await;
}

#[tokio::test]
async fn what_is_no_certificate() {
    refused(|_, _| r#"{"x5c":["dGVzdA=="]}"#.to_owned(), "x5c[0]").await;
    refused(|_, csr| serde_json::json!({"x5c": [csr]}).to_string(), "PKCS#10 request, not a certificate").await;
}

#[tokio::test]
async fn a_certificate_with_another_key() {
    let words = "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.";
    refused(|ca, _| x5c(&[&ca.stranger()]), words).await;
}

#[tokio::test]
async fn only_the_certificate_of_the_ca() {
    refused(|ca, _| x5c(&[&ca.certificate()]), "does not match the public part").await;
}

#[tokio::test]
async fn a_certificate_that_has_expired() {
    refused(|ca, csr| x5c(&[&ca.sign(csr, -1)]), "expired").await;
}

#[tokio::test]
async fn a_chain_that_does_not_link() {
    refused(|ca, csr| x5c(&[&ca.sign(csr, 30), &Ca::new().stranger()]), "does not link").await;
}

#[tokio::test]
async fn a_certificate_cut_short() {
    refused(
        |ca, csr| {
            let leaf = ca.sign(csr, 30);
            serde_json::json!({"x5c": [STANDARD.encode(&leaf[..leaf.len() / 2])]}).to_string()
        },
        "x5c[0]",
    )
    .await;
}
