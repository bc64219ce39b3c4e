//! Scenario 1: request a certificate from a supported issuer.

use crate::client::{Client, Reply};

const BODY: &str = r#"{"policy":{"key_props":{"kty":"EC","crv":"P-256"},
    "x509_props":{"subject":"CN=MyCertSubject1"},"issuer":{"name":"mydigicert","cty":"OV-SSL"}}}"#;

#[tokio::test]
async fn a_create_with_an_issuer_answers_202_with_the_operation() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "hold").await;
    let reply: Reply = client.send("POST /certificates/mycert1/create", BODY).await;
    reply.is(r#"
        202
        content-type: application/json; charset=utf-8
        location: https://v1.localhost:8443/certificates/mycert1/pending?api-version=7.4&request_id=<1>
        retry-after: 10
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"mydigicert"},
        "csr":"<csr>","cancellation_requested":false,"status":"inProgress",
        "status_details":"Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later",
        "request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn a_create_says_in_progress_even_where_the_certificate_is_issued_at_once() {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Self").await;
    assert_eq!(operation["status"], "inProgress");
    assert_eq!(client.ended("mycert1").await["status"], "completed");
}
