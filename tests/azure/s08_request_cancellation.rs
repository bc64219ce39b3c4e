//! Scenario 8: ask for the cancellation of a pending request.

use crate::client::Client;

const CANCEL: &str = r#"{"cancellation_requested":true}"#;

#[tokio::test]
async fn the_answer_is_still_in_progress_with_the_flag_set() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "hold").await;
    client.create("mycert1", "mydigicert").await;
    client.until("mycert1", |operation| operation["status_details"].as_str().unwrap().contains("holds")).await;
    client.send("PATCH /certificates/mycert1/pending", CANCEL).await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/pending","issuer":{"name":"mydigicert"},
        "csr":"<csr>","cancellation_requested":true,"status":"inProgress",
        "status_details":"Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later. The test issuer holds this request until it is cancelled.",
        "request_id":"<1>"}
    "#);
}

#[tokio::test]
async fn a_manual_request_is_cancelled_soon_after() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.must("PATCH /certificates/mycert1/pending", CANCEL).await;
    assert_eq!(client.ended("mycert1").await["status"], "cancelled");
}

#[tokio::test]
async fn a_request_that_is_not_in_progress_is_refused() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    client.send("PATCH /certificates/mycert1/pending", CANCEL).await.is(r#"
        400
        content-type: application/json; charset=utf-8
        {"error":{"code":"BadParameter","message":"Pending status must be in progress to allow update."}}
    "#);
}

#[tokio::test]
async fn something_has_to_be_asked_for() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    for body in ["{}", "", r#"{"cancellation_requested":null}"#] {
        let reply = client.send("PATCH /certificates/mycert1/pending", body).await;
        reply.is_refusal(400, "BadParameter", "Property cancellation_requested has invalid value.");
    }
}

/// Recorded in 2018.
#[tokio::test]
async fn false_changes_nothing() {
    const FALSE: &str = r#"{"cancellation_requested":false}"#;
    let client = Client::start().await;
    let operation = client.create("mycert1", "Unknown").await;
    assert_eq!(client.must("PATCH /certificates/mycert1/pending", FALSE).await, operation);
    client.test_issuer("slow", "hold").await;
    client.create("mycert2", "slow").await;
    client.must("PATCH /certificates/mycert2/pending", CANCEL).await;
    let ended = client.ended("mycert2").await;
    assert_eq!((&ended["status"], &ended["cancellation_requested"]), (&"cancelled".into(), &true.into()));
    let reply = client.send("PATCH /certificates/mycert2/pending", FALSE).await;
    reply.is_refusal(400, "BadParameter", "Pending status must be in progress to allow update.");
    client.send("PATCH /certificates/none/pending", FALSE).await.is_refusal(404, "PendingCertificateNotFound", "none");
}

#[tokio::test]
async fn another_request_id_cancels_nothing() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let other = "PATCH /certificates/mycert1/pending?request_id=a76827a18b63421c917da80f28e9913d";
    client.send(other, CANCEL).await.is_refusal(404, "PendingCertificateNotFound", "mycert1");
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["cancellation_requested"], false);
}
