//! Pending operations: their issuer is asked, and what it says is committed against the claim. A step may be repeated,
//! which every issuer bears.

use super::{Due, Jobs};
use crate::domain::access::{Requested, Violation};
use crate::domain::issued::IssuedState;
use crate::domain::pending::{Event, State};
use crate::domain::{Blob, Operation, OperationError, Result, Timestamp};
use crate::issuer::FailureClass;
use crate::keys::{Caller, Work, chain};
use crate::service::access::Mode;
use crate::service::ca::Ended;
use crate::service::certificates::disable_if_reported;
use crate::service::issuers::{Asked, CaWindows, Outcome, failure, serial_revoked, waits};
use crate::service::pending::updated;
use crate::service::records::{PendingRecord, key};
use crate::store::{Batch, Record};

impl Jobs {
    pub(super) async fn step_pending(&self, due: Due) -> Result<()> {
        let record = &due.record;
        let mut pending: PendingRecord = self.context.records.read(record)?;
        let before = pending.operation.clone();
        let mut asked: Asked = match &before.state {
            State::AwaitingMerge if before.cancellation_requested => Outcome::Ended(Event::CancelConfirmed).into(),
            State::Issuing { note, .. } if pending.deadline <= self.context.now() => {
                Outcome::Withdrawn(overdue(note.as_deref())).into()
            }
            State::Issuing { .. } => match self.not_allowed(&pending) {
                Some(problem) => Outcome::Withdrawn(problem).into(),
                None => self.issuing.ask(&pending, due.until).await.or_else(|error| waits(&pending, error))?,
            },
            // Nothing to do any more: the record stops being due.
            _ => return self.save(record, pending, None, Batch::default()).await.map(|_| ()),
        };
        if let Outcome::Issued(chain) = asked.outcome {
            match self.complete(record, pending.clone(), chain, asked.beside).await {
                Ok(true) => return Ok(()),
                Ok(false) => return self.hand_over(&before, due.until).await,
                // The issuer is asked again then, and has it still.
                Err(error) => asked = waits(&pending, error)?,
            }
        }
        let Asked { outcome, beside, intent } = asked;
        // After the call of the issuer, which may take as long as the lease: waits and events count from its end.
        let now = self.context.now();
        let saved = match outcome {
            Outcome::Open { checkpoint, note, actions, again, progress } => {
                pending.checkpoint = Blob(checkpoint.0);
                let logged = intent.is_some();
                pending.intent = intent.or(pending.intent);
                pending.attempts = if progress { 0 } else { pending.attempts.saturating_add(1) };
                pending.operation = before.clone().apply(Event::Noted(note, actions), now)?;
                let mut batch = beside;
                if pending.operation != before {
                    batch.events.push(updated(&pending.operation, &before)?);
                }
                let due = now.plus(again).min(pending.deadline);
                let saved = self.save(record, pending, Some(due), batch).await?;
                if saved && logged {
                    self.cas.log.count(IssuedState::Intended);
                }
                saved
            }
            Outcome::Ended(event) => self.end(record, pending, event, now, beside).await?,
            Outcome::Withdrawn(error) => self.withdraw(record, pending, error, now).await?,
            Outcome::Issued(_) | Outcome::TooLate => return Ok(()),
        };
        if saved { Ok(()) } else { self.hand_over(&before, due.until).await }
    }

