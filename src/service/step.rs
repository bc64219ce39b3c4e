//! One step of due work. A step is claimed, done once, and committed against the claim: whoever
//! changed the record in between wins, and the step is simply due again, which every issuer bears.

use super::pending::updated;
use super::records::{Kind, PendingRecord, Place, RequestRecord, concerns_a_record, key};
use super::{Service, issuer_bulkhead};
use crate::domain::pending::{Event, State};
use crate::domain::{
    Blob, Error, IssuerConfig, IssuerName, Operation, OperationError, RequestId, Result, Timestamp, VaultName,
};
use crate::issuer::{Checkpoint, FailureClass, Issuer, IssuerError, Order, Step};
use crate::keys::{Caller, Work, chain};
use crate::store::{Batch, Delete, Record};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::error::Elapsed;

/// Work that was claimed; only good for [`Service::step`].
#[derive(Debug)]
pub struct Due {
    pub(super) record: Record,
    pub(super) until: Timestamp,
}

/// What a step found out about an order.
pub(super) enum Outcome {
    /// Still open: what to keep, what to show, when to ask again.
    Open {
        checkpoint: Checkpoint,
        note: Option<String>,
        again: Duration,
        progress: bool,
    },
    Issued(Vec<Vec<u8>>),
    Ended(Event),
    /// The issuer had time until now, and is not asked.
    Overdue,
    /// The lease was over before the issuer was asked: by now the work is another's.
    TooLate,
}

