//! WatchPending that goes on over broken connections and restarts of the server, and tells nothing twice.

use crate::Client;
use crate::errors::RichError;
use crate::v1::watch_pending_response::Payload;
use crate::v1::{PendingEventType, WatchPendingRequest, WatchPendingResponse};
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// To go on after a restart of this program, store `resume_token` of each message once it is processed, and begin with
/// the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
pub struct Watch {
    client: Client,
    request: WatchPendingRequest,
    stream: Option<Streaming<WatchPendingResponse>>,
    seen: HashMap<String, i64>,
    failures: u32,
}

impl Watch {
    pub fn new(client: Client, request: WatchPendingRequest) -> Self {
        Self { client, request, stream: None, seen: HashMap::new(), failures: 0 }
    }

    /// The next event or bookmark; none only where the request has `until_terminal`.
    pub async fn next(&mut self) -> Result<Option<WatchPendingResponse>, Status> {
        loop {
            match self.message().await {
                Ok(Some(message)) => {
                    self.failures = 0;
                    if !message.resume_token.is_empty() {
                        self.request.resume_token.clone_from(&message.resume_token);
                    }
                    if !self.is_repeat(&message) {
                        return Ok(Some(message));
                    }
                }
                Ok(None) => return Ok(None),
                Err(status) => self.recover(status).await?,
            }
        }
    }

    async fn message(&mut self) -> Result<Option<WatchPendingResponse>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            // Without a deadline: it lasts.
            None => self.stream.insert(self.client.watch_pending(self.request.clone()).await?.into_inner()),
        };
        stream.message().await
    }

    /// Waits, or forgets the token, where the watch can go on after an error; else returns it.
    async fn recover(&mut self, status: Status) -> Result<(), Status> {
        self.stream = None;
        let error = RichError::of(&status);
        if error.reason == "RESUME_TOKEN_EXPIRED" {
            eprintln!("the resume token has expired: starting again from a snapshot");
            self.request.resume_token.clear();
            self.seen.clear();
            return Ok(());
        }
        // The server went away, or the connection was cut, for which libraries and proxies have several codes.
        if !matches!(error.code, Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled) {
            return Err(status);
        }
        self.failures += 1;
        let wait = error.retry_after().unwrap_or_else(|| backoff(self.failures));
        eprintln!("watch interrupted ({}): resuming in {:.1} s", error.name(), wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// A revision that is not above the last one of the same operation was told before.
    fn is_repeat(&mut self, message: &WatchPendingResponse) -> bool {
        let Some(Payload::Event(event)) = &message.payload else { return false };
        let Some(operation) = &event.operation else { return false };
        if matches!(event.r#type(), PendingEventType::Deleted | PendingEventType::Overwritten) {
            self.seen.remove(&operation.request_id);
            return false;
        }
        let last = self.seen.entry(operation.request_id.clone()).or_default();
        let repeat = operation.revision <= *last;
        *last = operation.revision.max(*last);
        repeat
    }
}

/// 0.1 s to 5 s, with jitter.
fn backoff(failures: u32) -> Duration {
    let longest = (100_u64 << failures.min(10)).min(5000);
    Duration::from_millis(fastrand::u64(100..=longest))
}
