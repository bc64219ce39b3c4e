//! Hooks of the use cases for metrics and readiness.

use super::Service;
use super::context::Context;
use super::watch::LogEvent;
use super::watch::seen;
use crate::domain::{Error, Result};
use crate::keys::{NotRun, QueueLoad};
use crate::metrics::{KeyQueue, Metrics, Tail};
use crate::store::{Batch, StoreError};
use std::sync::Arc;
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
    /// Why a sink of the audit ledger cannot be written, where requests are refused for it.
    pub audit: Option<String>,
}

impl Service {
    /// Where this service counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.context.metrics
    }

    /// Asks the store for a record and for its head, and answers within `patience`. Where the last write was refused,
    /// it tries an empty commit: a server that is not ready gets no writes that would show when they succeed again.
    pub async fn health(&self, patience: Duration) -> Health {
        let asked = async {
            self.context.store.get(NOTHING).await?;
            let head = *self.context.store.head().borrow();
            self.context.store.events(head, 1).await?;
            if self.context.writes.are_refused() {
                let tried = self.context.store.commit(Batch::default()).await;
                self.context.writes.note(&tried);
                tried?;
            }
            Ok::<(), StoreError>(())
        };
        let store = match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        };
        let ledger = self.context.writes.ledger();
        let audit = ledger.failure().filter(|_| ledger.refuses());
        Health { store, audit, tail_lag: tail_of(&self.context).lag }
    }

    /// Sets the levels that nobody counts along.
    pub fn measure(&self, metrics: &Metrics) {
        let load = self.context.keys.load();
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
        metrics.set_tail(tail_of(&self.context));
        metrics.set_records_refused(self.context.records.refused());
        let (denied, would_deny) = self.access.denials();
        metrics.set_refused(denied, would_deny, self.access.limited());
        let (lines, failures) = self.audit().counts();
        metrics.set_audit(lines, failures);
        metrics.set_events_unreadable(self.context.hub.unreadable());
        metrics.operations.webhooks.dropped(self.context.writes.outbox().dropped());
        metrics.set_issuers(&self.issuers.control().issuer_counts());
    }

    /// Reads what the log holds of the time before this start, to know what is in progress.
    pub async fn count_history(&self) -> Result<()> {
        let operations = &self.context.metrics.operations;
        operations.begin_history();
        let counted = self.read_history(|event| operations.history(seen(event))).await;
        operations.end_history();
        counted
    }

    async fn read_history(&self, mut see: impl FnMut(&LogEvent)) -> Result<()> {
        let goal = self.context.hub.start();
        let mut cursor = self.context.store.events(0, 1).await?.trimmed;
        while cursor < goal {
            let page = self.context.store.events(cursor, self.context.options.watch.page).await?;
            let Some(last) = page.events.last() else { break };
            for event in page.events.iter().take_while(|event| event.revision <= goal) {
                if let Some(event) = self.context.hub.decode(event) {
                    see(&event);
                }
            }
            // Trimmed away meanwhile: what is left is read.
            cursor = last.revision.max(page.trimmed);
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<(), Error>(())
    }
}

fn tail_of(context: &Context) -> Tail {
    let head = *context.store.head().borrow();
    Tail { streams: context.hub.streams(), revision: context.hub.head(), head, lag: context.hub.lag(head) }
}