/// Waits after fruitless steps, in seconds; the last one repeats (issuers.md section 8).
const BACKOFF: [u64; 6] = [1, 2, 5, 15, 30, 60];
/// A wait without progress lies between these.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6 * 3600));
/// Longest words of an issuer that are shown to callers, in characters.
const MAX_NOTE: usize = 500;

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

    /// When there may be due work: at once where something was hinted, `None` where nothing was.
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
            // The others are never due.
            _ => {
                tracing::error!(key = due.record.key, "a record is due that nobody handles");
                Ok(())
            }
        }
    }

    async fn step_pending(&self, due: Due) -> Result<()> {
        let record = &due.record;
        let mut pending: PendingRecord = self.records.read(record)?;
        let before = pending.operation.clone();
        let outcome = match &before.state {
            State::AwaitingMerge if before.cancellation_requested => Outcome::Ended(Event::CancelConfirmed),
            State::Issuing { .. } if pending.deadline <= self.now() => Outcome::Overdue,
            State::Issuing { .. } => self.ask(&pending, due.until).await,
            // Nothing to do any more: the record stops being due.
            _ => return self.save(record, pending, None, None).await.map(|_| ()),
        };
        // After the call of the issuer, which may take as long as the lease: waits and events count from its end.
        let now = self.now();
        let saved = match outcome {
            Outcome::Open { checkpoint, note, again, progress } => {
                pending.checkpoint = Blob(checkpoint.0);
                pending.attempts = if progress { 0 } else { pending.attempts.saturating_add(1) };
                pending.operation = before.clone().apply(Event::Noted(note), now)?;
                let event = (pending.operation != before).then(|| updated(&pending.operation, &before)).transpose()?;
                let due = now.plus(again).min(pending.deadline);
                self.save(record, pending, Some(due), event).await?
            }
            Outcome::Ended(event) => self.end(record, pending, event, now).await?,
            Outcome::Issued(chain) => self.complete(record, pending, chain).await?,
            Outcome::Overdue => self.fail_overdue(record, pending, now).await?,
            Outcome::TooLate => return Ok(()),
        };
        if saved { Ok(()) } else { self.hand_over(&before, due.until).await }
    }

    /// Believes the issuer only after its chain was checked against the request.
    async fn complete(&self, record: &Record, mut pending: PendingRecord, chain: Vec<Vec<u8>>) -> Result<bool> {
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
                batch.events.push(updated(&completion.pending.operation, &before)?);
                Ok(self.try_commit(batch).await?.is_some())
            }
            Err(problem) => {
                let error = failure(
                    FailureClass::IssuerError,
                    &format!("The issuer returned a certificate that does not fit: {problem}"),
                );
                self.end(record, pending, Event::Failed(error), self.now()).await
            }
        }
    }

    async fn end(&self, record: &Record, mut pending: PendingRecord, event: Event, now: Timestamp) -> Result<bool> {
        let before = pending.operation.clone();
        pending.operation = before.clone().apply(event, now)?;
        let event = updated(&pending.operation, &before)?;
        self.save(record, pending, None, Some(event)).await
    }

    /// False where somebody else changed the record meanwhile, which is no fault.
    pub(super) async fn save(
        &self,
        record: &Record,
        mut pending: PendingRecord,
        due: Option<Timestamp>,
        event: Option<Vec<u8>>,
    ) -> Result<bool> {
        pending.planned = due;
        let puts = vec![self.records.replace(record, &pending, due)?];
        let batch = Batch { puts, events: event.into_iter().collect(), ..Batch::default() };
        Ok(self.try_commit(batch).await?.is_some())
    }

    /// Who cancels or deletes an operation during a step waits for its end, so that the authority
    /// does not hear of the end first and of the order then: this is the end. Where it never
    /// comes, because the process died, the lease runs out.
    async fn hand_over(&self, operation: &Operation, until: Timestamp) -> Result<()> {
        let pending = key::pending(&operation.vault, &operation.certificate);
        for place in [pending, key::abandoned_order(&operation.vault, operation.request_id)] {
            let Some((record, pending)) = self.load(&place).await? else { continue };
            // A lease that ends later is that of another step.
            let waits = pending.lease(&record).is_some_and(|end| end <= until);
            if waits && pending.operation.request_id == operation.request_id {
                self.save(&record, pending, Some(self.now()), None).await?;
            }
        }
        Ok(())
    }

    /// One call of the issuer, cut before the lease runs out.
    pub(super) async fn ask(&self, pending: &PendingRecord, until: Timestamp) -> Outcome {
        let operation = &pending.operation;
        let (issuer, config) = match self.find_issuer(pending).await {
            Ok(found) => found,
            Err(problem) => return open(pending, Some(problem), None),
        };
        let called = issuer_bulkhead::name(operation);
        if self.bulkhead.is_stuck(&called, self.limits.slow_calls_per_issuer) {
            // Not asked, so nothing new to tell.
            let note = match &operation.state {
                State::Issuing { note } => note.clone(),
                _ => None,
            };
            return open(pending, note, None);
        }
        let provider = config.as_ref().and_then(|config| self.issuers.name_of(&config.provider)).unwrap_or("Self");
        let order = order(pending, config);
        let checkpoint = Checkpoint(pending.checkpoint.0.clone());
        let time = Duration::from_millis(u64::try_from(until.0 - self.now().0).unwrap_or(0)).mul_f32(0.8);
        if time.is_zero() {
            tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, "the store was slower than the lease; the issuer was not asked");
            return Outcome::TooLate;
        }
        let call = async {
            if operation.cancellation_requested {
                issuer.cancel(&order, &checkpoint).await
            } else {
                issuer.advance(&order, &checkpoint).await
            }
        };
        let begun = Instant::now();
        let answer = tokio::time::timeout(time, self.bulkhead.watch(&called, call)).await;
        self.metrics.issuer(provider, outcome_of(&answer), begun.elapsed());
        match answer {
            Ok(Ok(Step::Pending { checkpoint: next, details, again })) => {
                let progress = next != checkpoint;
                // Only an order that moved may go on at once; the others would turn in circles.
                let least = if progress { Duration::ZERO } else { AGAIN.0 };
                let note = details.map(|text| shown(&text));
                Outcome::Open { progress, checkpoint: next, note, again: again.clamp(least, AGAIN.1) }
            }
            Ok(Ok(Step::Issued { chain })) => Outcome::Issued(chain),
            Ok(Ok(Step::Failed { class, message })) => Outcome::Ended(Event::Failed(failure(class, &message))),
            Ok(Ok(Step::Cancelled)) if operation.cancellation_requested => Outcome::Ended(Event::CancelConfirmed),
            Ok(Ok(Step::Cancelled)) => Outcome::Ended(Event::Failed(failure(
                FailureClass::IssuerError,
                "The issuer cancelled the order without being asked.",
            ))),
            Ok(Err(IssuerError::Retry { after, source })) => {
                tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, error = %source, "an issuer could not be asked; will retry");
                open(pending, Some(format!("The last attempt did not succeed and will be repeated: {source}")), after)
            }
            Ok(Err(IssuerError::Misconfigured { source })) => {
                tracing::error!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, error = %source, "an issuer is misconfigured; will retry");
                open(
                    pending,
                    Some(format!("The issuer is misconfigured, correct it and the request will go on: {source}")),
                    None,
                )
            }
            Err(_) => open(pending, Some("The issuer did not answer in time; will be asked again.".to_owned()), None),
        }
    }

    async fn find_issuer(&self, pending: &PendingRecord) -> Result<(Arc<dyn Issuer>, Option<IssuerConfig>), String> {
        let parameters = &pending.operation.issuer;
        if parameters.is_self() {
            return Ok((self.issuers.self_signed().clone(), None));
        }
        let missing = || format!("The issuer {} does not exist any more: set it again.", parameters.name);
        let name = IssuerName::parse(&parameters.name).map_err(|_| missing())?;
        let found = self.load(&key::issuer(&pending.operation.vault, &name)).await;
        let (_, config) = found.map_err(|error| error.message)?.ok_or_else(missing)?;
        match self.issuers.get(&config.provider) {
            Some(issuer) => Ok((issuer.clone(), Some(config))),
            None => Err(format!("The provider {} of the issuer is not offered by this server.", config.provider)),
        }
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

/// The outcome of a call, for the counts.
fn outcome_of(answer: &Result<Result<Step, IssuerError>, Elapsed>) -> &'static str {
    match answer {
        Ok(Ok(Step::Pending { .. })) => "pending",
        Ok(Ok(Step::Issued { .. })) => "issued",
        Ok(Ok(Step::Failed { .. })) => "failed",
        Ok(Ok(Step::Cancelled)) => "cancelled",
        Ok(Err(IssuerError::Retry { .. })) => "retry",
        Ok(Err(IssuerError::Misconfigured { .. })) => "misconfigured",
        Err(_) => "timeout",
    }
}

