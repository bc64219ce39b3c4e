//! One step of due work. A step is claimed, done once, and committed against the claim: if the record was changed in
//! between, the step is dropped and due again, which every issuer must tolerate.

use super::Service;
use super::ask::{Asked, Outcome, failure};
use super::pending::updated;
use super::records::{Kind, PendingRecord, Place, RequestRecord, concerns_a_record, key};
use crate::domain::pending::{Event, State};
use crate::domain::{Blob, Error, Operation, Result, Timestamp, VaultName};
use crate::issuer::FailureClass;
use crate::keys::{Caller, Work, chain};
use crate::store::{Batch, Delete, Record};
use std::time::Duration;

/// Work that was claimed; only good for [`Service::step`].
#[derive(Debug)]
pub struct Due {
    pub(super) record: Record,
    pub(super) until: Timestamp,
}

impl Service {
    /// Takes up to `limit` due records for the length of one lease.
    pub async fn claim(&self, limit: usize) -> Result<Vec<Due>> {
        let now = self.now();
        self.follow_the_clock(now).await?;
        // That may have taken its time.
        let now = self.now();
        let until = now.plus(self.limits.lease);
        let records = self.store.claim(now, until, limit).await;
        if records.is_err() {
            self.writes.note(&records);
        }
        let records = records?;
        Ok(records.into_iter().map(|record| Due { record, until }).collect())
    }

    /// When there may be due work: at once where something was hinted, `None` if nothing was.
    pub fn next_due(&self) -> Option<Duration> {
        let due = self.wakeup.take()?;
        Some(Duration::from_millis(u64::try_from(due.0.saturating_sub(self.now().0)).unwrap_or(0)))
    }

    /// Ends when there is work earlier than was known before.
    pub async fn wait_for_work(&self) {
        self.wakeup.notified().await;
    }

    /// Does one step of claimed work. An error leaves the record due again when its lease ends.
    pub async fn step(&self, due: Due) -> Result<()> {
        match self.step_of_kind(due).await {
            // Logged once; nothing can be done for it until it is restored or removed.
            Err(error) if concerns_a_record(&error) => Ok(()),
            ended => ended,
        }
    }

    async fn step_of_kind(&self, due: Due) -> Result<()> {
        match Kind::of(&due.record.key) {
            Some(Kind::Pending) => self.step_pending(due).await,
            Some(Kind::AbandonedOrder) => self.step_abandoned_order(due).await,
            Some(Kind::Request | Kind::Repeat) => self.forget_request(due).await,
            Some(Kind::Deleted) => self.purge_overdue(due).await,
            Some(Kind::Purging) => self.finish_purge(due).await,
            Some(Kind::Authority) => self.erase_authority(due).await,
            Some(Kind::Challenge) => self.expire_challenge(due).await,
            // The others are never due.
            _ => {
                tracing::error!(key = due.record.key, "a due record has no handler");
                Ok(())
            }
        }
    }

    async fn step_pending(&self, due: Due) -> Result<()> {
        let record = &due.record;
        let mut pending: PendingRecord = self.records.read(record)?;
        let before = pending.operation.clone();
        let Asked { outcome, beside } = match &before.state {
            State::AwaitingMerge if before.cancellation_requested => Outcome::Ended(Event::CancelConfirmed).into(),
            State::Issuing { .. } if pending.deadline <= self.now() => Outcome::Overdue.into(),
            State::Issuing { .. } => self.ask(&pending, due.until).await?,
            // Nothing to do any more: the record stops being due.
            _ => return self.save(record, pending, None, Batch::default()).await.map(|_| ()),
        };
        // After the call of the issuer, which may take as long as the lease: waits and events count from its end.
        let now = self.now();
        let saved = match outcome {
            Outcome::Open { checkpoint, note, actions, again, progress } => {
                pending.checkpoint = Blob(checkpoint.0);
                pending.attempts = if progress { 0 } else { pending.attempts.saturating_add(1) };
                pending.operation = before.clone().apply(Event::Noted(note, actions), now)?;
                let mut batch = beside;
                if pending.operation != before {
                    batch.events.push(updated(&pending.operation, &before)?);
                }
                let due = now.plus(again).min(pending.deadline);
                self.save(record, pending, Some(due), batch).await?
            }
            Outcome::Ended(event) => self.end(record, pending, event, now, beside).await?,
            Outcome::Issued(chain) => self.complete(record, pending, chain, beside).await?,
            Outcome::Overdue => self.fail_overdue(record, pending, now).await?,
            Outcome::TooLate => return Ok(()),
        };
        if saved { Ok(()) } else { self.hand_over(&before, due.until).await }
    }

