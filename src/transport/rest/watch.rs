//! `GET /certificates/{name}/pending/watch`: the transitions of one certificate's operations as
//! Server-Sent Events (WHATWG HTML section 9.2), from the same log as the gRPC stream.
//!
//! `event` is the kind (`snapshot`, `created`, `updated`, `deleted`, `overwritten`, `bookmark`,
//! `error`, `end`), `id` the resume token, `data` the operation as GET pending answers it.

use super::super::auth::until_over;
use super::super::errors::row;
use super::super::listener::{Account, ConnectionInfo};
use super::answer::{Answer, Links, json};
use super::call::Call;
use super::failure::Failure;
use super::model::operation::OperationAnswer;
use super::pending::wanted;
use crate::domain::pending::TransitionKind;
use crate::domain::{Error, Operation};
use crate::service::PendingRef;
use crate::service::watch::{Bookmark, Snapshot, Subscriber, WatchItem, WatchRequest, WatchStream};
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::convert::Infallible;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a browser waits before it connects again, in milliseconds. It also opens the stream:
/// proxies hold back an answer without a first byte.
const OPENING: &[u8] = b"retry: 1000\n\n";

pub(super) async fn watch(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let PendingRef { vault, name, request_id } = wanted(call, name)?;
    let resume = call.parts.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let request = WatchRequest {
        vault: Some(vault),
        names: vec![name],
        prefix: String::new(),
        request_id,
        statuses: Vec::new(),
        resume_token: resume.unwrap_or_default().to_owned(),
        snapshot: snapshot(call.address.query("snapshot"))?,
        until_terminal: flag("until_terminal", call.address.query("until_terminal"))?,
        heartbeat: None,
        deadline: None,
    };
    // Without a port of ours below (in a test) only the server's stop ends the stream.
    let (connection, closing) = match call.parts.extensions.get::<ConnectionInfo>() {
        Some(info) => (info.id, info.closing.clone()),
        None => (0, call.options.closing.clone()),
    };
    let who = Subscriber { principal: call.principal.name.to_string(), connection };
    let items =
        until_over(call.service.watch().open(call.permit(request).await?, &who, closing).await?, &call.principal);
    if let Some(account) = call.parts.extensions.get::<Account>() {
        account.limited_elsewhere(0);
    }
    let metrics = call.service.metrics().clone();
    let items = Box::pin(items.inspect(move |item| {
        if let Err(error) = item {
            metrics.watch_ended(row(error.reason).wire());
        }
    }));
    let body = Body::from_stream(events(items, call.links.clone()));
    Ok(Answer::new(StatusCode::OK, HeaderValue::from_static("text/event-stream"), body))
}

fn events(items: WatchStream, links: Links) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send {
    let opening = futures_util::stream::once(std::future::ready(Bytes::from_static(OPENING)));
    let mut failed = false;
    // An end without an error is sent too: a browser would take it for a lost connection.
    let items = items.map(Some).chain(futures_util::stream::once(std::future::ready(None)));
    let told = items.filter_map(move |item| {
        let event = match item {
            Some(Ok(item)) => Some(encoded(&item, &links)),
            Some(Err(error)) => {
                failed = true;
                Some(event("error", None, &Failure::from(error).body()))
            }
            None => (!failed).then(|| event("end", None, b"{}")),
        };
        std::future::ready(event)
    });
    opening.chain(told).map(Ok)
}

fn encoded(item: &WatchItem, links: &Links) -> Bytes {
    let operation = |operation: &Operation| json(&OperationAnswer::new(operation, links));
    match item {
        WatchItem::Snapshot(shown) => event("snapshot", None, &operation(shown)),
        WatchItem::Event(logged) => {
            let kind = match logged.transition.kind {
                TransitionKind::Created => "created",
                TransitionKind::Updated => "updated",
                TransitionKind::Deleted => "deleted",
                TransitionKind::Overwritten => "overwritten",
            };
            event(kind, Some(&logged.resume_token), &operation(&logged.transition.operation))
        }
        WatchItem::Bookmark { kind, resume_token } => {
            let reason = match kind {
                Bookmark::CaughtUp => "caughtUp",
                Bookmark::Heartbeat => "heartbeat",
                Bookmark::Closing => "closing",
            };
            event("bookmark", Some(resume_token), &json(&BookmarkAnswer { reason }))
        }
    }
}

#[derive(Serialize)]
struct BookmarkAnswer {
    reason: &'static str,
}

/// One event. JSON as it is written here has no line breaks, so it is one line of `data`.
fn event(kind: &str, id: Option<&str>, data: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(data.len() + 96);
    if let Some(id) = id {
        text.extend_from_slice(b"id: ");
        text.extend_from_slice(id.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

fn snapshot(text: Option<&str>) -> Result<Option<Snapshot>, Error> {
    match text {
        None => Ok(None),
        Some("none") => Ok(Some(Snapshot::None)),
        Some("inProgress") => Ok(Some(Snapshot::InProgress)),
        Some("all") => Ok(Some(Snapshot::All)),
        Some(_) => Err(Error::field("snapshot", "Use none, inProgress or all.")),
    }
}

/// A parameter that is `true` or `false`.
pub(super) fn flag(name: &'static str, text: Option<&str>) -> Result<bool, Error> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::field(name, "Use true or false.")),
    }
}
