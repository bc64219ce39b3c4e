//! Of what the task that runs is a part: a request, or a job of the service. Every commit finds it here, so that no use
//! case can forget to say who asked, nor say another one.

use super::facts::Facts;
use super::mirror::Ticket;
use crate::domain::Policy;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::text::readable;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task_local;

/// Characters of what a record says beside.
const MAX_DETAIL: usize = 500;

task_local! {
    static SCOPE: Arc<Scope>;
}

/// What a request is to the ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asks {
    /// It changes something: each commit of it has a record.
    Change,
    /// It reads a secret or lets a key work: its record is stored before the answer leaves.
    Material,
    /// It only reads.
    Read,
}

type Describe<T> = Box<dyn Fn() -> T + Send + Sync>;

/// A request or a job.
pub struct Scope {
    of: Of,
    /// What use cases found out of it.
    found: Mutex<Found>,
    recorded: AtomicBool,
    /// Its lines that are on their way to sinks beside the store.
    tickets: Mutex<Vec<Ticket>>,
}

enum Of {
    Request { asks: Describe<Asks>, facts: Describe<Facts> },
    Job(&'static str),
}

/// What a use case adds to the record of its request.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Found {
    pub(in crate::service) names: Vec<String>,
    pub(in crate::service) issuer: String,
    /// Where the request names none.
    pub(in crate::service) vault: String,
    /// As [`Facts`] has it; cut to [`MAX_DETAIL`] characters.
    pub(in crate::service) detail: String,
}

impl Found {
    /// A certificate under this policy.
    pub(in crate::service) fn asked_for(&mut self, policy: &Policy) {
        let none = SubjectAlternativeNames::default();
        let SubjectAlternativeNames { dns_names, emails, upns, uris, ip_addresses, shown_empty: _ } =
            policy.x509.sans.as_ref().unwrap_or(&none);
        self.names = [dns_names, emails, upns, uris, ip_addresses].into_iter().flatten().cloned().collect();
        if self.names.is_empty() && !policy.x509.subject.is_empty() {
            self.names.push(policy.x509.subject.clone());
        }
        self.issuer.clone_from(&policy.issuer.name);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("recorded", &self.is_recorded()).finish_non_exhaustive()
    }
}

impl Scope {
    /// A request; both say what is known of it by the time that they are called.
    pub fn request(
        asks: impl Fn() -> Asks + Send + Sync + 'static,
        facts: impl Fn() -> Facts + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(Of::Request { asks: Box::new(asks), facts: Box::new(facts) })
    }

    /// A job of the service.
    pub(in crate::service) fn job(what: &'static str) -> Arc<Self> {
        Self::new(Of::Job(what))
    }

    fn new(of: Of) -> Arc<Self> {
        Arc::new(Self { of, found: Mutex::default(), recorded: AtomicBool::new(false), tickets: Mutex::default() })
    }

    /// Runs the future as a part of it.
    pub fn run<F: Future>(self: Arc<Self>, future: F) -> impl Future<Output = F::Output> {
        // Not an async function: that would have room for the future twice, in every request that waits.
        SCOPE.scope(self, future)
    }

    /// That of the task that runs, if it has one.
    pub(in crate::service) fn current() -> Option<Arc<Self>> {
        SCOPE.try_with(Clone::clone).ok()
    }

    /// Whether it changes something; `None` for a job.
    pub(in crate::service) fn asks(&self) -> Option<Asks> {
        match &self.of {
            Of::Request { asks, .. } => Some(asks()),
            Of::Job(_) => None,
        }
    }

    /// Whether it is this job.
    pub(in crate::service) fn is_job(&self, word: &str) -> bool {
        matches!(self.of, Of::Job(what) if what == word)
    }

    /// Whether a commit left a record of it.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Acquire)
    }

    pub(super) fn recorded(&self) {
        self.recorded.store(true, Ordering::Release);
    }

    /// Lines of it are on their way.
    pub(super) fn sent(&self, tickets: Vec<Ticket>) {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).extend(tickets);
    }

    /// Waits until its lines are out; false where one could not be written, or not by the end of `patience`.
    pub(super) async fn is_out(&self, patience: Duration) -> bool {
        let tickets = std::mem::take(&mut *self.tickets.lock().unwrap_or_else(PoisonError::into_inner));
        let all = futures_util::future::join_all(tickets);
        let told = tokio::time::timeout(patience, all).await;
        told.is_ok_and(|told| told.into_iter().all(|one| one == Ok(true)))
    }

    /// What is known of it now.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = match &self.of {
            Of::Request { facts, .. } => facts(),
            Of::Job(what) => of_service(what),
        };
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        facts.list(found.names.into_iter());
        facts.issuer = found.issuer;
        if facts.vault.is_empty() {
            facts.vault = found.vault;
        }
        facts.detail = readable(&found.detail, MAX_DETAIL);
        facts
    }
}

/// Notes what a use case found out of the request that it works for.
pub(in crate::service) fn found(note: impl FnOnce(&mut Found)) {
    if let Some(scope) = Scope::current() {
        note(&mut scope.found.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Work of the service itself.
pub(super) fn of_service(what: &str) -> Facts {
    Facts { principal: "certmint".into(), face: "service".into(), operation: what.to_owned(), ..Facts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_is_a_part_of_what_it_was_started_for() {
        assert!(Scope::current().is_none());
        let scope = Scope::request(|| Asks::Change, || Facts { principal: "token:ci".into(), ..Facts::default() });
        let seen = scope
            .clone()
            .run(async {
                tokio::task::yield_now().await;
                found(|found| found.issuer = "Self".into());
                Scope::current().map(|scope| scope.facts())
            })
            .await
            .unwrap();
        assert_eq!((seen.principal.as_str(), seen.issuer.as_str()), ("token:ci", "Self"));
        let other = Scope::job("pending").run(async { Scope::current().map(|scope| scope.facts().operation) });
        assert_eq!(other.await.as_deref(), Some("pending"));
        assert!(!scope.is_recorded());
    }
}
