//! The stream that says when a version is complete. It resumes where it was, and is opened again for ever.

use super::board::Board;
use super::server::Server;
use crate::cli::connection::backoff;
use crate::cli::failure::Result;
use crate::cli::watcher::{News, Watcher};
use crate::proto::v1::watch_pending_response::Payload;
use crate::proto::v1::{
    BookmarkReason, PendingEvent, PendingEventType, PendingStatus, WatchPendingRequest, WatchSnapshot,
};
use std::time::Duration;
use tokio::time::sleep;
use tracing::{debug, info, warn};

/// Names of one stream: the limit of the contract.
pub(super) const MOST_NAMES: usize = 1000;
/// Between attempts, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A stream for certificates of one vault.
pub(super) struct Stream {
    vault: String,
    names: Vec<String>,
    /// Of the last message.
    token: String,
    /// Nothing can have been missed.
    synced: bool,
    open: bool,
}

impl Stream {
    pub(super) fn new(vault: String, names: Vec<String>) -> Self {
        Self { vault, names, token: String::new(), synced: false, open: false }
    }

    pub(super) fn vault(&self) -> &str {
        &self.vault
    }

    /// Follows the stream. `wake` gets the name of a certificate that has a new version, or nothing where all may have one.
    pub(super) async fn follow(mut self, server: &Server, board: &Board, wake: impl Fn(Option<&str>)) {
        let mut attempts = 0_u32;
        loop {
            let before = self.token.clone();
            let ended = self.attempt(server, board, &wake).await;
            self.set_open(board, false);
            attempts = if before == self.token { attempts.saturating_add(1) } else { 1 };
            server.forget().await;
            let wait = (backoff(attempts) * attempts.min(30)).min(LONGEST_WAIT);
            if let Err(failure) = ended {
                warn!(
                    vault = self.vault,
                    problem = failure.message,
                    wait_ms = wait.as_millis(),
                    "the server cannot be followed; files stay as they are"
                );
            }
            sleep(wait).await;
        }
    }

    async fn attempt(&mut self, server: &Server, board: &Board, wake: &impl Fn(Option<&str>)) -> Result<()> {
        let session = server.session().await?;
        let request = WatchPendingRequest {
            vault_name: self.vault.clone(),
            certificate_names: self.names.clone(),
            snapshot: WatchSnapshot::None.into(),
            resume_token: self.token.clone(),
            ..Default::default()
        };
        let mut watcher = Watcher::open(&session, request).await?;
        loop {
            let news = watcher.next().await;
            self.token = watcher.resume_token().to_owned();
            match news? {
                News::Message(message) => match &message.payload {
                    Some(Payload::Event(event)) => {
                        if let Some(name) = news_of(event) {
                            debug!(certificate = name, "a new version is complete");
                            wake(Some(name));
                        }
                    }
                    Some(Payload::Bookmark(bookmark)) if bookmark.reason == i32::from(BookmarkReason::CaughtUp) => {
                        if !self.open {
                            info!(vault = self.vault, certificates = self.names.len(), "the server is followed");
                        }
                        self.set_open(board, true);
                        if !self.synced {
                            self.synced = true;
                            wake(None);
                        }
                    }
                    _ => {}
                },
                News::Interrupted { why, wait } => {
                    self.set_open(board, false);
                    info!(
                        vault = self.vault,
                        problem = why,
                        wait_ms = wait.as_millis(),
                        "the stream was interrupted; it is resumed"
                    );
                }
                News::StartedAnew => self.synced = false,
                News::Ended => return Ok(()),
            }
        }
    }

    fn set_open(&mut self, board: &Board, open: bool) {
        if self.open != open {
            self.open = open;
            board.stream(open);
        }
    }
}

/// The certificate that an event gives a new version: by its completion, or by an import over an operation.
fn news_of(event: &PendingEvent) -> Option<&str> {
    let operation = event.operation.as_ref()?;
    let completed = operation.status == i32::from(PendingStatus::Completed);
    let overwritten = event.r#type == i32::from(PendingEventType::Overwritten);
    (completed || overwritten).then_some(operation.certificate_name.as_str())
}
