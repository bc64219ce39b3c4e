//! Scenario 4: get the pending request once it was cancelled or has failed.

use crate::client::Client;

#[tokio::test]
async fn a_cancelled_operation_is_reported_as_cancelled() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "hold").await;
    client.create("mycert1", "mydigicert").await;
    client.must("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#).await;
    client.ended("mycert1").await;
    client.send("GET /certificates/mycert1/pending", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"mydigicert"},
        "csr":"<csr>","cancellation_requested":true,"status":"cancelled","status_details":"","request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn a_failure_of_the_issuer_has_its_own_error_code() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "fail").await;
    client.create("mycert1", "mydigicert").await;
    client.ended("mycert1").await;
    client.send("GET /certificates/mycert1/pending", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"mydigicert"},
        "csr":"<csr>","cancellation_requested":false,"status":"failed","status_details":"",
        "error":{"code":"Certificate issuer error","message":"The test issuer failed, as its account id says."},
        "request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn a_rejected_request_has_its_own_error_code() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "reject").await;
    client.create("mycert1", "mydigicert").await;
    let operation = client.ended("mycert1").await;
    assert_eq!((&operation["status"], &operation["error"]["code"]), (&"failed".into(), &"Request rejected".into()));
}

#[tokio::test]
async fn the_certificate_of_a_first_creation_that_failed_is_a_disabled_placeholder() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "fail").await;
    client.create("mycert1", "mydigicert").await;
    client.ended("mycert1").await;
    let bundle = client.must("GET /certificates/mycert1/", "").await;
    assert_eq!((&bundle["attributes"]["enabled"], bundle.get("cer")), (&false.into(), None));
}
