//! When the CA of an issuer wants a certificate renewed, and whether it may be asked at all.

use super::{Issuing, bulkhead};
use crate::domain::policy::IssuerParameters;
use crate::domain::{IssuerConfig, IssuerName, Result, VaultName};
use crate::issuer::IssuerError;
use crate::issuer::provider::{Provider, RenewalWindow};
use crate::service::records::key;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::error::Elapsed;

/// How long a CA has for its answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of the question for a window.
pub(in crate::service) enum WindowAnswer {
    /// The CA has one.
    Given(RenewalWindow),
    /// It has none for this certificate, for now.
    None,
    /// This issuer never has one.
    NeverHas,
    /// It could not be asked now, in words.
    NotNow(String),
}

/// Asks CAs when they want certificates renewed.
pub(in crate::service) struct CaWindows<'a>(pub(in crate::service) &'a Issuing);

impl CaWindows<'_> {
    /// Whether the CA of an issuer may have a say about renewals.
    pub(in crate::service) async fn tells_windows(&self, vault: &VaultName, issuer: &IssuerParameters) -> Result<bool> {
        let found = self.provider_of(vault, issuer).await?;
        Ok(found.is_some_and(|(provider, _)| provider.tells_windows()))
    }

    /// The sentence that says that an issuer is paused; none where it is not.
    pub(in crate::service) async fn pause_of(
        &self,
        vault: &VaultName,
        issuer: &IssuerParameters,
    ) -> Result<Option<String>> {
        let Ok(name) = IssuerName::parse(&issuer.name) else { return Ok(None) };
        if issuer.is_self() {
            return Ok(None);
        }
        let config = self.0.context.load(&key::issuer(vault, &name)).await?;
        Ok(config.and_then(|(_, config)| {
            let pause = config.paused?;
            Some(format!("{} The certificate is renewed when it is resumed.", is_paused(&config.name, &pause.reason)))
        }))
    }

    /// Asks the CA for the window of a certificate (DER).
    pub(in crate::service) async fn window(
        &self,
        vault: &VaultName,
        issuer: &IssuerParameters,
        certificate: &[u8],
    ) -> Result<WindowAnswer> {
        if issuer.is_self() {
            return Ok(WindowAnswer::NeverHas);
        }
        // It may be set again.
        let Some((provider, config)) = self.provider_of(vault, issuer).await? else { return Ok(WindowAnswer::None) };
        if !provider.tells_windows() {
            return Ok(WindowAnswer::NeverHas);
        }
        if let Some(pause) = &config.paused {
            return Ok(WindowAnswer::NotNow(is_paused(&config.name, &pause.reason)));
        }
        let Some(kept) = self.0.state_of(&*provider, vault, &config).await? else {
            return Ok(WindowAnswer::NotNow(format!("The issuer {} has no state: set it again.", config.name)));
        };
        let called = bulkhead::window_name(vault, &config.name);
        if self.0.bulkhead.is_stuck(&called, self.0.context.limits().slow_calls_per_issuer) {
            return Ok(WindowAnswer::NotNow("The CA has not answered earlier questions yet.".to_owned()));
        }
        let begun = Instant::now();
        let call = self.0.bulkhead.watch(&called, provider.renewal(certificate, kept.state()));
        let answer = tokio::time::timeout(PATIENCE, call).await;
        if let Some(label) = self.0.issuers.name_of(&config.provider) {
            self.0.context.metrics.issuer(label, outcome_of(&answer), begun.elapsed());
        }
        Ok(match answer {
            Ok(Ok(Some(window))) => WindowAnswer::Given(window),
            Ok(Ok(None)) => WindowAnswer::None,
            Ok(Err(error)) => WindowAnswer::NotNow(error.to_string()),
            Err(_) => WindowAnswer::NotNow(format!("The CA did not answer within {} s.", PATIENCE.as_secs())),
        })
    }

    async fn provider_of(
        &self,
        vault: &VaultName,
        issuer: &IssuerParameters,
    ) -> Result<Option<(Arc<dyn Provider>, IssuerConfig)>> {
        let Ok(name) = IssuerName::parse(&issuer.name) else { return Ok(None) };
        if issuer.is_self() {
            return Ok(None);
        }
        let Some((_, config)) = self.0.context.load(&key::issuer(vault, &name)).await? else { return Ok(None) };
        Ok(self.0.issuers.get(&config.provider).cloned().map(|provider| (provider, config)))
    }
}

/// The outcome of a question, for the counts.
fn outcome_of(answer: &Result<Result<Option<RenewalWindow>, IssuerError>, Elapsed>) -> &'static str {
    match answer {
        Ok(Ok(Some(_))) => "window",
        Ok(Ok(None)) => "no_window",
        Ok(Err(IssuerError::Retry { .. })) => "retry",
        Ok(Err(IssuerError::Misconfigured { .. })) => "misconfigured",
        Err(_) => "timeout",
    }
}

/// Why an operation waits whose issuer is paused.
pub(super) fn paused(name: &IssuerName, reason: &str) -> String {
    format!("{} The request goes on when it is resumed.", is_paused(name, reason))
}

fn is_paused(name: &IssuerName, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("The issuer {name} is paused{reason}.")
}
