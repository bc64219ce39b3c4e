//! Clients repeat a create by themselves, with the same `x-ms-client-request-id`.

use crate::client::{Client, Reply, policy};

async fn create(client: &Client, id: &str, body: &str) -> Reply {
    let headers = [("authorization", "Bearer t"), ("x-ms-client-request-id", id)];
    client.raw("POST /certificates/mycert1/create?api-version=7.4", &headers, body).await
}

#[tokio::test]
async fn the_same_request_again_answers_the_same_operation() {
    let client = Client::start().await;
    let (first, second) = (create(&client, "a", &policy("Self")).await, create(&client, "a", &policy("Self")).await);
    assert_eq!((first.status, second.status, &first.body), (202, 202, &second.body));
    client.ended("mycert1").await;
    let third = create(&client, "a", &policy("Self")).await;
    assert_eq!((third.status, third.body), (202, first.body), "also after it has ended");
}

#[tokio::test]
async fn the_same_id_with_another_body_is_another_request() {
    let client = Client::start().await;
    create(&client, "a", &policy("Unknown")).await;
    create(&client, "a", &policy("Self")).await.is_refusal(409, "Forbidden", "inProgress");
}

#[tokio::test]
async fn an_id_that_is_too_long_is_echoed_but_recognises_nothing() {
    let client = Client::start().await;
    let id = "x".repeat(129);
    let first = create(&client, &id, &policy("Unknown")).await;
    assert_eq!((first.status, first.header("x-ms-client-request-id")), (202, Some(id.as_str())));
    assert_eq!(create(&client, &id, &policy("Unknown")).await.status, 409);
}
