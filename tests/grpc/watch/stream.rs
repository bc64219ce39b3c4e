//! A stream as a client reads it, message by message.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use crate::server::{Server, soon};
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::*;
use tonic::{Status, Streaming};

/// An open stream on a connection of its own.
pub(crate) struct Watch(Streaming<WatchPendingResponse>);

/// All that a stream said until it ended, and how it ended; `None` is OK.
pub(crate) type Told = (Vec<WatchPendingResponse>, Option<Status>);

impl Watch {
    pub(crate) async fn open(server: &Server, request: WatchPendingRequest) -> Self {
        Self::try_open(server, request).await.unwrap()
    }

    pub(crate) async fn try_open(server: &Server, request: WatchPendingRequest) -> Result<Self, Status> {
        let mut client = server.certificates().await;
        soon("the headers of a watch", client.watch_pending(request)).await.map(|answer| Self(answer.into_inner()))
    }

    /// The next message; the stream must not end.
    pub(crate) async fn next(&mut self) -> WatchPendingResponse {
        match soon("a message", self.0.message()).await {
            Ok(Some(message)) => message,
            end => panic!("the stream has ended: {end:?}"),
        }
    }

    /// The next messages in short.
    pub(crate) async fn said(&mut self, count: usize) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..count {
            said.push(short(&self.next().await));
        }
        said
    }

    /// Everything that is left, and the end.
    pub(crate) async fn rest(mut self) -> Told {
        let mut told = Vec::new();
        loop {
            match soon("the end of the stream", self.0.message()).await {
                Ok(Some(message)) => told.push(message),
                Ok(None) => return (told, None),
                Err(status) => return (told, Some(status)),
            }
        }
    }
}

/// Everything that a watch says; it must end with OK.
pub(crate) async fn watched(server: &Server, request: WatchPendingRequest) -> Vec<WatchPendingResponse> {
    let (told, end) = Watch::open(server, request).await.rest().await;
    assert!(end.is_none(), "{end:?}");
    told
}

/// One message in a line: `updated mycert1 r2: in progress, then completed`; `no token` where it has none.
pub(crate) fn short(message: &WatchPendingResponse) -> String {
    let token = if message.resume_token.is_empty() { ", no token" } else { "" };
    let text = match message.payload.as_ref().unwrap() {
        Payload::Bookmark(bookmark) => {
            assert!(bookmark.server_time.is_some_and(|time| time.seconds > 1_700_000_000));
            name(bookmark.reason().as_str_name(), "BOOKMARK_REASON_")
        }
        Payload::Event(event) => {
            assert!(event.event_time.is_some_and(|time| time.seconds > 1_700_000_000));
            let operation = event.operation.as_ref().unwrap();
            let before = match event.previous_status() {
                PendingStatus::Unspecified => String::new(),
                status => name(status.as_str_name(), "PENDING_STATUS_") + ", then ",
            };
            format!(
                "{} {} r{}: {before}{}",
                name(event.r#type().as_str_name(), "PENDING_EVENT_TYPE_"),
                operation.certificate_name,
                operation.revision,
                name(operation.status().as_str_name(), "PENDING_STATUS_"),
            )
        }
    };
    text + token
}

pub(crate) fn shorts(told: &[WatchPendingResponse]) -> Vec<String> {
    told.iter().map(short).collect()
}

fn name(value: &str, prefix: &str) -> String {
    value.strip_prefix(prefix).unwrap().to_ascii_lowercase().replace('_', " ")
}

/// The operation of an event.
pub(crate) fn operation(message: &WatchPendingResponse) -> &PendingOperation {
    match message.payload.as_ref() {
        Some(Payload::Event(event)) => event.operation.as_ref().unwrap(),
        other => panic!("no event: {other:?}"),
    }
}
