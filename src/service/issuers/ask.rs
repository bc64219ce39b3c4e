//! One call to an issuer: finding it, the time limit, and what its result means for the operation.

use super::Issuing;
use super::bulkhead;
use super::intend::Stored;
use super::states::Kept;
use super::windows::paused;
use crate::domain::issued::IntentRef;
use crate::domain::pending::{Event, State};
use crate::domain::text;
use crate::domain::{Action, Blob, Error, IssuerName, Operation, OperationError, Reason, RequestId, Result, Timestamp};
use crate::issuer::provider::{self, Needs, Order, Progress, Provider};
use crate::issuer::{Checkpoint, FailureClass, IssuerError, Step, in_trace_of};
use crate::service::records::{PendingRecord, concerns_a_record, key};
use crate::store::Batch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::error::Elapsed;

/// What a step found out about an order.
pub(in crate::service) enum Outcome {
    /// Still open: what to keep, what to show, when to ask again.
    Open {
        checkpoint: Checkpoint,
        note: Option<String>,
        actions: Vec<Action>,
        again: Duration,
        progress: bool,
    },
    Issued(Vec<Vec<u8>>),
    Ended(Event),
    /// It fails, and what the issuer may have of it is cancelled: the answer to an order may have been lost.
    Withdrawn(OperationError),
    /// The lease was over before the issuer was asked: by now the work is another's.
    TooLate,
}

/// What came of asking an issuer.
pub(in crate::service) struct Asked {
    pub(in crate::service) outcome: Outcome,
    /// Committed in one batch with what the outcome changes: the issuer's next state, challenges. Where any of it meets
    /// a newer record nothing is written, and the step is repeated with what is there then.
    pub(in crate::service) beside: Batch,
    /// Where the log has what will be signed, if it was stored just now; written into the operation.
    pub(in crate::service) intent: Option<IntentRef>,
}

impl From<Outcome> for Asked {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, beside: Batch::default(), intent: None }
    }
}

/// The issuer of an operation: the provider, its state for the issuer object, and its metric label.
pub(super) struct Signer {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) kept: Kept,
    name: &'static str,
    /// The issuer object; `None` for `Self`, and for one that is gone.
    issuer: Option<IssuerName>,
}

/// Why the issuer is not called, for the status of the operation, and when to try again.
struct NotAsked {
    note: String,
    again: Option<Duration>,
    /// A cancellation has nobody to ask: the issuer is gone, and never began with the order.
    nothing_ordered: bool,
}

impl From<String> for NotAsked {
    fn from(note: String) -> Self {
        Self { note, again: None, nothing_ordered: false }
    }
}

impl From<Error> for NotAsked {
    fn from(error: Error) -> Self {
        error.message.into()
    }
}

/// Waits after fruitless steps, in seconds; the last one repeats (issuers.md section 8).
const BACKOFF: [u64; 6] = [1, 2, 5, 15, 30, 60];
/// How often an operation of a paused issuer is looked at; the end of the pause is a reason of its own.
const PAUSED: Duration = Duration::from_secs(300);
/// A wait without progress lies between these.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6 * 3600));
/// Longest words of an issuer that are shown to callers, in characters.
const MAX_NOTE: usize = 500;
/// Most actions of one operation; a policy has no more names.
const MAX_ACTIONS: usize = 250;

