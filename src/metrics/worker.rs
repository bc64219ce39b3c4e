//! The worker: the steps that it runs, and what it does not keep up with.

use super::add;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Measures of the worker.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// Steps that were begun, and those that ended with an error.
    pub steps: Counter,
    pub steps_failed: Counter,
    /// Due records that were set aside, because this version has no job for their kind.
    pub parked: Counter,
    /// Steps running.
    pub running: Gauge,
    /// 1 while the last look at the store found at least as much due work as there were places.
    pub saturated: Gauge,
}

impl WorkerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        add(registry, "certmint_worker_steps", "Steps of pending operations started", &self.steps);
        add(registry, "certmint_worker_steps_failed", "Steps that ended with an error", &self.steps_failed);
        let text = "Due records that were set aside until a newer version takes them up";
        add(registry, "certmint_worker_records_parked", text, &self.parked);
        add(registry, "certmint_worker_steps_running", "Steps running", &self.running);
        let text = "1 while the last poll found at least as much due work as free slots";
        add(registry, "certmint_worker_saturated", text, &self.saturated);
    }
}
