//! Metrics of the memory budget: what requests hold, and what was refused.

use super::{add, level};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering::Relaxed;

/// The state of the budget of a port, as its own counters have it.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Bytes held for all requests and for anonymous ones.
    pub bytes: u64,
    pub anonymous_bytes: u64,
    /// Open anonymous requests and connections.
    pub anonymous_requests: u64,
    pub anonymous_connections: u64,
    /// Requests that were refused, by limit.
    pub refused: Vec<(&'static str, u64)>,
    /// Answers, and connections, that were ended because nobody read.
    pub stalled: u64,
    pub stalled_connections: u64,
    /// Anonymous connections closed to make room.
    pub displaced: u64,
}

/// The limits that a refusal is counted under.
const LIMITS: [&str; 5] = ["process", "principal", "anonymous", "peer", "streams"];

#[derive(Debug, Default)]
pub(super) struct BudgetMetrics {
    held: Family<[(&'static str, &'static str); 1], Gauge>,
    requests: Gauge,
    connections: Gauge,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    stalled: Counter,
    stalled_connections: Counter,
    displaced: Counter,
}

impl BudgetMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        let Self { held, requests, connections, refused, stalled, stalled_connections, displaced } = self;
        add(r, "certmint_held_bytes", "Bytes held for requests and for answers on their way", held);
        add(r, "certmint_anonymous_requests", "Open requests without accepted credentials", requests);
        add(r, "certmint_anonymous_connections", "Open connections without accepted credentials", connections);
        add(r, "certmint_requests_over_budget", "Requests refused by a limit on what is held", refused);
        add(r, "certmint_answers_stalled", "Answers ended because nobody read them", stalled);
        let text = "Connections closed because of answers that nobody read";
        add(r, "certmint_connections_stalled", text, stalled_connections);
        add(r, "certmint_connections_displaced", "Anonymous connections closed to make room", displaced);
        // A rate needs the zero before the first refusal.
        self.set(&Budget { refused: LIMITS.map(|limit| (limit, 0)).to_vec(), ..Budget::default() });
    }

    pub(super) fn set(&self, now: &Budget) {
        let Budget { bytes, anonymous_bytes, anonymous_requests, anonymous_connections, refused, .. } = now;
        for (of, value) in [("all", bytes), ("anonymous", anonymous_bytes)] {
            self.held.get_or_create(&[("of", of)]).set(level(*value));
        }
        self.requests.set(level(*anonymous_requests));
        self.connections.set(level(*anonymous_connections));
        for (limit, value) in refused {
            self.refused.get_or_create(&[("limit", limit)]).inner().store(*value, Relaxed);
        }
        self.stalled.inner().store(now.stalled, Relaxed);
        self.stalled_connections.inner().store(now.stalled_connections, Relaxed);
        self.displaced.inner().store(now.displaced, Relaxed);
    }
}
