//! Scenario 9: delete the pending request.

use crate::client::Client;

#[tokio::test]
async fn the_answer_is_the_operation_as_it_stood() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.send("DELETE /certificates/mycert1/pending", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"Unknown"},
        "csr":"<csr>","cancellation_requested":false,"status":"inProgress",
        "status_details":"Pending certificate created. Please Perform Merge to complete the request.",
        "request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn it_works_by_request_id_and_only_by_the_right_one() {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Unknown").await;
    let other = "DELETE /certificates/mycert1/pending?request_id=a76827a18b63421c917da80f28e9913d";
    client.send(other, "").await.is_refusal(404, "PendingCertificateNotFound", "mycert1");
    let id = operation["request_id"].as_str().unwrap();
    client.must(&format!("DELETE /certificates/mycert1/pending?request_id={id}"), "").await;
}

#[tokio::test]
async fn it_works_in_every_state() {
    let client = Client::start().await;
    client.test_issuer("failing", "fail").await;
    client.test_issuer("holding", "hold").await;
    for (issuer, status) in [("failing", "failed"), ("Self", "completed")] {
        client.create("mycert1", issuer).await;
        client.ended("mycert1").await;
        assert_eq!(client.must("DELETE /certificates/mycert1/pending", "").await["status"], status);
    }
    client.create("mycert1", "holding").await;
    assert_eq!(client.must("DELETE /certificates/mycert1/pending", "").await["status"], "inProgress");
}

#[tokio::test]
async fn the_certificate_stays_without_its_pending_member() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    assert!(client.must("GET /certificates/mycert1", "").await.get("pending").is_some());
    client.must("DELETE /certificates/mycert1/pending", "").await;
    let bundle = client.must("GET /certificates/mycert1", "").await;
    assert_eq!((&bundle["attributes"]["enabled"], bundle.get("pending")), (&false.into(), None));
}
