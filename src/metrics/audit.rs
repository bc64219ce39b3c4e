//! The audit ledger, what no grant allowed, and callers that ask too often.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What its writer counts, and refusals by how they were decided.
#[derive(Debug, Default)]
pub(super) struct AuditMetrics {
    lines: Counter,
    failures: Counter,
    denied: Family<[(&'static str, &'static str); 1], Counter>,
    limited: Family<[(&'static str, &'static str); 1], Counter>,
}

impl AuditMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Requests that no grant allowed: refused, or only written down";
        registry.register("certmint_access_denied", text, self.denied.clone());
        let text = "Requests that were refused because their principals ask more often than access.per_caller allows";
        registry.register("certmint_callers_limited", text, self.limited.clone());
        registry.register("certmint_audit_lines", "Lines written to the audit ledger", self.lines.clone());
        let text = "Lines that a sink of the audit ledger did not take; a change is never stored without its line, and is not counted";
        registry.register("certmint_audit_failures", text, self.failures.clone());
    }

    pub(super) fn set_refused(
        &self,
        denied: u64,
        would_deny: u64,
        limited: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        for (decision, count) in [("deny", denied), ("would_deny", would_deny)] {
            let counter = self.denied.get_or_create(&[("decision", decision)]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        for (kind, count) in limited {
            let counter = self.limited.get_or_create(&[("kind", kind)]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    pub(super) fn set(&self, lines: u64, failures: u64) {
        for (counter, value) in [(&self.lines, lines), (&self.failures, failures)] {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }
}
