//! Metrics of webhooks.

use super::{Histograms, SECONDS, add};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// What this replica sent.
#[derive(Debug)]
pub struct Webhooks {
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    age: Histograms<[(&'static str, &'static str); 1]>,
    given_up: Counter,
    dropped: Counter,
}

impl Default for Webhooks {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            requests: Family::default(),
            age: Family::new_with_constructor(histogram),
            given_up: Counter::default(),
            dropped: Counter::default(),
        }
    }
}

impl Webhooks {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Requests to webhooks by what became of them: taken, again, refused, or gone";
        add(registry, "certmint_webhook_requests", text, &self.requests);
        let text = "From the commit of an event to the answer of the webhook that took it";
        add(registry, "certmint_webhook_age_seconds", text, &self.age);
        let text = "Events that became dead letters";
        add(registry, "certmint_webhook_given_up", text, &self.given_up);
        let text = "Events that were dropped because too many waited for their webhook";
        add(registry, "certmint_webhook_dropped", text, &self.dropped);
    }

    /// A request ended so, and its event is so old.
    pub fn sent(&self, outcome: &'static str, age: Duration) {
        self.requests.get_or_create(&[("outcome", outcome)]).inc();
        if outcome == "taken" {
            self.age.get_or_create(&[("outcome", outcome)]).observe(age.as_secs_f64());
        }
    }

    /// So many events were dropped since the start.
    pub fn dropped(&self, in_all: u64) {
        self.dropped.inc_by(in_all.saturating_sub(self.dropped.get()));
    }

    /// An event became a dead letter.
    pub fn given_up(&self) {
        self.given_up.inc();
    }
}
