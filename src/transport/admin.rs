//! The port for operators, plain HTTP/1.1: `/livez`, `/readyz`, `/metrics` and `/openapi.json`. It is open before the
//! store is, and closes last, so that startup and shutdown are visible.

mod hosts;
mod port;

pub use hosts::AdminHosts;
pub use port::AdminPort;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::service::{FailingIssuer, Health, Service};
use crate::transport::rest::OPENAPI;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE as TYPE};
use serde::Serialize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Checked on each probe.
#[derive(Clone, Debug)]
pub struct Probes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Arc<Metrics>,
    service: OnceLock<ServiceRef>,
    draining: CancellationToken,
    store_timeout: Duration,
    tail_lag: Duration,
    /// What the start waits for.
    waits: Mutex<String>,
}

struct ServiceRef(Service);

impl std::fmt::Debug for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// What stands in the way.
    reasons: Vec<Reason>,
    /// Issuers whose last call from this replica failed. A CA that is down does not turn readiness: this server is
    /// what it is waited for with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing_issuers: Vec<Failing>,
}

#[derive(Debug, Serialize)]
struct Failing {
    vault: String,
    issuer: String,
    provider: &'static str,
}

#[derive(Debug, Serialize)]
struct Reason {
    /// `starting`, `draining`, `store`, `audit` or `tail`.
    reason: &'static str,
    detail: String,
}

impl Probes {
    /// Not ready until [`Probes::started`]. `store_timeout` bounds one question to the store, `tail_lag` how far the
    /// streams may be behind the log; `draining` turns readiness off.
    pub fn new(
        metrics: Arc<Metrics>,
        draining: CancellationToken,
        store_timeout: Duration,
        tail_lag: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            metrics,
            service: OnceLock::new(),
            draining,
            store_timeout,
            tail_lag,
            waits: Mutex::default(),
        }))
    }

    /// What the start waits for now.
    pub fn waits(&self, what: String) {
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// The service is there, and the port is open.
    pub fn started(&self, service: Service) {
        // A second start of one process does not happen; it would change nothing.
        let _ = self.0.service.set(ServiceRef(service));
    }

    /// The routes of the port.
    pub fn router(&self) -> Router {
        let (ready, metrics) = (self.clone(), self.clone());
        Router::new()
            .route("/livez", get(|| async { ([(CACHE_CONTROL, "no-store")], "ok\n") }))
            .route("/readyz", get(move || async move { ready.readyz().await }))
            .route("/metrics", get(move || async move { metrics.text() }))
            .route("/openapi.json", get(|| async { ([(TYPE, "application/json")], OPENAPI) }))
    }

    async fn readyz(&self) -> Response {
        let answer = self.readiness().await;
        let status = if answer.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // A struct of plain members is always JSON.
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        (status, [(CACHE_CONTROL, "no-store"), (TYPE, "application/json")], body).into_response()
    }

    async fn readiness(&self) -> Readiness {
        let inner = &self.0;
        let (mut reasons, mut failing_issuers) = (Vec::new(), Vec::new());
        let mut add = |reason, detail: String| reasons.push(Reason { reason, detail });
        if inner.draining.is_cancelled() {
            add("draining", "the server is about to stop".to_owned());
        }
        match inner.service.get() {
            None => {
                let waits = inner.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
                add("starting", if waits.is_empty() { "the store is not open yet".to_owned() } else { waits });
            }
            Some(ServiceRef(service)) => {
                let failing = service.issuers().control().failing_issuers().into_iter();
                failing_issuers.extend(failing.map(|FailingIssuer { vault, issuer, provider }| Failing {
                    vault,
                    issuer,
                    provider,
                }));
                let Health { store, tail_lag, audit } = service.health(inner.store_timeout).await;
                if let Err(problem) = store {
                    add("store", problem);
                }
                if let Some(problem) = audit {
                    add("audit", format!("the audit ledger cannot be written: {problem}"));
                }
                if tail_lag > inner.tail_lag {
                    add("tail", format!("the log has been ahead of the streams for {} s", tail_lag.as_secs()));
                }
            }
        }
        let ready = reasons.is_empty();
        inner.metrics.set_ready(ready);
        Readiness { ready, reasons, failing_issuers }
    }

    fn text(&self) -> Response {
        if let Some(ServiceRef(service)) = self.0.service.get() {
            service.measure(&self.0.metrics);
        }
        ([(TYPE, CONTENT_TYPE), (CACHE_CONTROL, "no-store")], self.0.metrics.text()).into_response()
    }
}
