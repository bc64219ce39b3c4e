//! Scenario 7: merge into a pending request that was created with an issuer.

use crate::ca::{Ca, x5c};
use crate::client::Client;

#[tokio::test]
async fn it_is_forbidden_while_in_progress() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "hold").await;
    let operation = client.create("mycert1", "mydigicert").await;
    let leaf = Ca::new().sign(operation["csr"].as_str().unwrap(), 30);
    client.send("POST /certificates/mycert1/pending/merge", &x5c(&[&leaf])).await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Merge is forbidden on pending object created with issuer : mydigicert while it is in progess."}}
    "#);
}

#[tokio::test]
async fn it_is_allowed_once_the_request_failed() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "fail").await;
    let operation = client.create("mycert1", "mydigicert").await;
    client.ended("mycert1").await;
    let leaf = Ca::new().sign(operation["csr"].as_str().unwrap(), 30);
    let reply = client.send("POST /certificates/mycert1/pending/merge", &x5c(&[&leaf])).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(client.ended("mycert1").await["status"], "completed");
}

#[tokio::test]
async fn it_is_allowed_once_the_request_was_cancelled() {
    let client = Client::start().await;
    client.test_issuer("mydigicert", "hold").await;
    let operation = client.create("mycert1", "mydigicert").await;
    client.must("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#).await;
    client.ended("mycert1").await;
    let leaf = Ca::new().sign(operation["csr"].as_str().unwrap(), 30);
    client.must("POST /certificates/mycert1/pending/merge", &x5c(&[&leaf])).await;
}

#[tokio::test]
async fn it_is_refused_once_the_request_is_completed() {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    let leaf = Ca::new().sign(operation["csr"].as_str().unwrap(), 30);
    let reply = client.send("POST /certificates/mycert1/pending/merge", &x5c(&[&leaf])).await;
    reply.is_refusal(400, "BadParameter", "there is nothing to merge into");
}
