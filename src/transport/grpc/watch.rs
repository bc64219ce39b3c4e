//! `WatchPending`: the stream of the use case as messages that are encoded once for all streams.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use super::call::{Call, of_field, optional_id};
use super::certificates::without_call;
use super::frames::{Frames, framed};
use super::framework_errors::undecodable;
use super::policy::time;
use super::reply;
use super::status::status;
use crate::clock::{Clock, SystemClock};
use crate::domain::pending::TransitionKind;
use crate::domain::{CertificateName, Error, Operation, Result, Status as PendingStatus};
use crate::proto::v1::{self, watch_pending_response::Payload};
use crate::service::Service;
use crate::service::watch::{Bookmark, LogEvent, Snapshot, WatchItem, WatchRequest};
use crate::transport::auth::until_over;
use crate::transport::errors::row;
use crate::transport::listener::Account;
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prost::Message;
use std::time::Duration;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder};
use tonic::metadata::MetadataValue;
use tonic::{Status, Streaming};

const GRPC_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Opens the stream that a request asks for, and answers with it.
pub(super) async fn answer(
    service: &Service,
    request: http::Request<Body>,
    deadline: Option<Instant>,
) -> http::Response<Body> {
    match open(service, request, deadline).await {
        Ok(body) => {
            let mut response = http::Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
            response
        }
        Err(status) => status.into_http(),
    }
}

async fn open(service: &Service, request: http::Request<Body>, deadline: Option<Instant>) -> Result<Body, Status> {
    let (mut parts, body) = request.into_parts();
    if let Some(encoding) = parts.headers.get(ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(compressed(encoding));
    }
    // The whole request is read before the answer begins, as of calls with one answer.
    let mut messages = Streaming::new_request(Requests, body, None, Some(service.limits().request_body_bytes));
    let message = messages.message().await?.ok_or_else(|| Status::internal("Missing request message."))?;
    messages.trailers().await?;
    let call = parts.extensions.remove::<Call>().ok_or_else(|| status(without_call()))?;
    let include_csr = message.include_csr;
    // The names are kept twice: as they were asked for, and in the index.
    let keeps = 2 * message.encoded_len();
    let patience = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let wanted = parse(&call, message, patience).await.map_err(status)?;
    let wanted = call.permit(wanted).await.map_err(status)?;
    let stream = service.watch().open(wanted, &call.subscriber(), call.closing.clone()).await.map_err(status)?;
    if let Some(account) = parts.extensions.get::<Account>() {
        account.limited_elsewhere(keeps);
    }
    let stream = until_over(stream, &call.principal);
    let metrics = service.metrics().clone();
    let ended = move |error: Error| {
        metrics.watch_ended(row(error.reason).wire());
        status(error)
    };
    let base = call.base();
    let messages = stream.map(move |item| item.map(|item| encode(item, &base, include_csr)).map_err(&ended));
    Ok(Body::new(Frames::new(messages)))
}

/// In the words of the framework, which the caller gets from every other method.
fn compressed(encoding: &HeaderValue) -> Status {
    let encoding = String::from_utf8_lossy(encoding.as_bytes());
    let mut refused = Status::unimplemented(format!("Content is compressed with `{encoding}` which isn't supported"));
    refused.metadata_mut().insert(ACCEPT_ENCODING, MetadataValue::from_static("identity"));
    refused
}

/// Decodes the one message of the request.
struct Requests;