    /// Believes the issuer only after its chain was checked against the request.
    async fn complete(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        chain: Vec<Vec<u8>>,
        beside: Batch,
    ) -> Result<bool> {
        let before = pending.operation.clone();
        let now = self.now();
        let (csr, policy) = (before.csr.0.clone(), pending.policy.clone());
        let checked = self
            .keys
            .run(&Caller::server(), Work::Small, move || Ok(chain::check_issued(&chain, &csr, &policy, now)))
            .await?;
        match checked {
            Ok(chain) => {
                self.note_expiry(&before, &chain).await?;
                let now = self.now();
                pending.operation = before.clone().apply(Event::Issued, now)?;
                // Deleted meanwhile: there is nothing to complete.
                let Some(completion) = self.completion(record, pending, chain, now).await? else { return Ok(false) };
                let mut batch = completion.batch;
                batch.puts.extend(beside.puts);
                batch.deletes.extend(beside.deletes);
                batch.events.push(updated(&completion.pending.operation, &before)?);
                Ok(self.try_commit(batch).await?.is_some())
            }
            Err(problem) => {
                let error = failure(
                    FailureClass::IssuerError,
                    &format!("The issuer returned a certificate that does not match the request: {problem}"),
                );
                self.end(record, pending, Event::Failed(error), self.now(), beside).await
            }
        }
    }

    async fn end(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        event: Event,
        now: Timestamp,
        mut batch: Batch,
    ) -> Result<bool> {
        let before = pending.operation.clone();
        pending.operation = before.clone().apply(event, now)?;
        batch.events.push(updated(&pending.operation, &before)?);
        self.save(record, pending, None, batch).await
    }

    /// Commits the record with what goes along with it. False if somebody else changed one of them meanwhile, which
    /// is no fault: nothing is written then.
    pub(super) async fn save(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        due: Option<Timestamp>,
        mut batch: Batch,
    ) -> Result<bool> {
        pending.planned = due;
        batch.puts.push(self.records.replace(record, &pending, due)?);
        Ok(self.try_commit(batch).await?.is_some())
    }

    /// A cancellation or deletion during a step waits for the end of the step, so that the authority does not receive
    /// the cancellation before the order: this is that end. If the process died instead, the lease expires.
    pub(super) async fn hand_over(&self, operation: &Operation, until: Timestamp) -> Result<()> {
        let pending = key::pending(&operation.vault, &operation.certificate);
        for place in [pending, key::abandoned_order(&operation.vault, operation.request_id)] {
            let Some((record, pending)) = self.load(&place).await? else { continue };
            // A lease that ends later is that of another step.
            let waits = pending.lease(&record).is_some_and(|end| end <= until);
            if waits && pending.operation.request_id == operation.request_id {
                self.save(&record, pending, Some(self.now()), Batch::default()).await?;
            }
        }
        Ok(())
    }

    /// A remembered request whose time is over; kept while its operation is still there.
    async fn forget_request(&self, due: Due) -> Result<()> {
        let known: RequestRecord = self.records.read(&due.record)?;
        let place = Place::of(&due.record.key).ok_or_else(Error::internal)?;
        let vault = VaultName::parse(place.vault)?;
        let pending = self.load(&key::pending(&vault, &known.certificate)).await?;
        let alive = pending.is_some_and(|(_, pending)| pending.operation.request_id == known.request_id);
        // The order of an operation that is gone may still wait for its cancellation: another operation of the same
        // request_id would be taken for it.
        let ordered = self.has(&key::abandoned_order(&vault, known.request_id)).await?;
        if (alive || ordered) && place.kind == Kind::Request {
            let again = Some(self.now().plus(self.limits.request_memory));
            let known = RequestRecord { revision: known.revision.or(Some(due.record.revision)), ..known };
            let puts = vec![self.records.replace(&due.record, &known, again)?];
            return self.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ());
        }
        self.remove(&due.record).await
    }

    pub(super) async fn remove(&self, record: &Record) -> Result<()> {
        let deletes = vec![Delete { key: record.key.clone(), expected: record.revision }];
        self.try_commit(Batch { deletes, ..Batch::default() }).await.map(|_| ())
    }
}

/// Why a step failed, for the log of the worker.
impl Due {
    pub fn key(&self) -> &str {
        &self.record.key
    }
}