fn order(pending: &PendingRecord, issuer: Option<IssuerConfig>) -> Order {
    let operation = &pending.operation;
    Order {
        vault: operation.vault.clone(),
        certificate: operation.certificate.clone(),
        request_id: operation.request_id,
        version: operation.version,
        csr: operation.csr.0.clone(),
        policy: pending.policy.clone(),
        created: operation.created,
        issuer,
        sealed_key: pending.sealed_key.0.clone(),
    }
}

/// The order stays open after a step that brought nothing.
fn open(pending: &PendingRecord, note: Option<String>, after: Option<Duration>) -> Outcome {
    let step = usize::try_from(pending.attempts).unwrap_or(usize::MAX).min(BACKOFF.len() - 1);
    let again = after.unwrap_or_else(|| jittered(Duration::from_secs(BACKOFF[step]), pending.operation.request_id));
    Outcome::Open {
        checkpoint: Checkpoint(pending.checkpoint.0.clone()),
        note: note.map(|text| shown(&text)),
        again: again.clamp(AGAIN.0, AGAIN.1),
        progress: false,
    }
}

/// 80 to 120 % of the wait, another share for each operation, so that a CA that comes back is not
/// met by all at once.
fn jittered(wait: Duration, id: RequestId) -> Duration {
    let share =
        id.to_string().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 401;
    wait.mul_f64(0.8 + f64::from(share) / 1000.0)
}

/// The scenario's two codes: whose fault it was.
pub(super) fn failure(class: FailureClass, message: &str) -> OperationError {
    let code = match class {
        FailureClass::RequestRejected => "Request rejected",
        FailureClass::IssuerError => "Certificate issuer error",
    };
    OperationError { code: code.to_owned(), message: shown(message) }
}

/// Words of an issuer: one line, of bounded length.
fn shown(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NOTE).collect();
    line.trim().to_owned()
}

/// Why a step failed, for the log of the worker.
impl Due {
    pub fn key(&self) -> &str {
        &self.record.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_near_the_wait() {
        for id in ["a76827a18b63421c917da80f28e9913d", "ffffffffffffffffffffffffffffffff"] {
            let wait = jittered(Duration::from_secs(10), RequestId::parse(id).unwrap());
            assert!((8.0..=12.001).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }

    #[test]
    fn words_of_an_issuer_are_one_short_line() {
        assert_eq!(shown("a\r\nb\n"), "a  b");
        assert_eq!(shown(&"x".repeat(9999)).len(), MAX_NOTE);
    }

    #[test]
    fn the_codes_are_the_documented_ones() {
        assert_eq!(failure(FailureClass::RequestRejected, "m").code, "Request rejected");
        assert_eq!(failure(FailureClass::IssuerError, "m").code, "Certificate issuer error");
    }
}