    /// What the rules of the vault say against the operation before its issuer is asked: they may have changed since it
    /// was created. An order that was placed goes on.
    fn not_allowed(&self, pending: &PendingRecord) -> Option<OperationError> {
        if !pending.checkpoint.0.is_empty() {
            return None;
        }
        let Violation { member, value } =
            self.rights.vault_rules().violation(&pending.operation.vault, &Requested::of(&pending.policy))?;
        let message = format!("Property {member} has a value that the rules of the vault do not allow: {value}.");
        if self.rights.mode() == Mode::Report {
            tracing::warn!(vault = %pending.operation.vault, certificate = %pending.operation.certificate, message, "A rule would refuse this");
            return None;
        }
        Some(failure(FailureClass::RequestRejected, &message))
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
        let now = self.context.now();
        let (csr, policy) = (before.csr.0.clone(), pending.policy.clone());
        let checked = self
            .context
            .keys
            .run(&Caller::server(), Work::Small, move || Ok(chain::check_issued(&chain, &csr, &policy, now)))
            .await?;
        match checked {
            Ok(chain) => {
                if let Some(problem) = self.renewals.names_lost(&before, &chain.leaf).await? {
                    let failed = Event::Failed(failure(FailureClass::IssuerError, &problem));
                    return self.end(record, pending, failed, self.context.now(), beside).await;
                }
                let (mut of_log, issued) = (Batch::default(), Ended::Issued(&chain.leaf));
                let logged = self.cas.log.end(&mut of_log, pending.intent.as_ref(), issued).await?;
                if logged == Some(IssuedState::Abandoned) {
                    return self
                        .end(record, pending, Event::Failed(serial_revoked()), self.context.now(), beside)
                        .await;
                }
                // An order that a CA has already goes on after the report of its key. What this server signs itself was
                // looked at just before.
                if pending.enabled
                    && pending.intent.is_none()
                    && self.cas.log.requests_compromised(&before.csr.0).await?
                {
                    tracing::warn!(vault = %before.vault, certificate = %before.certificate, request_id = %before.request_id, "the key of a version was reported as compromised while its CA had the order: it is disabled");
                    pending.enabled = false;
                }
                self.issuing.authorities.note_expiry(&before, &chain).await?;
                // A CA of this server has no window.
                let asks = pending.intent.is_none()
                    && CaWindows(&self.issuing).tells_windows(&before.vault, &before.issuer).await?;
                let now = self.context.now();
                pending.operation = before.clone().apply(Event::Issued, now)?;
                // Deleted meanwhile: there is nothing to complete.
                let Some(mut completion) = self.pending.completion(record, pending, chain, asks, now).await? else {
                    return Ok(false);
                };
                let mut batch = completion.batch;
                batch.puts.extend(of_log.puts.into_iter().chain(beside.puts));
                batch.deletes.extend(beside.deletes);
                batch.events.push(updated(&completion.pending.operation, &before)?);
                let saved = self.context.try_commit(batch).await?.is_some();
                self.cas.log.count(logged.filter(|_| saved));
                self.renewals.count(&completion.pending.operation, saved);
                if saved {
                    let (made, entry) = (&mut completion.certificate, &mut completion.entry);
                    disable_if_reported(&self.context, &self.cas.log, made, entry).await?;
                }
                Ok(saved)
            }
            Err(problem) => {
                let error = failure(
                    FailureClass::IssuerError,
                    &format!("The issuer returned a certificate that does not match the request: {problem}"),
                );
                self.end(record, pending, Event::Failed(error), self.context.now(), beside).await
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
        let logged = self.cas.log.end(&mut batch, pending.intent.as_ref(), Ended::Abandoned).await?;
        batch.events.push(updated(&pending.operation, &before)?);
        let ended = pending.operation.clone();
        let saved = self.save(record, pending, None, batch).await?;
        self.cas.log.count(logged.filter(|_| saved));
        self.renewals.count(&ended, saved);
        Ok(saved)
    }

    /// Commits the record with what goes along with it. False where somebody else changed one of them meanwhile, which
    /// is no fault: nothing is written then.
    pub(super) async fn save(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        due: Option<Timestamp>,
        mut batch: Batch,
    ) -> Result<bool> {
        pending.planned = due;
        batch.puts.push(self.context.records.replace(record, &pending, due)?);
        Ok(self.context.try_commit(batch).await?.is_some())
    }

    /// A cancellation or deletion during a step waits for the end of the step, so that the authority does not receive
    /// the cancellation before the order: this is that end. If the process died instead, the lease expires.
    pub(super) async fn hand_over(&self, operation: &Operation, until: Timestamp) -> Result<()> {
        let pending = key::pending(&operation.vault, &operation.certificate);
        for place in [pending, key::abandoned_order(&operation.vault, operation.request_id)] {
            let Some((record, pending)) = self.context.load(&place).await? else { continue };
            // A lease that ends later is that of another step.
            let waits = pending.lease(&record).is_some_and(|end| end <= until);
            if waits && pending.operation.request_id == operation.request_id {
                self.save(&record, pending, Some(self.context.now()), Batch::default()).await?;
            }
        }
        Ok(())
    }
}

fn overdue(note: Option<&str>) -> OperationError {
    let last = note.map_or_else(String::new, |note| format!(" {note}"));
    failure(
        FailureClass::IssuerError,
        &format!("The issuer did not decide before the deadline of the operation.{last}"),
    )
}