impl Issuing {
    /// One call of the issuer, cut before the lease runs out.
    ///
    /// # Errors
    /// Where the store does not let the answer be prepared; the step is repeated.
    pub(in crate::service) async fn ask(&self, pending: &PendingRecord, until: Timestamp) -> Result<Asked> {
        let operation = &pending.operation;
        let signer = match self.find_signer(pending).await? {
            Ok(found) => found,
            Err(NotAsked { nothing_ordered: true, .. }) => return Ok(Outcome::Ended(Event::CancelConfirmed).into()),
            Err(NotAsked { note, again, .. }) => return Ok(open(pending, Some(note), again).into()),
        };
        let called = bulkhead::name(operation);
        if self.bulkhead.is_stuck(&called, self.context.limits().slow_calls_per_issuer) {
            // The issuer was not called, so nothing changes.
            let note = match &operation.state {
                State::Issuing { note, .. } => note.clone(),
                _ => None,
            };
            return Ok(open(pending, note, None).into());
        }
        let time = Duration::from_millis(u64::try_from(until.0 - self.context.now().0).unwrap_or(0)).mul_f32(0.8);
        if time.is_zero() {
            tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, "the store took longer than the lease; the issuer was not called");
            return Ok(Outcome::TooLate.into());
        }
        if self.is_for_a_compromised_key(pending).await? {
            let message = "The key of the request was reported as compromised, and nothing is signed for it.";
            return Ok(Outcome::Withdrawn(failure(FailureClass::RequestRejected, message)).into());
        }
        let intent = match self.stored_intent(&signer, pending).await? {
            Stored::Ready(intent) => Some(intent),
            Stored::None => None,
            Stored::Instead(asked) => return Ok(*asked),
        };
        let checkpoint = Checkpoint(pending.checkpoint.0.clone());
        let replaces = self.replaced(&signer, pending).await?;
        let begun = Instant::now();
        let order = Order { replaces, intent, ..order(pending, signer.provider.needs()) };
        let cancels = operation.cancellation_requested;
        let call = self.bulkhead.watch(&called, call(&signer, &order, &checkpoint, cancels));
        let answer = tokio::time::timeout(time, call).await;
        self.context.metrics.issuer(signer.name, outcome_of(&answer), begun.elapsed());
        if let Some(issuer) = signer.issuer.as_ref().filter(|_| was_asked(&answer)) {
            self.note_call(&operation.vault, issuer, signer.name, fault_of(&answer)).await;
        }
        match answer {
            Ok(Ok(progress)) => self.progressed(pending, &checkpoint, &signer, progress).await,
            Ok(Err(error)) => Ok(unsuccessful(pending, error).into()),
            Err(_) => {
                let note = "The issuer did not answer in time; will be asked again.".to_owned();
                let settles = Some(signer.provider.settles()).filter(|settles| !settles.is_zero());
                Ok(open(pending, Some(note), settles).into())
            }
        }
    }

    /// The certificate that a renewal replaces, for providers that want it; they learn of it before they order.
    async fn replaced(&self, signer: &Signer, pending: &PendingRecord) -> Result<Option<Vec<u8>>> {
        let Operation { vault, certificate, .. } = &pending.operation;
        if !signer.provider.wants_replaced() || !pending.checkpoint.0.is_empty() {
            return Ok(None);
        }
        let entry = self.context.load(&key::certificate(vault, certificate)).await?;
        let Some(latest) = entry.and_then(|(_, entry)| entry.latest) else { return Ok(None) };
        let version = self.context.load(&key::version(vault, certificate, latest)).await?;
        Ok(version.map(|(_, version)| version.cer.0.clone()))
    }

    /// Puts together what is committed for an answer.
    async fn progressed(
        &self,
        pending: &PendingRecord,
        before: &Checkpoint,
        signer: &Signer,
        progress: Progress,
    ) -> Result<Asked> {
        let Progress { step, state, publish, withdraw, mut actions, asked: _ } = progress;
        actions.truncate(MAX_ACTIONS);
        let mut beside = Batch::default();
        let changed = state.is_some();
        if let (Kept::Record(held), Some(state)) = (&signer.kept, &state) {
            beside.puts.push(self.next_issuer_state(held, state)?);
        }
        self.stage_challenges(&mut beside, publish, withdraw).await?;
        let cancelling = pending.operation.cancellation_requested;
        let outcome = match step {
            Step::Pending { checkpoint: next, details, again } => {
                let progress = changed || next != *before;
                // Only an order that moved may go on at once; the others would turn in circles.
                let least = if progress { Duration::ZERO } else { AGAIN.0 };
                let note = details.map(|text| text::readable(&text, MAX_NOTE));
                Outcome::Open { progress, checkpoint: next, note, actions, again: again.clamp(least, AGAIN.1) }
            }
            Step::Issued { chain } => Outcome::Issued(chain),
            Step::Failed { class, message } => Outcome::Ended(Event::Failed(failure(class, &message))),
            Step::Cancelled if cancelling => Outcome::Ended(Event::CancelConfirmed),
            Step::Cancelled => Outcome::Ended(Event::Failed(failure(
                FailureClass::IssuerError,
                "The issuer cancelled the order without being asked.",
            ))),
        };
        Ok(Asked { outcome, beside, intent: None })
    }

    /// The issuer of an operation; otherwise a sentence for the status of the operation.
    ///
    /// # Errors
    /// Where the store is not available, which says nothing about the issuer.
    async fn find_signer(&self, pending: &PendingRecord) -> Result<Result<Signer, NotAsked>> {
        let operation = &pending.operation;
        let parameters = &operation.issuer;
        if parameters.is_self() {
            let kept = Kept::Object(provider::State::default());
            return Ok(Ok(Signer { provider: self.issuers.self_signed().clone(), kept, name: "Self", issuer: None }));
        }
        let missing = || format!("The issuer {} no longer exists: set it again.", parameters.name);
        let Ok(name) = IssuerName::parse(&parameters.name) else { return Ok(Err(missing().into())) };
        let config = match readable(self.context.load(&key::issuer(&operation.vault, &name)).await)? {
            Ok(Some((_, config))) => config,
            Ok(None) => {
                if operation.cancellation_requested
                    && let Some((provider, kept)) = self.retired_state(&operation.vault, &name).await?
                {
                    let known = self.issuers.name_of(provider.schema().provider).unwrap_or("Self");
                    return Ok(Ok(Signer { provider, kept, name: known, issuer: None }));
                }
                let nothing_ordered = operation.cancellation_requested && pending.checkpoint.0.is_empty();
                return Ok(Err(NotAsked { note: missing(), again: None, nothing_ordered }));
            }
            Err(problem) => return Ok(Err(problem)),
        };
        if let Some(pause) = &config.paused {
            return Ok(Err(NotAsked {
                note: paused(&config.name, &pause.reason),
                again: Some(jittered(PAUSED, operation.request_id)),
                nothing_ordered: false,
            }));
        }
        let (Some(provider), Some(known)) =
            (self.issuers.get(&config.provider), self.issuers.name_of(&config.provider))
        else {
            let problem = format!("The provider {} of the issuer is not offered by this server.", config.provider);
            return Ok(Err(problem.into()));
        };
        let kept = match readable(self.state_of(&**provider, &operation.vault, &config).await)? {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(Err(format!("The issuer {name} has no state: set it again.").into())),
            Err(problem) => return Ok(Err(problem)),
        };
        Ok(Ok(Signer { provider: provider.clone(), kept, name: known, issuer: Some(config.name) }))
    }
}

