//! Metrics of `certmint agent`, a process of its own with a registry of its own. The series are as many as the
//! certificates of its configuration.

use super::add;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Labels {
    vault: String,
    certificate: String,
}

/// All measures of an agent.
#[derive(Debug, Default)]
pub struct AgentMetrics {
    registry: Registry,
    installations: Family<[(&'static str, &'static str); 1], Counter>,
    reloads: Family<[(&'static str, &'static str); 1], Counter>,
    expiry: Family<Labels, Gauge>,
    connected: Gauge,
}

impl AgentMetrics {
    /// With nothing counted.
    pub fn new() -> Self {
        let mut metrics = Self::default();
        let mut registry = Registry::default();
        let text = "Installations of versions by how they ended: installed, refused by only_if, or failed";
        add(&mut registry, "certmint_agent_installations", text, &metrics.installations);
        let text = "Reloads by how they ended: done or failed";
        add(&mut registry, "certmint_agent_reloads", text, &metrics.reloads);
        let text = "When the installed version of a certificate ends, in seconds since 1970";
        add(&mut registry, "certmint_agent_certificate_expiry_timestamp_seconds", text, &metrics.expiry);
        let text = "1 while the stream of the server is open and caught up, else 0";
        add(&mut registry, "certmint_agent_connected", text, &metrics.connected);
        metrics.registry = registry;
        metrics
    }

    /// `outcome` is `installed`, `refused` or `failed`.
    pub fn installation(&self, outcome: &'static str) {
        self.installations.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A reload was attempted.
    pub fn reload(&self, done: bool) {
        self.reloads.get_or_create(&[("outcome", if done { "done" } else { "failed" })]).inc();
    }

    /// `seconds` since 1970.
    pub fn expires(&self, vault: &str, certificate: &str, seconds: i64) {
        let labels = Labels { vault: vault.to_owned(), certificate: certificate.to_owned() };
        self.expiry.get_or_create_owned(&labels).set(seconds);
    }

    /// Whether the stream is open.
    pub fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }

    /// OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
