//! Streams show what their caller may read, and end when that becomes less.

use crate::kit::{ADMIN, LONG, Server, create, reason, within_a_second};
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1;
use certmint::proto::v1::watch_pending_response::Payload;
use http_body_util::BodyExt;
use std::time::Instant;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

const WIDE: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "certmint Watcher"
    vault = "default"
    names = ["shop-*", "web"]
"#;
const NARROW: &str = r#"
    [[grant]]
    principal = "token:shop"
    role = "certmint Watcher"
    vault = "default"
    names = ["shop-*"]
"#;

fn wanted(names: &[&str]) -> v1::WatchPendingRequest {
    let certificate_names = names.iter().map(|name| (*name).to_owned()).collect();
    v1::WatchPendingRequest { certificate_names, ..Default::default() }
}

async fn next(stream: &mut Streaming<v1::WatchPendingResponse>) -> Result<v1::WatchPendingResponse, Status> {
    let message = timeout(LONG, stream.message()).await.expect("the stream says something");
    message.map(|message| message.expect("the stream goes on"))
}

/// Up to the next event, whose certificate is answered.
async fn event(stream: &mut Streaming<v1::WatchPendingResponse>) -> String {
    loop {
        if let Some(Payload::Event(event)) = next(stream).await.unwrap().payload {
            return event.operation.unwrap().certificate_name;
        }
    }
}

async fn caught_up(stream: &mut Streaming<v1::WatchPendingResponse>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        match next(stream).await.unwrap().payload.unwrap() {
            Payload::Event(event) => names.push(event.operation.unwrap().certificate_name),
            Payload::Bookmark(_) => return names,
        }
    }
}

#[tokio::test]
async fn a_stream_of_a_vault_shows_the_names_of_the_grants() {
    let server = Server::start(WIDE).await;
    server.begin(&["api", "shop-1", "web", "website"]).await;
    for (vault, shown) in [("", &["shop-1", "web"][..]), ("-", &["shop-1", "shop-2", "web"])] {
        let wanted = v1::WatchPendingRequest { vault_name: vault.to_owned(), ..wanted(&[]) };
        let mut stream = server.client("shop").watch_pending(wanted).await.unwrap().into_inner();
        assert_eq!(caught_up(&mut stream).await, shown, "{vault}");
        let names = if vault.is_empty() { ["hidden-1", "shop-2"] } else { ["hidden-2", "shop-3"] };
        server.begin(&names).await;
        assert_eq!(event(&mut stream).await, names[1], "{vault}");
    }
}

