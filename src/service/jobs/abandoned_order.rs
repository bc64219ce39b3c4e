//! Orders that outlive their operation, because it was deleted, its deadline passed, or what it asks for is not allowed
//! any more: each is a separate record, due until the issuer has confirmed the cancellation.

use super::{Due, Jobs};
use crate::domain::pending::Event;
use crate::domain::{Blob, OperationError, Result, Timestamp};
use crate::service::ca::Ended;
use crate::service::issuers::{Asked, Outcome, waits};
use crate::service::pending::updated;
use crate::service::records::{PendingRecord, key};
use crate::store::{Batch, Delete, Record};

impl Jobs {
    /// Fails an operation. What the issuer may have of it is to be cancelled: the same commit says so. False if somebody
    /// else changed the record meanwhile.
    pub(super) async fn withdraw(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        error: OperationError,
        now: Timestamp,
    ) -> Result<bool> {
        let before = pending.operation.clone();
        let order = PendingRecord {
            attempts: 0,
            planned: Some(now),
            deadline: self.context.cancelling_until(now),
            ..pending.clone()
        };
        pending.operation = before.clone().apply(Event::Failed(error), now)?;
        pending.planned = None;
        let place = key::abandoned_order(&before.vault, before.request_id);
        // One that is there is of an earlier operation with this id, and so of the same order.
        let known = self.context.store.get(place.as_str()).await?.map(|known| known.revision);
        let puts = vec![
            self.context.records.replace(record, &pending, None)?,
            self.context.records.put(&place, known, &order, Some(now))?,
        ];
        let events = vec![updated(&pending.operation, &before)?];
        let mut batch = Batch { puts, events, ..Batch::default() };
        let logged = self.cas.log.end(&mut batch, pending.intent.as_ref(), Ended::Abandoned).await?;
        let saved = self.context.try_commit(batch).await?.is_some();
        self.cas.log.count(logged.filter(|_| saved));
        self.renewals.count(&pending.operation, saved);
        Ok(saved)
    }

    /// Cancels such an order at the issuer, until it has answered or the deadline for that has passed.
    pub(super) async fn step_abandoned_order(&self, due: Due) -> Result<()> {
        let record = &due.record;
        let mut pending: PendingRecord = self.context.records.read(record)?;
        pending.operation.cancellation_requested = true;
        let operation = &pending.operation;
        if pending.deadline <= self.context.now() {
            tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, issuer = operation.issuer.name, "an issuer never confirmed the cancellation of an order; giving up");
            return self.context.remove(record).await;
        }
        let before = operation.clone();
        let asked = self.issuing.ask(&pending, due.until).await.or_else(|error| waits(&pending, error))?;
        let Asked { outcome, beside: mut batch, intent: _ } = asked;
        match outcome {
            Outcome::Open { checkpoint, again, progress, .. } => {
                pending.checkpoint = Blob(checkpoint.0);
                pending.attempts = if progress { 0 } else { pending.attempts.saturating_add(1) };
                let due_again = Some(self.context.now().plus(again));
                let saved = self.save(record, pending, due_again, batch).await?;
                return if saved { Ok(()) } else { self.hand_over(&before, due.until).await };
            }
            Outcome::TooLate => return Ok(()),
            Outcome::Issued(_) => {
                tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, "a certificate was issued for a pending operation that had been deleted, or had failed");
            }
            Outcome::Ended(_) | Outcome::Withdrawn(_) => {}
        }
        batch.deletes.push(Delete { key: record.key.clone(), expected: record.revision });
        match self.context.try_commit(batch).await? {
            Some(_) => Ok(()),
            None => self.hand_over(&before, due.until).await,
        }
    }
}
