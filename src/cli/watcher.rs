//! A watch that reconnects: it resumes where it was and drops repeated events.

use super::Result;
use super::connection::{Session, backoff};
use super::failure::Failure;
use super::status::{self, Status};
use crate::proto::v1::certificate_service_client::CertificateServiceClient;
use crate::proto::v1::{
    PendingEvent, PendingEventType, WatchPendingRequest, WatchPendingResponse, watch_pending_response::Payload,
};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

/// Before the first message ever: a server that has never worked is given up.
const FIRST_ATTEMPTS: u32 = 5;
/// However long the server asks to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An item of a watch.
pub(crate) enum News {
    Message(Box<WatchPendingResponse>),
    /// The stream broke; it is resumed after the wait.
    Interrupted {
        why: String,
        wait: Duration,
    },
    /// The token was too old: a new snapshot follows, and events in between may be missing.
    StartedAnew,
    /// The server ended the stream because every operation has ended.
    Ended,
}

/// A watch on a connection of its own.
pub(crate) struct Watcher<'a> {
    session: &'a Session,
    client: CertificateServiceClient<Channel>,
    /// The filters, and the token of the last message.
    request: WatchPendingRequest,
    stream: Option<Streaming<WatchPendingResponse>>,
    wait: Option<Duration>,
    /// The last revision of each operation.
    seen: HashMap<String, i64>,
    attempts: u32,
    worked: bool,
}

impl<'a> Watcher<'a> {
    /// Connects; the stream begins with the first `next`.
    pub(crate) async fn open(session: &'a Session, request: WatchPendingRequest) -> Result<Self> {
        Ok(Self {
            session,
            client: session.watch_client().await?,
            request,
            stream: None,
            wait: None,
            seen: HashMap::new(),
            attempts: 0,
            worked: false,
        })
    }

    /// The token of the last message: the watch can go on from here at any time.
    pub(crate) fn resume_token(&self) -> &str {
        &self.request.resume_token
    }

    /// Waits for the next message. Repeated messages are left out.
    pub(crate) async fn next(&mut self) -> Result<News> {
        loop {
            if let Some(wait) = self.wait.take() {
                sleep(wait).await;
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let request = self.session.request(self.request.clone());
                    match self.client.watch_pending(request).await {
                        Ok(response) => self.stream.insert(response.into_inner()),
                        Err(status) => return self.broken(status),
                    }
                }
            };
            match stream.message().await {
                Ok(Some(message)) => {
                    (self.attempts, self.worked) = (0, true);
                    if !message.resume_token.is_empty() {
                        self.request.resume_token.clone_from(&message.resume_token);
                    }
                    if self.is_new(&message) {
                        return Ok(News::Message(Box::new(message)));
                    }
                }
                Ok(None) if self.request.until_terminal => return Ok(News::Ended),
                Ok(None) => return self.broken(Status::unavailable("the server ended the stream")),
                Err(status) => return self.broken(status),
            }
        }
    }

    fn broken(&mut self, status: Status) -> Result<News> {
        self.stream = None;
        // By the reason: a client library has an OUT_OF_RANGE of its own, for a message that is too large.
        let expired =
            status.code() == Code::OutOfRange && status::reason(&status).as_deref() == Some("RESUME_TOKEN_EXPIRED");
        if expired && !self.request.resume_token.is_empty() {
            self.request.resume_token.clear();
            self.seen.clear();
            return Ok(News::StartedAnew);
        }
        self.attempts = self.attempts.saturating_add(1);
        if !status::is_interruption(&status) || (!self.worked && self.attempts >= FIRST_ATTEMPTS) {
            return Err(status.into());
        }
        let wait = status::retry_delay(&status).unwrap_or_else(|| backoff(self.attempts)).min(LONGEST_WAIT);
        self.wait = Some(wait);
        let failure: Box<Failure> = status.into();
        Ok(News::Interrupted { why: failure.message, wait })
    }

    /// A revision that is not above the last one is a repeat; a deletion keeps the revision of the last state.
    fn is_new(&mut self, message: &WatchPendingResponse) -> bool {
        let Some(Payload::Event(PendingEvent { r#type, operation: Some(operation), .. })) = &message.payload else {
            return true;
        };
        if [PendingEventType::Deleted, PendingEventType::Overwritten].map(i32::from).contains(r#type) {
            self.seen.remove(&operation.request_id);
            return true;
        }
        match self.seen.get_mut(&operation.request_id) {
            Some(last) if operation.revision <= *last => false,
            Some(last) => {
                *last = operation.revision;
                true
            }
            None => {
                self.seen.insert(operation.request_id.clone(), operation.revision);
                true
            }
        }
    }
}
