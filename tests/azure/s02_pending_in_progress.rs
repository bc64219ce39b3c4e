//! Scenario 2: get the pending request while it is in progress.

use crate::client::{Client, policy};

const IN_PROGRESS: &str = r#"
    200
    content-type: application/json; charset=utf-8
    retry-after: 10
    {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"Unknown"},
    "csr":"<csr>","cancellation_requested":false,"status":"inProgress",
    "status_details":"Pending certificate created. Please Perform Merge to complete the request.",
    "request_id":"<1>"}
"#;

#[tokio::test]
async fn the_operation_is_answered() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.send("GET /certificates/mycert1/pending", "").await.is(IN_PROGRESS);
}

#[tokio::test]
async fn the_right_request_id_finds_it() {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Unknown").await;
    let id = operation["request_id"].as_str().unwrap();
    client.send(&format!("GET /certificates/mycert1/pending?request_id={id}"), "").await.is(IN_PROGRESS);
}

#[tokio::test]
async fn another_request_id_finds_nothing() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    for id in ["a76827a18b63421c917da80f28e9913d", "no-id"] {
        let reply = client.send(&format!("GET /certificates/mycert1/pending?request_id={id}"), "").await;
        reply.is(r#"
            404
            content-type: application/json; charset=utf-8
            {"error":{"code":"PendingCertificateNotFound","message":"Pending certificate not found: mycert1"}}
        "#);
    }
}

#[tokio::test]
async fn the_signing_request_can_be_had_alone() {
    let client = Client::start().await;
    let operation = client.must("POST /certificates/mycert1/create", &policy("Unknown")).await;
    let headers = [("authorization", "Bearer t"), ("accept", "application/pkcs10")];
    let reply = client.raw("GET /certificates/mycert1/pending?api-version=7.4", &headers, "").await;
    assert_eq!(reply.body, operation["csr"].as_str().unwrap());
    assert_eq!(
        reply.shown().lines().take(3).collect::<Vec<_>>(),
        ["200", "content-type: application/pkcs10; charset=utf-8", "retry-after: 10"]
    );
}
