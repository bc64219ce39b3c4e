//! Scenario 6: create while a pending request is in progress.

use crate::client::{Client, policy};
use futures_util::future::join_all;

const REFUSED: &str = r#"
    409
    content-type: application/json; charset=utf-8
    {"error":{"code":"Forbidden","message":"A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress."}}
"#;

#[tokio::test]
async fn a_second_create_is_refused() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.send("POST /certificates/mycert1/create", &policy("Self")).await.is(REFUSED);
}

#[tokio::test]
async fn names_compare_without_case() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.send("POST /certificates/MyCert1/create", &policy("Self")).await.is(REFUSED);
}

#[tokio::test]
async fn after_deletion_it_is_allowed_again() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.must("DELETE /certificates/mycert1/pending", "").await;
    client.create("mycert1", "Unknown").await;
}

#[tokio::test]
async fn of_creates_at_the_same_instant_one_wins() {
    let client = Client::start().await;
    let body = policy("Unknown");
    let replies = join_all((0..8).map(|_| client.send("POST /certificates/mycert1/create", &body))).await;
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409, 409, 409]);
}
