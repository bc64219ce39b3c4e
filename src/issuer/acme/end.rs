//! Orders that end without a certificate: the reason, the clean-up, and whether another order follows.

use super::problem::{FINAL, Failure, Place};
use super::state::DnsRecord;
use super::steps::{Run, Stop};
use super::wire::{self, AuthorizationStatus};
use crate::issuer::FailureClass;
use crate::issuer::dns;
use crate::issuer::provider::{ChallengeKey, Progress};
use serde_json::json;
use std::time::Duration;
use tracing::warn;

/// What the CA found where it looked for a proof: the names are the requester's (RFC 8555 section 6.7).
const VALIDATION: &[&str] = &["unauthorized", "incorrectResponse", "dns", "connection", "tls"];

/// The longest reason, in characters.
const REASON: usize = 1500;

/// Before another order is made; the last one stays. CAs count failed validations by the hour.
const WAITS: [u64; 4] = [15, 120, 900, 3600];

impl Run<'_> {
    /// The order is over (RFC 8555 section 7.1.6). The reason is in the challenges more often than
    /// in the order.
    pub(super) async fn invalid(&mut self, order: &wire::Order) -> Result<Progress, Stop> {
        let mut reasons = Vec::new();
        let (mut last, mut validated) = (false, false);
        let mut note = |who: &str, problem: &wire::Problem| {
            last |= FINAL.contains(&problem.name());
            validated |= VALIDATION.contains(&problem.name());
            reasons.push(if who.is_empty() { problem.to_string() } else { format!("{who}: {problem}") });
        };
        for (_, authorization) in self.authorizations(&order.authorizations).await? {
            for challenge in &authorization.challenges {
                if let Some(problem) = &challenge.error {
                    note(&authorization.identifier.value, problem);
                }
            }
        }
        if let Some(problem) = &order.error {
            note("", problem);
        }
        let reason = if reasons.is_empty() {
            let expired = order.expires.as_deref().and_then(super::renewal::time_of);
            match expired.filter(|expires| *expires <= self.tools.clock.now()) {
                Some(_) => "The order expired at the CA.".to_owned(),
                None => "The CA ended the order and gave no reason.".to_owned(),
            }
        } else {
            let reasons: String = reasons.join("; ").chars().take(REASON).collect();
            format!("The CA refused the order: {}.", reasons.trim_end_matches('.'))
        };
        let class = if last || validated { FailureClass::RequestRejected } else { FailureClass::IssuerError };
        if last {
            return Ok(self.fail(class, reason).await);
        }
        Ok(self.again(class, reason).await)
    }

    /// Another order after a pause, as long as there may be one. `class` says whose fault the end of this one was.
    pub(super) async fn again(&mut self, class: FailureClass, reason: String) -> Progress {
        if self.saved.orders >= self.state.settings.max_orders {
            return self.fail(class, reason).await;
        }
        let withdraw = self.drop_order().await;
        let index = usize::try_from(self.saved.failures).unwrap_or(usize::MAX).min(WAITS.len() - 1);
        let wait = Duration::from_secs(WAITS.get(index).copied().unwrap_or_default());
        self.saved.failures = self.saved.failures.saturating_add(1);
        self.saved.not_before = Some(self.tools.clock.now().plus(wait));
        let (made, most) = (self.saved.orders, self.state.settings.max_orders);
        let details = format!("{reason} Order {made} of at most {most}; the next one follows.");
        self.saved.reason = Some(details.clone());
        let mut progress = self.pending(wait, Some(details));
        progress.withdraw = withdraw;
        progress
    }

    /// The end: the requester gets the reason.
    pub(super) async fn fail(&mut self, class: FailureClass, reason: String) -> Progress {
        self.clean().await;
        let mut progress = Progress::failed(class, reason);
        progress.withdraw = self.saved.keys();
        progress
    }

    /// Forgets the order; what replicas serve for it is to be withdrawn.
    pub(super) async fn drop_order(&mut self) -> Vec<ChallengeKey> {
        self.clean().await;
        let keys = self.saved.keys();
        self.saved.order = None;
        keys
    }

    /// Removes the DNS records of this order and of earlier ones. Nothing waits for that: what
    /// cannot be removed now is tried again with the next order.
    pub(super) async fn clean(&mut self) {
        let mut records = std::mem::take(&mut self.saved.leftovers);
        if let Some(open) = self.saved.order.as_mut().filter(|open| open.written) {
            open.written = false;
            records.extend(open.records());
        }
        if records.is_empty() {
            return;
        }
        let Some(settings) = &self.state.settings.dns else { return };
        let kept = match dns::solver(settings, self.tools) {
            Ok(solver) => {
                let texts: Vec<dns::TxtRecord> = records.iter().map(DnsRecord::txt).collect();
                let left = dns::erase(&*solver, &texts).await;
                left.into_iter().filter_map(|place| records.get(place).cloned()).collect()
            }
            Err(error) => {
                warn!(?error, "DNS records could not be removed");
                records
            }
        };
        self.saved.keep_leftovers(kept);
    }

    /// Gives up the authorizations that are still pending (section 7.5.2).
    pub(super) async fn give_up(&self, order: &wire::Order) -> Result<(), Failure> {
        for (url, authorization) in self.authorizations(&order.authorizations).await? {
            if authorization.status == AuthorizationStatus::Pending {
                let payload = json!({"status": "deactivated"});
                match self.post(&url, Some(&payload), Place::Order).await {
                    // It may have changed since it was read.
                    Ok(_) | Err(Failure::Problem { status: 400..=499, .. }) => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(())
    }
}
