//! Renewals that are due. A renewal is an operation like a caller's, begun by the same use case; the entry of the
//! certificate is due when something is to be done for it, and says what was tried.

use crate::domain::renewal::plan::{Step, ask_again};
use crate::domain::renewal::{Budget, Held, MAX_NOTE, Plan, Window, plan, retry};
use crate::domain::{CertificateEntry, Operation, Reason, Renewal, RenewalTrigger, Renews, Result, Status, Timestamp};
use crate::keys::chain::names_left_out;
use crate::service::access::Permit;
use crate::service::certificates::{Creations, Renewing};
use crate::service::context::Context;
use crate::service::issuers::{CaWindows, Issuing, WindowAnswer};
use crate::service::records::{PendingRecord, concerns_a_record, key};
use crate::service::renewals::{VaultRules, keep, newest, renewal_request, waits_for};
use crate::store::{Batch, Put, Record};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Looks at what is due while renewals are switched off.
const SWITCHED_OFF: Duration = Duration::from_secs(3600);
/// Looks at renewals of a paused issuer, spread over as much again.
const PAUSED: Duration = Duration::from_secs(300);
/// Longest wait for a maintenance window before another look: the window may be changed meanwhile.
const NEXT_WINDOW: Duration = Duration::from_secs(6 * 3600);
/// Renewals that wait for the same window begin within its first half, and within this time.
const BEGINS_WITHIN: Duration = Duration::from_secs(3600);
/// Where a CA could not be asked for its window, and where it had none.
const ASK_FAILED: Duration = Duration::from_secs(3600);
const ASK_NONE: Duration = Duration::from_secs(24 * 3600);
/// Where the server has too much work with keys.
const BUSY: Duration = Duration::from_secs(30);
/// Renewals that wait for their keys at once. Each holds a place of the worker, which has other work, too.
const MOST_BEGINNING: usize = 128;

/// Does what is due for renewals. Cheap to clone.
#[derive(Clone)]
pub(super) struct RenewalWork {
    context: Arc<Context>,
    issuing: Issuing,
    creations: Creations,
    budget: Arc<Mutex<Budget>>,
    /// The keys of the entries whose renewals are begun right now.
    beginning: Arc<Mutex<HashSet<String>>>,
}

/// A renewal is begun for as long as this is there.
struct Beginning<'a> {
    all: &'a Mutex<HashSet<String>>,
    key: String,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl RenewalWork {
    pub(super) fn new(context: Arc<Context>, issuing: Issuing, creations: Creations) -> Self {
        let budget = Budget::new(context.options.renewal.per_issuer_per_minute.get());
        Self { context, issuing, creations, budget: Arc::new(Mutex::new(budget)), beginning: Arc::default() }
    }

    /// `None` where another step of this process begins it already, or many others are begun.
    fn beginning(&self, key: &str) -> Option<Beginning<'_>> {
        let mut all = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = all.len() < MOST_BEGINNING && all.insert(key.to_owned());
        begins.then(|| Beginning { all: &self.beginning, key: key.to_owned() })
    }

    /// How long the renewal of an entry has to wait for its turn at the issuer.
    fn turn(&self, entry: &CertificateEntry, expires: Timestamp, now: Timestamp) -> Option<Duration> {
        let issuer = format!("{}/{}", entry.vault, entry.policy.issuer.name.to_ascii_lowercase());
        let name = format!("{}/{}", entry.vault, entry.name.key());
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(&issuer, &name, expires, now)
    }
}

/// What stands against an attempt now.
enum Obstacle {
    /// It is tried again after this time.
    PutOff(Duration, String),
    /// It is never tried for this version.
    Held(Held),
}

impl RenewalWork {
    /// Does what is to be done for a certificate whose entry is due.
    pub(super) async fn step(&self, record: Record) -> Result<()> {
        let mut entry: CertificateEntry = self.context.records.read(&record)?;
        let now = self.context.now();
        if !self.context.options.renewal.enabled {
            return self.look_later(record, now.plus(SWITCHED_OFF)).await;
        }
        let plan = match plan(&entry, self.context.options.renewal.rules()) {
            Ok(plan) => plan,
            // Nothing is due for it any more.
            Err(_) => return self.save_entry(&record, &entry).await,
        };
        match plan.step(now) {
            Step::Wait(_) => self.save_entry(&record, &entry).await,
            Step::Ask => {
                let renewal = self.ask_for_window(&entry, plan, now).await?;
                keep(&mut entry, renewal);
                self.save_entry(&record, &entry).await
            }
            Step::Renew(trigger) => match self.beginning(&record.key) {
                Some(_held) => self.renew(&record, entry, plan, trigger).await,
                // Its first step waits for the key for longer than the lease and needs no second one, or there are enough.
                None => self.look_later(record, now.plus(BUSY)).await,
            },
        }
    }

