//! The audit ledger.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What its writer counts.
#[derive(Debug, Default)]
pub(super) struct AuditMetrics {
    lines: Counter,
    failures: Counter,
}

impl AuditMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("certmint_audit_lines", "Lines written to the audit ledger", self.lines.clone());
        let text = "Lines of the audit ledger that could not be written, but for those of changes";
        registry.register("certmint_audit_failures", text, self.failures.clone());
    }

    pub(super) fn set(&self, lines: u64, failures: u64) {
        for (counter, value) in [(&self.lines, lines), (&self.failures, failures)] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }
}
