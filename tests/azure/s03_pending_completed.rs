//! Scenario 3: get the pending request once it is completed.

use crate::client::Client;

#[tokio::test]
async fn a_completed_operation_has_a_target_and_no_retry_after() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "complete").await;
    client.create("mycert1", "mydigicert").await;
    client.ended("mycert1").await;
    client.send("GET /certificates/mycert1/pending", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"mydigicert"},
        "csr":"<csr>","cancellation_requested":false,"status":"completed",
        "target":"https://v1.localhost:8443/certificates/mycert1?api-version=7.4","request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn the_target_is_the_certificate() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    let operation = client.ended("mycert1").await;
    let target = operation["target"].as_str().unwrap().strip_prefix("https://v1.localhost:8443").unwrap();
    let reply = client.raw(&format!("GET {target}"), &[("authorization", "Bearer t")], "").await;
    assert_eq!((reply.status, &reply.json()["attributes"]["enabled"]), (200, &true.into()));
}