#[tokio::test]
async fn each_name_that_is_watched_has_to_be_readable() {
    let server = Server::start(WIDE).await;
    server.begin(&["shop-1", "api"]).await;
    server.client("shop").watch_pending(wanted(&["shop-1", "web"])).await.unwrap();
    let refused = server.client("shop").watch_pending(wanted(&["shop-1", "api"])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ACCESS_DENIED"));
    let refused = server.client("nobody").watch_pending(wanted(&[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(server.send("shop", "GET /certificates/api/pending/watch", "").await.status, 403);
}

#[tokio::test]
async fn the_request_id_of_a_hidden_operation_is_not_found() {
    let server = Server::start(WIDE).await;
    let made = server.client(ADMIN).create_certificate(create("api", "Unknown")).await.unwrap().into_inner();
    let request_id = made.operation.unwrap().request_id;
    let wanted = v1::WatchPendingRequest { request_id, ..Default::default() };
    let refused = server.client("shop").watch_pending(wanted.clone()).await.unwrap_err();
    let other = v1::WatchPendingRequest { request_id: "1".repeat(32), ..Default::default() };
    let missing = server.client("shop").watch_pending(other.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "PENDING_NOT_FOUND"));
    let without = |text: &str, id: &str| text.replace(id, "ID");
    assert_eq!(
        without(refused.message(), &wanted.request_id),
        without(missing.message(), &other.request_id),
        "they cannot be told apart"
    );
}

#[tokio::test]
async fn a_stream_whose_grant_is_narrowed_ends_at_once_and_says_why() {
    let server = Server::start(WIDE).await;
    server.begin(&["shop-1", "web"]).await;
    let mut named = server.client("shop").watch_pending(wanted(&["shop-1"])).await.unwrap().into_inner();
    caught_up(&mut named).await;
    let mut resume_token = String::new();
    within_a_second("a stream that shows too much ends", async || {
        server.regrant(WIDE);
        let mut wide = server.client("shop").watch_pending(wanted(&[])).await.unwrap().into_inner();
        caught_up(&mut wide).await;
        server.regrant(NARROW);
        let changed = Instant::now();
        let closing = next(&mut wide).await.unwrap();
        let Some(Payload::Bookmark(bookmark)) = closing.payload else { panic!("{closing:?}") };
        assert_eq!(bookmark.reason(), v1::BookmarkReason::Closing);
        assert!(!closing.resume_token.is_empty());
        let end = next(&mut wide).await.unwrap_err();
        assert_eq!((end.code(), reason(&end).as_str()), (Code::PermissionDenied, "ACCESS_CHANGED"));
        resume_token = closing.resume_token;
        changed.elapsed()
    })
    .await;

    server.begin(&["shop-2"]).await;
    let resumed = v1::WatchPendingRequest { resume_token, ..wanted(&[]) };
    let mut resumed = server.client("shop").watch_pending(resumed).await.unwrap().into_inner();
    assert_eq!(event(&mut resumed).await, "shop-2", "it goes on where the other one ended");
    server.must(ADMIN, "DELETE /certificates/shop-1/pending", "").await;
    assert_eq!(event(&mut named).await, "shop-1", "what it shows is still allowed");
}

#[tokio::test]
async fn a_stream_goes_on_where_more_is_granted() {
    let server = Server::start(NARROW).await;
    let mut stream = server.client("shop").watch_pending(wanted(&[])).await.unwrap().into_inner();
    caught_up(&mut stream).await;
    server.regrant(WIDE);
    server.begin(&["web", "shop-1"]).await;
    assert_eq!(event(&mut stream).await, "shop-1", "a stream shows what it showed from its beginning");
}

#[tokio::test]
async fn a_stream_ends_when_its_grant_is_over() {
    // A grant that is over before a busy machine has opened the stream says nothing: then a longer one.
    for seconds in [3, 12, 48] {
        let ends = SystemClock.now().seconds() + seconds;
        let soon = time::OffsetDateTime::from_unix_timestamp(ends).unwrap();
        let expires = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
        let server = Server::start(&format!("{NARROW}\nexpires = \"{expires}\"")).await;
        let opened = server.client("shop").watch_pending(wanted(&[])).await;
        if SystemClock.now().seconds() >= ends {
            continue;
        }
        let mut stream = opened.unwrap().into_inner();
        let end = loop {
            match next(&mut stream).await {
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        assert!(SystemClock.now().seconds() >= ends, "it ended too early");
        assert_eq!(reason(&end), "ACCESS_CHANGED");
        assert_eq!(server.send("shop", "GET /certificates", "").await.status, 403);
        return;
    }
    panic!("no stream was opened within its grant");
}

#[tokio::test]
async fn server_sent_events_end_with_the_error() {
    let server = Server::start(WIDE).await;
    server.begin(&["web"]).await;
    let response = server.respond("localhost", "shop", "GET /certificates/web/pending/watch", "").await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut text = String::new();
    while let Some(frame) = timeout(LONG, body.frame()).await.expect("the stream ends") {
        text.push_str(&String::from_utf8(frame.unwrap().into_data().unwrap().into()).unwrap());
        if text.contains("caughtUp") && !text.contains("event: error") {
            server.regrant(NARROW);
        }
    }
    let tail = text.rsplit("event: error\ndata: ").next().unwrap();
    assert!(text.contains("\"reason\":\"closing\"") && !text.contains("event: end"), "{text}");
    let error: serde_json::Value = serde_json::from_str(tail.trim()).unwrap();
    assert_eq!(error["error"]["innererror"]["code"], "ForbiddenByRbac", "{tail}");
}
