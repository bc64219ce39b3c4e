//! Server-Sent Events: the pending operations of one certificate, pushed.

use crate::client::{Client, HOST};
use axum::body::Body;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// One event of a stream.
#[derive(Debug, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: Value,
}

impl Event {
    fn status(&self) -> &str {
        self.data["status"].as_str().unwrap_or_default()
    }
}

struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    /// Opens a stream; the answer must be one.
    async fn open(client: &Client, query: &str, last_event_id: Option<&str>) -> Self {
        let response = client.router.clone().oneshot(request(query, last_event_id)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let mut events = Self { body: response.into_body().into_data_stream(), text: String::new() };
        assert_eq!(events.block().await.unwrap(), "retry: 1000");
        events
    }

    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(120), self.body.next()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    async fn next(&mut self) -> Option<Event> {
        let block = self.block().await?;
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
        Some(Event { kind: field("event: ").unwrap(), id: field("id: "), data })
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn request(query: &str, last_event_id: Option<&str>) -> Request<Body> {
    let mut request = Request::get(format!("/certificates/mycert1/pending/watch?api-version=7.4{query}"))
        .header("host", HOST)
        .header("authorization", "Bearer t");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_watch_shows_what_is_there_then_what_happens_and_ends_with_it() {
    let client = Client::start().await;
    client.test_issuer("holding", "hold").await;
    client.create("mycert1", "holding").await;
    client.until("mycert1", |operation| operation["status_details"].as_str().unwrap().contains("holds")).await;
    let shown = client.must("GET /certificates/mycert1/pending", "").await;
    let mut events = Events::open(&client, "&until_terminal=true", None).await;
    assert_eq!(events.next().await.unwrap(), Event { kind: "snapshot".into(), id: None, data: shown });
    let bookmark = events.next().await.unwrap();
    assert_eq!((bookmark.kind.as_str(), &bookmark.data["reason"]), ("bookmark", &"caughtUp".into()));
    assert!(bookmark.id.is_some());
    client.must("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#).await;
    let rest = events.rest().await;
    let told: Vec<(&str, &str)> = rest.iter().map(|event| (event.kind.as_str(), event.status())).collect();
    assert_eq!(told, [("updated", "inProgress"), ("updated", "cancelled"), ("end", "")]);
    assert_eq!(rest[1].data, client.must("GET /certificates/mycert1/pending", "").await);
}

#[tokio::test]
async fn a_watch_continues_after_the_last_event_id() {
    let client = Client::start().await;
    let mut events = Events::open(&client, "", None).await;
    let before = events.next().await.unwrap().id.unwrap();
    drop(events);
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    client.must("DELETE /certificates/mycert1/pending", "").await;
    let mut events = Events::open(&client, "", Some(&before)).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|(kind, _)| kind != "deleted") {
        let event = events.next().await.unwrap();
        told.push((event.kind.clone(), event.status().to_owned()));
    }
    let told: Vec<(&str, &str)> = told.iter().map(|(kind, status)| (kind.as_str(), status.as_str())).collect();
    assert_eq!(told, [("created", "inProgress"), ("updated", "completed"), ("deleted", "completed")]);
}

#[tokio::test]
async fn no_snapshot_is_sent_where_none_is_wanted() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let mut events = Events::open(&client, "&snapshot=none", None).await;
    assert_eq!(events.next().await.unwrap().kind, "bookmark");
}

#[tokio::test]
async fn a_shutdown_sends_a_token_to_resume_from() {
    let closing = CancellationToken::new();
    let client = Client::with(|mut options| {
        options.closing = closing.clone();
        options
    })
    .await;
    let mut events = Events::open(&client, "", None).await;
    events.next().await.unwrap();
    closing.cancel();
    let rest = events.rest().await;
    assert_eq!((rest[0].kind.as_str(), &rest[0].data["reason"]), ("bookmark", &"closing".into()));
    assert!(rest[0].id.is_some());
    assert_eq!((rest[1].kind.as_str(), &rest[1].data["error"]["code"]), ("error", &"ServiceUnavailable".into()));
    assert_eq!(rest.len(), 2);
}

#[tokio::test]
async fn bad_questions_are_refused_before_the_stream_begins() {
    let client = Client::start().await;
    for (query, last_event_id, words) in [
        ("&snapshot=some", None, "Property snapshot has invalid value."),
        ("&until_terminal=1", None, "Property until_terminal has invalid value."),
        ("", Some("nonsense"), "It is not a resume token of this service."),
    ] {
        client.call(request(query, last_event_id)).await.is_refusal(400, "BadParameter", words);
    }
    let unknown = request("&request_id=a76827a18b63421c917da80f28e9913d", None);
    client.call(unknown).await.is_refusal(404, "PendingCertificateNotFound", "request_id");
}

#[tokio::test]
async fn a_token_of_another_log_is_gone() {
    let (client, other) = (Client::start().await, Client::start().await);
    let token = Events::open(&other, "", None).await.next().await.unwrap().id.unwrap();
    client.call(request("", Some(&token))).await.is_refusal(410, "ResumeTokenExpired", "Start again without a token.");
}