/// What was read of an issuer, or what is wrong with it, for the status of the operation. An outage of the store is
/// neither.
fn readable<T>(read: Result<T>) -> Result<Result<T, NotAsked>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.reason == Reason::StoreUnavailable => Err(error),
        Err(error) => Ok(Err(error.into())),
    }
}

async fn call(signer: &Signer, order: &Order, at: &Checkpoint, cancels: bool) -> Result<Progress, IssuerError> {
    let call = async {
        if cancels {
            signer.provider.cancel(order, signer.kept.state(), at).await
        } else {
            signer.provider.advance(order, signer.kept.state(), at).await
        }
    };
    in_trace_of(order.request_id, call).await
}

/// The order stays open after an error: its fate at the CA is unknown.
fn unsuccessful(pending: &PendingRecord, error: IssuerError) -> Outcome {
    let operation = &pending.operation;
    match error {
        IssuerError::Retry { after, source } => {
            tracing::warn!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, error = %source, "a call to an issuer failed; will retry");
            open(pending, Some(format!("The last attempt failed and will be retried: {source}")), after)
        }
        IssuerError::Misconfigured { source } => {
            tracing::error!(vault = %operation.vault, certificate = %operation.certificate, request_id = %operation.request_id, error = %source, "an issuer is misconfigured; will retry");
            let note = format!("The issuer is misconfigured; correct it and the request will continue: {source}");
            open(pending, Some(note), None)
        }
    }
}

