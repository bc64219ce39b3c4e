//! Metrics of pending operations, from the event log. Every replica reads the whole log, so each counts all operations
//! of the installation: take the largest of the replicas, not their sum.

use super::authorities::Authorities;
use super::master_keys::MasterKeys;
use super::{Renewals, Webhooks, add};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Names of issuers that become a label of their own; callers choose them, so there is a bound.
const ISSUERS: usize = 100;
/// The label of the issuers above it.
const OTHER: &str = "other";

/// One event of the log.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The `request_id`, as a number.
    pub id: u128,
    pub issuer: &'a str,
    /// `created`, `noted`, `completed`, `merged`, `failed`, `cancelled`, `deleted` or `overwritten`.
    pub transition: &'static str,
    /// Whether the operation is in progress after it.
    pub open: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Labels {
    issuer: String,
    transition: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Issuer {
    issuer: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Published {
    kind: &'static str,
    status: u16,
}

/// Counts transitions, and keeps who is in progress.
#[derive(Default)]
pub struct Operations {
    transitions: Family<Labels, Counter>,
    in_progress: Family<Issuer, Gauge>,
    ca: Family<[(&'static str, &'static str); 1], Counter>,
    published: Family<Published, Counter>,
    ocsp: Family<[(&'static str, &'static str); 1], Counter>,
    /// The CAs of the server.
    pub authorities: Authorities,
    pub renewals: Renewals,
    pub webhooks: Webhooks,
    pub master_keys: MasterKeys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issuers: HashSet<Arc<str>>,
    open: HashMap<u128, Arc<str>>,
    /// What the live log reported while the older part was still being read; it takes precedence.
    live: Option<HashSet<u128>>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

impl Operations {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.renewals.register(registry);
        self.webhooks.register(registry);
        self.master_keys.register(registry);
        let text = "Transitions of pending operations that this replica read in the log; each replica counts all";
        add(registry, "certmint_operation_transitions", text, &self.transitions);
        let text = "Operations in progress, as the log tells; those without an event in the kept log are missing";
        add(registry, "certmint_operations_in_progress", text, &self.in_progress);
        let text = "Certificates of built-in CAs by the state that this replica wrote into their log";
        add(registry, "certmint_ca_certificates", text, &self.ca);
        let text = "Requests to the port on which built-in CAs publish";
        add(registry, "certmint_published_requests", text, &self.published);
        add(registry, "certmint_ocsp_answers", "OCSP answers, by what they say", &self.ocsp);
        self.authorities.register(registry);
    }

    /// A request to the port of the CAs was answered.
    pub fn published(&self, kind: &'static str, status: u16) {
        self.published.get_or_create(&Published { kind, status }).inc();
    }

    /// An OCSP request was answered.
    pub fn ocsp(&self, status: &'static str) {
        self.ocsp.get_or_create(&[("status", status)]).inc();
    }

    /// A certificate of a CA of this server came into this state. Unlike the others, this counts what this process did:
    /// the replicas together did the sum.
    pub fn ca(&self, state: &'static str) {
        self.ca.get_or_create(&[("state", state)]).inc();
    }

    /// An event came.
    pub fn seen(&self, event: Seen<'_>) {
        let Seen { id, issuer, transition, open } = event;
        let mut state = self.lock();
        let issuer = state.label(issuer);
        if let Some(live) = &mut state.live {
            live.insert(id);
        }
        self.set_open(&mut state, id, &issuer, open);
        drop(state);
        self.transitions.get_or_create(&Labels { issuer: issuer.to_string(), transition }).inc();
    }

    /// The part of the log before the start is about to be read: from here on the live part is noted.
    pub fn begin_history(&self) {
        self.lock().live = Some(HashSet::new());
    }

    /// An event of that part: it counts for what is in progress, not as a transition.
    pub fn history(&self, event: Seen<'_>) {
        let Seen { id, issuer, transition: _, open } = event;
        let mut state = self.lock();
        if state.live.as_ref().is_some_and(|live| live.contains(&id)) {
            return;
        }
        let issuer = state.label(issuer);
        self.set_open(&mut state, id, &issuer, open);
    }

    /// All of it was read.
    pub fn end_history(&self) {
        self.lock().live = None;
    }

    fn set_open(&self, state: &mut State, id: u128, issuer: &Arc<str>, open: bool) {
        let gauge = |issuer: &Arc<str>| self.in_progress.get_or_create_owned(&Issuer { issuer: issuer.to_string() });
        match (open, state.open.contains_key(&id)) {
            (true, false) => {
                state.open.insert(id, issuer.clone());
                gauge(issuer).inc();
            }
            (false, true) => {
                if let Some(issuer) = state.open.remove(&id) {
                    gauge(&issuer).dec();
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Each change is whole before the next may panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One text for each name, up to the bound.
    fn label(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.issuers.get(name) {
            return known.clone();
        }
        if self.issuers.len() >= ISSUERS {
            return OTHER.into();
        }
        let label: Arc<str> = name.into();
        self.issuers.insert(label.clone());
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: u128, transition: &'static str, open: bool) -> Seen<'static> {
        Seen { id, issuer: "Self", transition, open }
    }

    fn open(operations: &Operations) -> i64 {
        operations.in_progress.get_or_create(&Issuer { issuer: "Self".into() }).get()
    }

    #[test]
    fn what_is_in_progress_follows_from_the_events() {
        let operations = Operations::default();
        for event in [seen(1, "created", true), seen(2, "created", true), seen(1, "noted", true)] {
            operations.seen(event);
        }
        assert_eq!(open(&operations), 2);
        operations.seen(seen(1, "completed", false));
        operations.seen(seen(1, "deleted", false));
        assert_eq!(open(&operations), 1);
    }

    #[test]
    fn the_live_log_knows_better_than_the_older_part() {
        let operations = Operations::default();
        operations.begin_history();
        operations.seen(seen(1, "completed", false));
        operations.history(seen(1, "created", true));
        operations.history(seen(2, "created", true));
        operations.end_history();
        assert_eq!(open(&operations), 1);
    }

    #[test]
    fn issuers_beyond_the_bound_share_a_label() {
        let operations = Operations::default();
        for id in 0..500_u16 {
            let issuer = format!("ca-{id}");
            operations.seen(Seen { id: id.into(), issuer: &issuer, transition: "created", open: true });
        }
        let state = operations.lock();
        let labels: HashSet<&Arc<str>> = state.open.values().collect();
        assert_eq!(labels.len(), ISSUERS + 1);
    }
}
