//! What the log says of operations, for the metrics.

use super::{LogEvent, Watch};
use crate::domain::pending::TransitionKind;
use crate::domain::{Operation, Status};
use crate::metrics::Seen;
use std::time::Duration;

impl Watch {
    /// Counts an event that the tail of the log brought.
    pub(super) fn count(&self, event: &LogEvent) {
        self.context.metrics.operations.seen(seen(event));
        let age = self.context.now().0.saturating_sub(event.transition.at.0);
        // Clocks of replicas differ: what comes from the future is young.
        self.context
            .metrics
            .watch_event_age
            .observe(Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs_f64());
    }
}

/// What an event of the log means for the counts.
pub(in crate::service) fn seen(event: &LogEvent) -> Seen<'_> {
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