impl Decoder for Requests {
    type Item = v1::WatchPendingRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        v1::WatchPendingRequest::decode(buffer).map(Some).map_err(|_| status(undecodable()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(256, 32 * 1024)
    }
}

async fn parse(call: &Call, message: v1::WatchPendingRequest, deadline: Option<Duration>) -> Result<WatchRequest> {
    let v1::WatchPendingRequest {
        vault_name,
        certificate_names,
        certificate_name_prefix,
        request_id,
        statuses: numbers,
        resume_token,
        snapshot,
        until_terminal,
        heartbeat_interval,
        include_csr: _,
    } = message;
    let snapshot = match v1::WatchSnapshot::try_from(snapshot) {
        Ok(v1::WatchSnapshot::Unspecified) => None,
        Ok(v1::WatchSnapshot::None) => Some(Snapshot::None),
        Ok(v1::WatchSnapshot::InProgress) => Some(Snapshot::InProgress),
        Ok(v1::WatchSnapshot::All) => Some(Snapshot::All),
        Err(_) => return Err(Error::field("snapshot", format!("{snapshot} is not a value of this enum."))),
    };
    let heartbeat = heartbeat_interval
        .map(|interval| Duration::try_from(interval).map_err(|_| Error::field("heartbeat_interval", "It is negative.")))
        .transpose()?;
    Ok(WatchRequest {
        vault: call.vault_or_all(&vault_name).await?,
        names: (0..).zip(&certificate_names).map(|(index, name)| nth_name(index, name)).collect::<Result<_>>()?,
        prefix: certificate_name_prefix,
        request_id: optional_id(&request_id)?,
        statuses: statuses(&numbers)?,
        resume_token,
        snapshot,
        until_terminal,
        heartbeat,
        deadline,
    })
}

fn nth_name(index: usize, name: &str) -> Result<CertificateName> {
    of_field(&format!("certificate_names[{index}]"), CertificateName::parse(name))
}

/// The statuses of a filter, each once: they are compared with every event. A number without a name is refused.
pub(super) fn statuses(numbers: &[i32]) -> Result<Vec<PendingStatus>> {
    let mut statuses = Vec::new();
    for number in numbers {
        let status = match v1::PendingStatus::try_from(*number) {
            Ok(v1::PendingStatus::InProgress) => PendingStatus::InProgress,
            Ok(v1::PendingStatus::Completed) => PendingStatus::Completed,
            Ok(v1::PendingStatus::Cancelled) => PendingStatus::Cancelled,
            Ok(v1::PendingStatus::Failed) => PendingStatus::Failed,
            Ok(v1::PendingStatus::Unspecified) | Err(_) => {
                return Err(Error::field("statuses", format!("{number} is not a status that an operation can have.")));
            }
        };
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

fn encode(item: WatchItem, base: &str, include_csr: bool) -> Bytes {
    match item {
        WatchItem::Snapshot(operation) => bytes(String::new(), snapshot(&operation, base, include_csr)),
        WatchItem::Event(event) => event.encoded(usize::from(include_csr), base, || {
            bytes(event.resume_token.clone(), transition(&event, base, include_csr))
        }),
        WatchItem::Bookmark { kind, resume_token } => {
            let reason = match kind {
                Bookmark::CaughtUp => v1::BookmarkReason::CaughtUp,
                Bookmark::Heartbeat => v1::BookmarkReason::Heartbeat,
                Bookmark::Closing => v1::BookmarkReason::Closing,
            };
            let server_time = Some(time(SystemClock.now()));
            bytes(resume_token, Payload::Bookmark(v1::WatchBookmark { reason: reason.into(), server_time }))
        }
    }
}

fn bytes(resume_token: String, payload: Payload) -> Bytes {
    framed(&v1::WatchPendingResponse { resume_token, payload: Some(payload) })
}

fn snapshot(operation: &Operation, base: &str, include_csr: bool) -> Payload {
    Payload::Event(v1::PendingEvent {
        r#type: v1::PendingEventType::Snapshot.into(),
        operation: Some(reply::operation(operation, base, include_csr)),
        previous_status: v1::PendingStatus::Unspecified.into(),
        event_time: Some(time(operation.updated)),
    })
}

fn transition(event: &LogEvent, base: &str, include_csr: bool) -> Payload {
    let transition = &event.transition;
    let kind = match transition.kind {
        TransitionKind::Created => v1::PendingEventType::Created,
        TransitionKind::Updated => v1::PendingEventType::Updated,
        TransitionKind::Deleted => v1::PendingEventType::Deleted,
        TransitionKind::Overwritten => v1::PendingEventType::Overwritten,
    };
    Payload::Event(v1::PendingEvent {
        r#type: kind.into(),
        operation: Some(reply::operation(&transition.operation, base, include_csr)),
        previous_status: transition.previous.map_or(0, reply::status_number),
        event_time: Some(time(transition.at)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_asked_for_a_thousand_times_is_compared_once() {
        let numbers = [v1::PendingStatus::Failed as i32, v1::PendingStatus::Completed as i32].repeat(500);
        assert_eq!(statuses(&numbers).unwrap(), [PendingStatus::Failed, PendingStatus::Completed]);
        assert!(statuses(&[1, 77]).is_err());
    }
}
