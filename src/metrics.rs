//! The metrics of the server, in OpenMetrics 1.0 text, which Prometheus also reads. This module depends on no other:
//! those who count call it.

pub mod agent;
mod audit;
mod authorities;
mod budget;
mod identity;
mod labels;
mod levels;
mod master_keys;
mod operations;
mod process;
mod renewals;
mod webhooks;
mod worker;

pub use authorities::{AuthorityLevel, ListsLevel, MOST as MOST_AUTHORITIES};
pub use budget::Budget;
pub use identity::IssuerKeys;
pub use levels::{KeyQueue, MasterKeyLevel, Port, Tail};
pub use operations::{Operations, Seen};
pub use renewals::{EXPIRY_BUCKETS, Renewals, Survey};
pub use webhooks::Webhooks;
pub use worker::WorkerMetrics;

use audit::AuditMetrics;
use budget::BudgetMetrics;
use identity::IdentityMetrics;
use labels::{CallLabels, FileLabels, GrpcLabels, GrpcMethod, HttpLabels, HttpRoute, LevelLabels, ProviderLabels};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a read in memory to an issuer that takes its time: 0.1 ms to 30 s.
const SECONDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
type BeforeText = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All measures of one process. Counting is an atomic addition; what is a level is read when the text is made.
pub struct Metrics {
    registry: Registry,
    before_text: Mutex<Vec<BeforeText>>,
    /// Transitions of operations, and those in progress.
    pub operations: Operations,
    /// Events that streams were given.
    pub watch_delivered: Counter,
    /// From the commit of an event, by the clock of its writer, to its arrival in this process.
    pub watch_event_age: Histogram,
    /// Steps of the worker.
    pub worker: WorkerMetrics,
    http: Family<HttpLabels, Counter>,
    http_seconds: Histograms<HttpRoute>,
    grpc: Family<GrpcLabels, Counter>,
    grpc_seconds: Histograms<GrpcMethod>,
    store_seconds: Histograms<CallLabels>,
    issuer_seconds: Histograms<ProviderLabels>,
    issuers: Family<[(&'static str, &'static str); 2], Gauge>,
    watch_ended: Family<[(&'static str, &'static str); 1], Counter>,
    identity: IdentityMetrics,
    reloads: Family<FileLabels, Counter>,
    levels: Family<LevelLabels, Gauge>,
    totals: Family<[(&'static str, &'static str); 1], Counter>,
    scalars: Scalars,
    budget: BudgetMetrics,
}

