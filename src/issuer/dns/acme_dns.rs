//! Records by acme-dns: a small name server with an HTTP API, to which `_acme-challenge` names are
//! delegated by CNAME. It keeps the last two texts of each account, so nothing is removed.

use super::httpreq::finish;
use super::settings::{AcmeDnsAccount, AcmeDnsSettings};
use super::{SolveError, Solver, TxtRecord};
use crate::outbound::{Exchange, Request};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;

pub(super) struct AcmeDns {
    settings: AcmeDnsSettings,
    http: Arc<dyn Exchange>,
}

impl AcmeDns {
    pub(super) fn new(settings: AcmeDnsSettings, http: Arc<dyn Exchange>) -> Self {
        Self { settings, http }
    }

    /// The account of the domain, or of the nearest name above it.
    fn account(&self, domain: &str) -> Option<&AcmeDnsAccount> {
        let mut name = domain;
        loop {
            if let Some((_, account)) = self.settings.accounts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
                return Some(account);
            }
            name = name.split_once('.')?.1;
        }
    }
}

#[async_trait]
impl Solver for AcmeDns {
    async fn present(&self, record: &TxtRecord) -> Result<(), SolveError> {
        let domain = record.domain.as_str();
        let account = self.account(domain).ok_or_else(|| {
            SolveError::Misconfigured(format!("The option acmedns_accounts has no account for {domain}."))
        })?;
        let place = format!("{}/update", self.settings.url);
        let body = json!({"subdomain": account.subdomain, "txt": record.value});
        let request = Request::post(place.as_str(), "application/json", body.to_string())
            .secret_header("x-api-user", &account.username)?
            .secret_header("x-api-key", &account.password)?;
        finish(self.http.exchange(request).await?.status, &place)
    }

    async fn remove(&self, _record: &TxtRecord) -> Result<(), SolveError> {
        Ok(())
    }
}