/// The outcome of a call, for the counts.
fn outcome_of(answer: &Result<Result<Progress, IssuerError>, Elapsed>) -> &'static str {
    match answer {
        Ok(Ok(progress)) => match progress.step {
            Step::Pending { .. } => "pending",
            Step::Issued { .. } => "issued",
            Step::Failed { .. } => "failed",
            Step::Cancelled => "cancelled",
        },
        Ok(Err(IssuerError::Retry { .. })) => "retry",
        Ok(Err(IssuerError::Misconfigured { .. })) => "misconfigured",
        Err(_) => "timeout",
    }
}

/// Whether a call says how the CA fares. A failure always does: settings that cannot work are one, too.
fn was_asked(answer: &Result<Result<Progress, IssuerError>, Elapsed>) -> bool {
    !matches!(answer, Ok(Ok(Progress { asked: false, .. })))
}

/// Why a call failed, where it was the issuer's fault.
fn fault_of(answer: &Result<Result<Progress, IssuerError>, Elapsed>) -> Option<String> {
    match answer {
        Ok(Ok(Progress { step: Step::Failed { class: FailureClass::IssuerError, message }, .. })) => {
            Some(text::readable(message, MAX_NOTE))
        }
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(text::readable(&error.to_string(), MAX_NOTE)),
        Err(_) => Some("The issuer did not answer in time.".to_owned()),
    }
}

pub(super) fn order(pending: &PendingRecord, needs: Needs) -> Order {
    let operation = &pending.operation;
    Order {
        vault: operation.vault.clone(),
        certificate: operation.certificate.clone(),
        request_id: operation.request_id,
        version: operation.version,
        csr: operation.csr.0.clone(),
        policy: pending.policy.clone(),
        created: operation.created,
        // Which issuer made the version before is not stored: only providers that can tell are given it.
        replaces: None,
        sealed_key: pending.sealed_key.as_ref().filter(|_| needs.sealed_key).map(|Blob(sealed)| sealed.clone()),
        intent: None,
    }
}

/// An order for which a record is damaged waits, and says for which.
///
/// # Errors
/// Every other one.
pub(in crate::service) fn waits(pending: &PendingRecord, error: Error) -> Result<Asked> {
    if concerns_a_record(&error) { Ok(open(pending, Some(error.message), None).into()) } else { Err(error) }
}

/// The order stays open after a step that brought nothing: what it waited for before, it still waits for.
fn open(pending: &PendingRecord, note: Option<String>, after: Option<Duration>) -> Outcome {
    let step = usize::try_from(pending.attempts).unwrap_or(usize::MAX).min(BACKOFF.len() - 1);
    let again = after.unwrap_or_else(|| jittered(Duration::from_secs(BACKOFF[step]), pending.operation.request_id));
    Outcome::Open {
        checkpoint: Checkpoint(pending.checkpoint.0.clone()),
        note: note.map(|text| text::readable(&text, MAX_NOTE)),
        actions: match &pending.operation.state {
            State::Issuing { actions, .. } => actions.clone(),
            _ => Vec::new(),
        },
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
pub(in crate::service) fn failure(class: FailureClass, message: &str) -> OperationError {
    let code = match class {
        FailureClass::RequestRejected => "Request rejected",
        FailureClass::IssuerError => "Certificate issuer error",
    };
    OperationError { code: code.to_owned(), message: text::readable(message, MAX_NOTE) }
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
    fn the_codes_are_the_documented_ones() {
        assert_eq!(failure(FailureClass::RequestRejected, "m").code, "Request rejected");
        assert_eq!(failure(FailureClass::IssuerError, "m").code, "Certificate issuer error");
    }
}
