//! Hooks of the use cases for metrics and readiness.

use super::Service;
use super::watch::LogEvent;
use crate::domain::pending::TransitionKind;
use crate::domain::{Error, Operation, Result, Status};
use crate::keys::{NotRun, QueueLoad};
use crate::metrics::{KeyQueue, Metrics, Seen, Tail};
use crate::store::{Batch, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A key that no record has: reading it asks the store, and moves nothing.
const NOTHING: &str = "!";
/// Waits between two pages of the older log, so that counting never stands in the way of callers.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether the use cases can work.
#[derive(Clone, Debug)]
pub struct Health {
    /// Why the store cannot be used, in words for operators.
    pub store: std::result::Result<(), String>,
    /// For how long the log has been ahead of what this process read of it.
    pub tail_lag: Duration,
}

/// Whether the store took the last write. A store may go on to answer reads when its disk is full or read-only.
#[derive(Debug, Default)]
pub(super) struct Writes {
    refused: AtomicBool,
}

impl Writes {
    /// The outcome of a write. A write that was refused for its content does not affect readiness.
    pub(super) fn note<T>(&self, ended: &std::result::Result<T, StoreError>) {
        match ended {
            Ok(_) => self.refused.store(false, Ordering::Relaxed),
            Err(StoreError::Unavailable(_)) => self.refused.store(true, Ordering::Relaxed),
            Err(StoreError::Conflict(_) | StoreError::Broken(_)) => {}
        }
    }
}

impl Service {
    /// Counts in `metrics` from here on. Call it before the service is shared.
    #[must_use]
    pub fn counting_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Where this service counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Asks the store for a record and for its head, and answers within `patience`. Where the last write was refused,
    /// it tries an empty commit: a server that is not ready gets no writes that would show when they succeed again.
    pub async fn health(&self, patience: Duration) -> Health {
        let asked = async {
            self.store.get(NOTHING).await?;
            let head = *self.store.head().borrow();
            self.store.events(head, 1).await?;
            if self.writes.refused.load(Ordering::Relaxed) {
                let tried = self.store.commit(Batch::default()).await;
                self.writes.note(&tried);
                tried?;
            }
            Ok::<(), StoreError>(())
        };
        let store = match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        };
        Health { store, tail_lag: self.tail_state().lag }
    }

    /// Sets the levels that nobody counts along.
    pub fn measure(&self, metrics: &Metrics) {
        let load = self.keys.load();
        let QueueLoad { waiting, running, short_time, long_time, not_run } = load.queue;
        let NotRun { share, full, displaced, late, gone } = not_run;
        metrics.set_keys(KeyQueue {
            waiting,
            running,
            waiting_time: [("short", short_time), ("long", long_time)],
            not_run: [("share", share), ("full", full), ("displaced", displaced), ("deadline", late), ("gone", gone)],
            ready_rsa_2048: load.ready_rsa_2048,
            ready_rsa_3072: load.ready_rsa_3072,
            ready_rsa_4096: load.ready_rsa_4096,
        });
        metrics.set_tail(self.tail_state());
        metrics.set_records_refused(self.records.refused());
    }

    fn tail_state(&self) -> Tail {
        let head = *self.store.head().borrow();
        let lag = self.hub.lag(head);
        Tail { streams: self.hub.streams(), revision: self.hub.head(), head, lag }
    }

    /// Counts an event that the tail of the log brought.
    pub(super) fn count(&self, event: &LogEvent) {
        self.metrics.operations.seen(seen(event));
        let age = self.now().0.saturating_sub(event.transition.at.0);
        // Clocks of replicas differ: an event from the future has age zero.
        self.metrics.watch_event_age.observe(Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs_f64());
    }

    /// Reads what the log holds of the time before this start, to know what is in progress.
    pub async fn count_history(&self) -> Result<()> {
        let operations = &self.metrics.operations;
        operations.begin_history();
        let counted = self.read_history(|event| operations.history(seen(event))).await;
        operations.end_history();
        counted
    }

    async fn read_history(&self, mut see: impl FnMut(&LogEvent)) -> Result<()> {
        let goal = self.hub.start();
        let mut cursor = self.store.events(0, 1).await?.trimmed;
        while cursor < goal {
            let page = self.store.events(cursor, self.limits.watch.page).await?;
            let Some(last) = page.events.last() else { break };
            for event in page.events.iter().take_while(|event| event.revision <= goal) {
                see(&self.hub.decode(event)?);
            }
            // Trimmed away meanwhile: what is left is read.
            cursor = last.revision.max(page.trimmed);
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<(), Error>(())
    }
}

/// What an event of the log means for the counts.
fn seen(event: &LogEvent) -> Seen<'_> {
    let operation = &event.transition.operation;
    let (gone, transition) = match event.transition.kind {
        TransitionKind::Created => (false, "created"),
        TransitionKind::Deleted => (true, "deleted"),
        TransitionKind::Overwritten => (true, "overwritten"),
        TransitionKind::Updated => (false, ended_as(operation, event.transition.previous)),
    };
    Seen {
        id: operation.request_id.as_u128(),
        issuer: &operation.issuer.name,
        transition,
        open: !gone && operation.in_progress(),
    }
}

/// Only a merge completes what no issuer works on.
fn ended_as(operation: &Operation, before: Option<Status>) -> &'static str {
    let nobody = operation.issuer.name.eq_ignore_ascii_case("Unknown") || before != Some(Status::InProgress);
    match operation.status() {
        Status::InProgress => "noted",
        Status::Completed if nobody => "merged",
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}
