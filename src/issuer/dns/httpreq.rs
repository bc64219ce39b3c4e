//! Records by an HTTP service of the operator, called as lego's `httpreq` provider calls it.

use super::settings::HttpReqSettings;
use super::{SolveError, Solver, TxtRecord};
use crate::outbound::{Class, Exchange, Request, classify};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) struct HttpReq {
    settings: HttpReqSettings,
    http: Arc<dyn Exchange>,
}

impl HttpReq {
    pub(super) fn new(settings: HttpReqSettings, http: Arc<dyn Exchange>) -> Self {
        Self { settings, http }
    }

    async fn call(&self, action: &str, record: &TxtRecord) -> Result<(), SolveError> {
        let HttpReqSettings { url, user, password, raw } = &self.settings;
        let body = if *raw {
            json!({"domain": record.domain, "token": record.token, "keyAuth": record.key_authorization})
        } else {
            json!({"fqdn": record.owner, "value": record.value})
        };
        let mut request = Request::post(format!("{url}/{action}"), "application/json", body.to_string());
        if user.is_some() || password.is_some() {
            let (user, password) = (user.as_deref().unwrap_or_default(), password.as_deref().unwrap_or_default());
            let pair = Zeroizing::new(format!("{user}:{password}"));
            let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            request = request.secret_header("authorization", &value)?;
        }
        finish(self.http.exchange(request).await?.status, &format!("{url}/{action}"))
    }
}

/// The status of a service that writes records.
pub(super) fn finish(status: http::StatusCode, place: &str) -> Result<(), SolveError> {
    let said = format!("{place} answered {status} for a DNS record.");
    match classify(status) {
        Class::Success => Ok(()),
        Class::Retryable => Err(SolveError::Retry(said)),
        Class::Refused | Class::Misconfigured => Err(SolveError::Misconfigured(said)),
    }
}

#[async_trait]
impl Solver for HttpReq {
    async fn present(&self, record: &TxtRecord) -> Result<(), SolveError> {
        self.call("present", record).await
    }

    async fn remove(&self, record: &TxtRecord) -> Result<(), SolveError> {
        self.call("cleanup", record).await
    }
}
