//! Scenario 5: get a pending request that was deleted or overwritten.

use crate::client::{Client, policy};

const NOT_FOUND: &str = r#"
    404
    content-type: application/json; charset=utf-8
    {"error":{"code":"PendingCertificateNotFound","message":"Pending certificate not found: mycert1"}}
"#;

#[tokio::test]
async fn a_deleted_one_is_not_found() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.must("DELETE /certificates/mycert1/pending", "").await;
    client.send("GET /certificates/mycert1/pending", "").await.is(NOT_FOUND);
}

#[tokio::test]
async fn an_overwritten_one_is_not_found_by_its_request_id() {
    let client = Client::start().await;
    let first = client.create("mycert1", "Self").await["request_id"].as_str().unwrap().to_owned();
    client.ended("mycert1").await;
    let second = client.must("POST /certificates/mycert1/create", &policy("Unknown")).await;
    client.send(&format!("GET /certificates/mycert1/pending?request_id={first}"), "").await.is(NOT_FOUND);
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["request_id"], second["request_id"]);
}

#[tokio::test]
async fn one_that_never_was_is_not_found_by_any_verb() {
    let client = Client::start().await;
    for (request, body) in [
        ("GET /certificates/mycert1/pending", ""),
        ("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#),
        ("DELETE /certificates/mycert1/pending", ""),
    ] {
        client.send(request, body).await.is(NOT_FOUND);
    }
    // A merge says it with another letter, as the service does (contract section 9).
    for body in [r#"{"x5c":["dGVzdA=="]}"#, "{}"] {
        let reply = client.send("POST /certificates/mycert1/pending/merge", body).await;
        reply.is(&NOT_FOUND.replace("Pending certificate", "Pending Certificate"));
    }
}