    async fn renew(
        &self,
        record: &Record,
        mut entry: CertificateEntry,
        plan: Plan,
        trigger: RenewalTrigger,
    ) -> Result<()> {
        let now = self.context.now();
        let mut renewal = plan.renewal.clone();
        match self.obstacle(&entry, &plan, now).await? {
            Some(Obstacle::Held(held)) => renewal.held = Some(held),
            Some(Obstacle::PutOff(wait, note)) => renewal.put_off(now, wait, note),
            None => match self.begin(&entry, &plan, trigger).await {
                // The same commit wrote the entry.
                Ok(()) => return Ok(()),
                Err(error) => match error.reason {
                    // Somebody else wrote the entry, or it is deleted: what is there now says what is due.
                    Reason::CertificateNotFound | Reason::DeletedButRecoverable | Reason::BeingDeleted => return Ok(()),
                    Reason::StoreUnavailable | Reason::AuditUnavailable => return Err(error),
                    Reason::Internal if concerns_a_record(&error) => return Err(error),
                    Reason::PendingInProgress => renewal.put_off(now, retry::look(now, now, plan.valid), error.message),
                    Reason::Throttled | Reason::DeadlineExceeded => renewal.put_off(now, BUSY, error.message),
                    _ => {
                        let now = self.context.now();
                        let wait = retry::wait(renewal.tries.next(), renewal.version, plan.valid, now);
                        self.context.metrics.operations.renewals.count("refused", trigger.word());
                        tracing::warn!(vault = %entry.vault, certificate = %entry.name, trigger = trigger.word(), %error, "a renewal could not begin; will retry");
                        renewal.tried(now, wait, None, error.message);
                    }
                },
            },
        }
        keep(&mut entry, renewal);
        self.save_entry(record, &entry).await
    }

    async fn begin(&self, entry: &CertificateEntry, plan: &Plan, trigger: RenewalTrigger) -> Result<()> {
        let renews = Renews { trigger, replaces: plan.renewal.version, batch: String::new() };
        let renewing = Renewing { renews, decided_from: Some(Box::new(entry.clone())), newest: None };
        let request = Permit::service(renewal_request(entry.vault.clone(), entry.name.clone()));
        let created = self.creations.begin(&request, Some(&renewing)).await?;
        self.context.metrics.operations.renewals.count("begun", trigger.word());
        tracing::info!(vault = %entry.vault, certificate = %entry.name, request_id = %created.operation.request_id, trigger = trigger.word(), attempt = plan.renewal.tries.next(), "a renewal has begun");
        Ok(())
    }

    async fn obstacle(&self, entry: &CertificateEntry, plan: &Plan, now: Timestamp) -> Result<Option<Obstacle>> {
        let CertificateEntry { vault, name, policy, .. } = entry;
        if let Some((_, PendingRecord { operation, .. })) = self.context.load(&key::pending(vault, name)).await?
            && let Some(obstacle) = last_operation(&operation, plan, now)
        {
            return Ok(Some(obstacle));
        }
        let rules = VaultRules::of(&self.context, vault).await?;
        if let Some(pause) = &rules.paused {
            let because = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
            let note = format!("The renewals of the vault {vault} are paused{because}.");
            return Ok(Some(Obstacle::PutOff(PAUSED.mul_f64(1.0 + plan.renewal.share()), note)));
        }
        if let Some(obstacle) = closed(&rules, plan, now) {
            return Ok(Some(obstacle));
        }
        if let Some(note) = CaWindows(&self.issuing).pause_of(vault, &policy.issuer).await? {
            return Ok(Some(Obstacle::PutOff(PAUSED.mul_f64(1.0 + plan.renewal.share()), note)));
        }
        let version = newest(&self.context, vault, name, plan.renewal.version).await?;
        if version.is_some_and(|version| version.sealed_key.is_none()) {
            return Ok(Some(Obstacle::Held(Held::CallersKey)));
        }
        let wait = self.turn(entry, plan.valid.end, now);
        let note = || {
            let most = self.context.options.renewal.per_issuer_per_minute;
            format!(
                "Waits for its turn: at most {most} renewals per minute begin at an issuer (renewal.per_issuer_per_minute)."
            )
        };
        Ok(wait.map(|wait| Obstacle::PutOff(wait, note())))
    }

