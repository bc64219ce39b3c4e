//! Scenario 10: create a certificate manually, with a CA of one's own choice.

use crate::client::Client;

const MANUAL: &str = r#"
    202
    content-type: application/json; charset=utf-8
    location: https://v1.localhost:8443/certificates/mycert1/pending?api-version=7.4&request_id=<1>
    retry-after: 10
    {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"Unknown"},
    "csr":"<csr>","cancellation_requested":false,"status":"inProgress",
    "status_details":"Pending certificate created. Please Perform Merge to complete the request.",
    "request_id":"<1>"}
"#;

#[tokio::test]
async fn the_issuer_unknown_waits_for_a_merge() {
    let client = Client::start().await;
    let body = r#"{"policy":{"x509_props":{"subject":"CN=MyCertSubject1"},"issuer":{"name":"Unknown"}}}"#;
    client.send("POST /certificates/mycert1/create", body).await.is(MANUAL);
}

#[tokio::test]
async fn no_issuer_at_all_is_the_same() {
    let client = Client::start().await;
    for body in [
        r#"{"policy":{"x509_props":{"subject":"CN=MyCertSubject1"}}}"#,
        r#"{"policy":{"x509_props":{"subject":"CN=MyCertSubject1"},"issuer":{}}}"#,
        r#"{"policy":{"x509_props":{"subject":"CN=MyCertSubject1"},"issuer":{"name":null}}}"#,
    ] {
        client.send("POST /certificates/mycert1/create", body).await.is(MANUAL);
        client.must("DELETE /certificates/mycert1/pending", "").await;
    }
}