/// Levels that are set just before the text is made.
#[derive(Debug, Default)]
struct Scalars {
    connections: Gauge,
    accepted: Counter,
    records_refused: Counter,
    audit: AuditMetrics,
    events_unreadable: Counter,
    aged: Counter,
    cut: Counter,
    handshakes_failed: Counter,
    accept_errors: Counter,
    streams: Gauge,
    tail_revision: Gauge,
    head_revision: Gauge,
    tail_lag: Gauge<f64, AtomicU64>,
    ready: Gauge,
    tls_not_after: Gauge,
    ready_keys: Family<[(&'static str, &'static str); 1], Gauge>,
    key_time: Family<[(&'static str, &'static str); 1], Gauge<f64, AtomicU64>>,
    keys_not_run: Family<[(&'static str, &'static str); 1], Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut this = Self {
            registry: Registry::default(),
            before_text: Mutex::default(),
            operations: Operations::default(),
            watch_delivered: Counter::default(),
            watch_event_age: histogram(),
            worker: WorkerMetrics::default(),
            http: Family::default(),
            http_seconds: Family::new_with_constructor(histogram),
            grpc: Family::default(),
            grpc_seconds: Family::new_with_constructor(histogram),
            store_seconds: Family::new_with_constructor(histogram),
            issuer_seconds: Family::new_with_constructor(histogram),
            issuers: Family::default(),
            watch_ended: Family::default(),
            identity: IdentityMetrics::default(),
            reloads: Family::default(),
            levels: Family::default(),
            totals: Family::default(),
            scalars: Scalars::default(),
            budget: BudgetMetrics::default(),
        };
        this.register();
        this
    }

    fn register(&mut self) {
        let mut registry = Registry::default();
        let r = &mut registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        r.register("certmint_build", "The version of the program", build);
        self.operations.register(r);
        add(r, "certmint_http_requests", "REST requests answered", &self.http);
        add(r, "certmint_http_request_duration_seconds", "Time to the response headers", &self.http_seconds);
        add(r, "certmint_grpc_requests", "gRPC calls whose response was started", &self.grpc);
        add(r, "certmint_grpc_request_duration_seconds", "Time to the response headers", &self.grpc_seconds);
        self.identity.register(r);
        add(r, "certmint_store_call_duration_seconds", "Calls to the store", &self.store_seconds);
        let text = "Reads of records that do not verify because they were changed or moved outside certmint";
        add(r, "certmint_store_records_refused", text, &self.scalars.records_refused);
        self.scalars.audit.register(r);
        add(r, "certmint_issuer_call_duration_seconds", "Calls to issuers", &self.issuer_seconds);
        let text = "Issuer objects by how their last call from this replica ended, within the last hour";
        add(r, "certmint_issuers", text, &self.issuers);
        self.worker.register(r);
        add(r, "certmint_key_jobs", "Jobs of the key workers", &self.levels);
        let text = "CPU time that the waiting jobs of the key workers are expected to take";
        add(r, "certmint_key_queue_seconds", text, &self.scalars.key_time);
        let text = "Jobs of the key workers that were not run, by cause";
        add(r, "certmint_key_jobs_not_run", text, &self.scalars.keys_not_run);
        add(r, "certmint_ready_keys", "RSA keys generated in advance", &self.scalars.ready_keys);
        add(r, "certmint_watch_streams", "Open watch streams", &self.scalars.streams);
        add(r, "certmint_watch_events_delivered", "Events delivered to watch streams", &self.watch_delivered);
        let text = "Events of the log that cannot be read, and are passed over";
        add(r, "certmint_watch_events_unreadable", text, &self.scalars.events_unreadable);
        add(r, "certmint_watch_streams_ended", "Watch streams that ended, by reason", &self.watch_ended);
        let text = "From the commit of an event, by its writer's clock, to its arrival here";
        add(r, "certmint_watch_event_age_seconds", text, &self.watch_event_age);
        add(r, "certmint_watch_tail_revision", "The newest revision that was read", &self.scalars.tail_revision);
        add(r, "certmint_store_head_revision", "The newest revision known to exist", &self.scalars.head_revision);
        let text = "How long the log has been ahead of what this replica has read";
        add(r, "certmint_watch_tail_lag_seconds", text, &self.scalars.tail_lag);
        add(r, "certmint_connections", "Open connections", &self.scalars.connections);
        add(r, "certmint_connections_accepted", "Connections accepted", &self.scalars.accepted);
        add(r, "certmint_connections_refused", "Connections closed at once, by limit", &self.totals);
        add(r, "certmint_connections_aged", "Connections asked to close because of their age", &self.scalars.aged);
        add(r, "certmint_connections_cut", "Connections cut at the end of their grace period", &self.scalars.cut);
        add(r, "certmint_tls_handshakes_failed", "TLS handshakes that failed", &self.scalars.handshakes_failed);
        add(r, "certmint_accept_errors", "Failures to accept a connection", &self.scalars.accept_errors);
        self.budget.register(r);
        let text = "When the server certificate expires; 0 in development mode";
        add(r, "certmint_tls_certificate_not_after_timestamp_seconds", text, &self.scalars.tls_not_after);
        add(r, "certmint_reloads", "Files reloaded, by outcome", &self.reloads);
        add(r, "certmint_ready", "What /readyz says: 1 ready, 0 not", &self.scalars.ready);
        r.register_collector(Box::new(process::Process));
        self.registry = registry;
    }

    /// Runs `read` each time before the text is made.
    pub fn before_text(&self, read: impl Fn(&Self) + Send + Sync + 'static) {
        self.before_text.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(read));
    }

    /// Everything, in OpenMetrics text.
    pub fn text(&self) -> String {
        for read in &*self.before_text.lock().unwrap_or_else(PoisonError::into_inner) {
            read(self);
        }
        let mut text = String::with_capacity(32 * 1024);
        if let Err(error) = encode(&mut text, &self.registry) {
            // Only a writer can fail, and a String does not.
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    /// A REST request was answered. `route` is a template, never a path of a caller.
    pub fn http(&self, method: &http::Method, route: &'static str, status: http::StatusCode, took: Duration) {
        let method = labels::method(method);
        self.http.get_or_create(&HttpLabels { method, route, status: status.as_u16() }).inc();
        self.http_seconds.get_or_create(&HttpRoute { method, route }).observe(took.as_secs_f64());
    }

    /// The answer of a gRPC call began; a stream has no time.
    pub fn grpc(&self, method: &'static str, code: &'static str, took: Option<Duration>) {
        self.grpc.get_or_create(&GrpcLabels { method, code }).inc();
        if let Some(took) = took {
            self.grpc_seconds.get_or_create(&GrpcMethod { method }).observe(took.as_secs_f64());
        }
    }

    /// Counts a request without accepted credentials.
    pub fn unauthenticated(&self, api: &'static str) {
        self.identity.unauthenticated.get_or_create(&[("api", api)]).inc();
    }

    /// Sets the state of the issuers of tokens, and how many of their tokens were refused, by issuer and cause.
    pub fn set_issuers_of_tokens(&self, issuers: &[IssuerKeys], refused: &[(&str, &'static str, u64)]) {
        self.identity.set(issuers, refused);
    }

    /// Sets how many client certificates were judged, by section of the configuration and outcome.
    pub fn set_client_certificates(&self, judged: &[(String, &'static str, u64)]) {
        self.identity.set_certificates(judged);
    }

    /// A call of the store ended.
    pub fn store(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.store_seconds.get_or_create(&CallLabels { call, outcome }).observe(took.as_secs_f64());
    }

    /// A call of an issuer ended.
    pub fn issuer(&self, provider: &'static str, outcome: &'static str, took: Duration) {
        self.issuer_seconds.get_or_create(&ProviderLabels { provider, outcome }).observe(took.as_secs_f64());
    }

    /// Sets how many issuers of each provider work, and how many fail.
    pub fn set_issuers(&self, counts: &BTreeMap<&'static str, (usize, usize)>) {
        for (&provider, &(working, failing)) in counts {
            let gauge = |state| self.issuers.get_or_create_owned(&[("provider", provider), ("state", state)]);
            gauge("working").set(level(working as u64));
            gauge("failing").set(level(failing as u64));
        }
    }

    /// A watch stream ended; `reason` is a name of the table of errors, or `OK`.
    pub fn watch_ended(&self, reason: &'static str) {
        self.watch_ended.get_or_create(&[("reason", reason)]).inc();
    }

    /// A file was read again.
    pub fn reloaded(&self, file: &'static str, good: bool) {
        let outcome = if good { "ok" } else { "failed" };
        self.reloads.get_or_create(&FileLabels { file, outcome }).inc();
    }

    pub fn set_ready(&self, ready: bool) {
        self.scalars.ready.set(ready.into());
    }

    /// When the certificate of the port ends, in seconds since 1970.
    pub fn set_tls_not_after(&self, seconds: i64) {
        self.scalars.tls_not_after.set(seconds);
    }

    pub fn set_port(&self, port: Port) {
        let Port { open, accepted, refused_total, refused_peer, handshakes_failed, accept_errors, aged, cut } = port;
        let Scalars { connections, accepted: let_in, aged: asked, cut: cut_off, .. } = &self.scalars;
        connections.set(level(open));
        for (counter, value) in [
            (let_in, accepted),
            (asked, aged),
            (cut_off, cut),
            (&self.scalars.handshakes_failed, handshakes_failed),
            (&self.scalars.accept_errors, accept_errors),
        ] {
            counter.inner().store(value, Relaxed);
        }
        self.totals.get_or_create(&[("limit", "total")]).inner().store(refused_total, Relaxed);
        self.totals.get_or_create(&[("limit", "peer")]).inner().store(refused_peer, Relaxed);
    }

    pub fn set_budget(&self, now: &Budget) {
        self.budget.set(now);
    }

    pub fn set_keys(&self, keys: KeyQueue) {
        let KeyQueue { waiting, running, waiting_time, not_run, ready_rsa_2048, ready_rsa_3072, ready_rsa_4096 } = keys;
        for (threads, time) in waiting_time {
            self.scalars.key_time.get_or_create(&[("threads", threads)]).set(time.as_secs_f64());
        }
        for (cause, count) in not_run {
            self.scalars.keys_not_run.get_or_create(&[("cause", cause)]).inner().store(count, Relaxed);
        }
        for (state, count) in [("waiting", waiting), ("running", running)] {
            self.levels.get_or_create(&LevelLabels { state }).set(level(count as u64));
        }
        for (key, count) in [("RSA-2048", ready_rsa_2048), ("RSA-3072", ready_rsa_3072), ("RSA-4096", ready_rsa_4096)] {
            self.scalars.ready_keys.get_or_create(&[("key", key)]).set(level(count as u64));
        }
    }

    /// Sets how many times a record was refused, which its reader counts.
    pub fn set_records_refused(&self, refused: u64) {
        let counter = &self.scalars.records_refused;
        counter.inc_by(refused.saturating_sub(counter.get()));
    }

    /// Sets how many requests no grant allowed: those that were refused, and those that would have been; and how many
    /// were refused because their principals ask too often, by kind.
    pub fn set_refused(&self, denied: u64, would_deny: u64, limited: impl IntoIterator<Item = (&'static str, u64)>) {
        self.scalars.audit.set_refused(denied, would_deny, limited);
    }

    /// Sets how many lines of the audit ledger were written, and how many could not be.
    pub fn set_audit(&self, lines: u64, failures: u64) {
        self.scalars.audit.set(lines, failures);
    }

    /// Sets how many events of the log cannot be read.
    pub fn set_events_unreadable(&self, unreadable: u64) {
        let counter = &self.scalars.events_unreadable;
        counter.inc_by(unreadable.saturating_sub(counter.get()));
    }

    /// Sets the state of the log.
    pub fn set_tail(&self, tail: Tail) {
        let Tail { streams, revision, head, lag } = tail;
        self.scalars.streams.set(level(streams as u64));
        self.scalars.tail_revision.set(level(revision));
        self.scalars.head_revision.set(level(head));
        self.scalars.tail_lag.set(lag.as_secs_f64());
    }
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, help, metric.clone());
}

fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_what_was_counted_and_ends_as_openmetrics_does() {
        let metrics = Metrics::new();
        metrics.http(&http::Method::GET, "/certificates/{certificate_name}", http::StatusCode::OK, Duration::ZERO);
        metrics.store("commit", "conflict", Duration::from_millis(3));
        metrics.before_text(|metrics| metrics.set_ready(true));
        let text = metrics.text();
        for line in [
            r#"certmint_http_requests_total{method="GET",route="/certificates/{certificate_name}",status="200"} 1"#,
            r#"certmint_store_call_duration_seconds_bucket{le="0.005",call="commit",outcome="conflict"} 1"#,
            "certmint_ready 1",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn unknown_methods_share_one_label() {
        let metrics = Metrics::new();
        for n in 0..50 {
            let method = http::Method::from_bytes(format!("X{n}").as_bytes()).unwrap();
            metrics.http(&method, "none", http::StatusCode::NOT_FOUND, Duration::ZERO);
        }
        assert_eq!(metrics.text().matches("certmint_http_requests_total{").count(), 1);
    }
}