    /// What the entry keeps after a question to the CA.
    async fn ask_for_window(&self, entry: &CertificateEntry, plan: Plan, now: Timestamp) -> Result<Renewal> {
        let CertificateEntry { vault, name, policy, .. } = entry;
        let mut renewal = plan.renewal;
        let Some(version) = newest(&self.context, vault, name, renewal.version).await? else {
            renewal.ask_at = None;
            return Ok(renewal);
        };
        let answer = CaWindows(&self.issuing).window(vault, &policy.issuer, &version.cer.0).await?;
        // Those that were asked together are not asked together for ever.
        let spread = 1.0 + renewal.share() / 8.0;
        renewal.ask_at = match answer {
            WindowAnswer::Given(window) => {
                // It lies in the entry, and is shown to people.
                let is_short = |text: &String| text.len() <= MAX_NOTE && !text.contains(char::is_control);
                let explanation = window.explanation.filter(is_short);
                let found = Window { start: window.start, end: window.end, explanation };
                if renewal.window.as_ref() != Some(&found) {
                    tracing::info!(%vault, certificate = %name, start = found.start.seconds(), end = found.end.seconds(), explanation = found.explanation, "the CA named the window for a renewal");
                }
                renewal.window = Some(found);
                Some(now.plus(ask_again(window.ask_again).mul_f64(spread)))
            }
            WindowAnswer::None => Some(now.plus(ASK_NONE.mul_f64(spread))),
            WindowAnswer::NeverHas => None,
            WindowAnswer::NotNow(problem) => {
                tracing::debug!(%vault, certificate = %name, problem, "the CA could not be asked for the window of a renewal");
                Some(now.plus(ASK_FAILED.mul_f64(spread)))
            }
        };
        Ok(renewal)
    }

    /// The names of the version that a renewal replaces and that what came of it does not have, as a sentence.
    pub(super) async fn names_lost(&self, operation: &Operation, leaf: &[u8]) -> Result<Option<String>> {
        let Some(renews) = &operation.renews else { return Ok(None) };
        let (vault, name) = (&operation.vault, &operation.certificate);
        let Some(before) = newest(&self.context, vault, name, renews.replaces).await? else { return Ok(None) };
        let lost = names_left_out(&before.cer.0, leaf);
        Ok((!lost.is_empty()).then(|| {
            format!(
                "The new certificate does not have the names {} of the version that it renews. To give them up, create a new version.",
                lost.join(", ")
            )
        }))
    }

    /// Counts the end of a renewal, once it is stored.
    pub(super) fn count(&self, operation: &Operation, saved: bool) {
        let Some(renews) = operation.renews.as_ref().filter(|_| saved) else { return };
        match operation.status() {
            Status::Completed => self.context.metrics.operations.renewals.count("completed", renews.trigger.word()),
            Status::Failed => self.context.metrics.operations.renewals.count("failed", renews.trigger.word()),
            Status::InProgress | Status::Cancelled => {}
        }
    }

    /// Where somebody else changed the entry, it is due as that one says.
    async fn save_entry(&self, record: &Record, entry: &CertificateEntry) -> Result<()> {
        let mut batch = Batch::default();
        self.context.records.put_entry(&mut batch, Some(record), entry)?;
        self.context.try_commit(batch).await.map(|_| ())
    }

    async fn look_later(&self, record: Record, at: Timestamp) -> Result<()> {
        let Record { key, revision, body, due: _ } = record;
        let puts = vec![Put { key, expected: Some(revision), body, due: Some(at) }];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }
}

/// A maintenance window that is not open, unless little of the life is left.
fn closed(rules: &VaultRules, plan: &Plan, now: Timestamp) -> Option<Obstacle> {
    let window = rules.window(&plan.renewal).filter(|_| now < plan.emergency())?;
    let opening = window.opening(now).filter(|opening| opening.from > now)?;
    let between =
        |from: Timestamp, to: Timestamp| Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0));
    let spread = BEGINS_WITHIN.min(between(opening.from, opening.until) / 2).mul_f64(plan.renewal.share());
    let wait = between(now, opening.from).saturating_add(spread).min(NEXT_WINDOW);
    Some(Obstacle::PutOff(wait, waits_for(&window, opening)))
}

/// An operation in progress postpones a renewal; one that was begun for it and has failed says why, and when it is tried
/// again.
fn last_operation(operation: &Operation, plan: &Plan, now: Timestamp) -> Option<Obstacle> {
    if operation.in_progress() {
        let wait = retry::look(operation.created, now, plan.valid);
        let note = format!("The operation {} is in progress.", operation.request_id);
        return Some(Obstacle::PutOff(wait, note));
    }
    let renewal = &plan.renewal;
    let is_last = renewal.tries.request_id == Some(operation.request_id) && operation.status() != Status::Completed;
    // With a twentieth of the life left it is tried at once, whatever failed before; and what failed in the future did so
    // by a clock that was wrong.
    let over = (operation.updated < plan.emergency() && now >= plan.emergency()) || operation.updated > now;
    if !is_last || over {
        return None;
    }
    let wait = retry::wait(renewal.tries.count, renewal.version, plan.valid, operation.updated);
    let at = operation.updated.plus(wait);
    let left = Duration::from_millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0));
    let why = operation.error().map_or_else(|| "It was cancelled.".to_owned(), |error| error.message.clone());
    (!left.is_zero()).then_some(Obstacle::PutOff(left, why))
}
