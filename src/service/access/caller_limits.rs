//! How often one principal may ask: a token bucket for each principal and kind of request.

use crate::domain::data_action::RequestKind;
use crate::domain::{DataAction, Detail, Error, Reason, Result};
use crate::token_bucket::{Buckets, Rate};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// The share of a minute's requests that may come at once.
const AT_ONCE: u32 = 6;

/// Requests of one principal in a minute, on each replica. A sixth of that may come at once. What is above is answered 429
/// with `Retry-After`; what no grant allows does not count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallerLimits {
    /// Creations, imports, merges, restores and renewals. Default none.
    pub creations: Option<NonZeroU32>,
    /// Requests that use a key: sign, decrypt, unwrap, encrypt, wrap and verify. Default none.
    pub key_operations: Option<NonZeroU32>,
    /// Reads of secrets, with private keys. Default none.
    pub secrets: Option<NonZeroU32>,
    /// All other reads: certificates, operations, lists, and beginnings of streams. Default none.
    pub reads: Option<NonZeroU32>,
    /// All other changes. Default none.
    pub changes: Option<NonZeroU32>,
}

/// The limits, and what is taken of them.
#[derive(Debug)]
pub(super) struct CallerRates([Kind; RequestKind::ALL.len()]);

#[derive(Debug)]
struct Kind {
    per_minute: Option<NonZeroU32>,
    buckets: Buckets,
    refused: AtomicU64,
}

impl CallerRates {
    pub(super) fn new(limits: CallerLimits) -> Self {
        let CallerLimits { creations, key_operations, secrets, reads, changes } = limits;
        Self(RequestKind::ALL.map(|kind| {
            let per_minute = match kind {
                RequestKind::Creation => creations,
                RequestKind::KeyOperation => key_operations,
                RequestKind::Secret => secrets,
                RequestKind::Read => reads,
                RequestKind::Change => changes,
            };
            Kind { per_minute, buckets: Buckets::default(), refused: AtomicU64::new(0) }
        }))
    }

    /// Counts a request that is allowed.
    ///
    /// # Errors
    /// `Throttled` where its principal asks too often, with the time until the next one.
    pub(super) fn take(&self, principal: &str, action: DataAction) -> Result<()> {
        let kind = action.request_kind();
        let Kind { per_minute: Some(per_minute), buckets, refused } = &self.0[kind as usize] else { return Ok(()) };
        buckets.take(principal, rate(*per_minute), Instant::now()).map_err(|wait| {
            refused.fetch_add(1, Ordering::Relaxed);
            let description = format!("at most {per_minute} {} of a caller in a minute", kind.word());
            // Whole seconds, as Retry-After has them.
            let wait = Duration::from_secs(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(60));
            Error::new(Reason::Throttled, format!("Too many requests: {description}."))
                .with(Detail::Quota { subject: kind.word().to_owned(), description })
                .retry_after(wait)
        })
    }

    /// How many requests were refused, by the word of their kind.
    pub(super) fn refused(&self) -> [(&'static str, u64); RequestKind::ALL.len()] {
        RequestKind::ALL.map(|kind| (kind.word(), self.0[kind as usize].refused.load(Ordering::Relaxed)))
    }
}

fn rate(per_minute: NonZeroU32) -> Rate {
    Rate { burst: (per_minute.get() / AT_ONCE).max(1), interval: MINUTE / per_minute.get() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_principal_and_kind_has_its_own_limit() {
        let limits = CallerLimits { creations: NonZeroU32::new(12), ..CallerLimits::default() };
        let rates = CallerRates::new(limits);
        let create = |who: &str| rates.take(who, DataAction::CertificatesCreate);
        assert!(create("token:a").is_ok() && create("token:a").is_ok());
        let refused = create("token:a").unwrap_err();
        assert_eq!((refused.reason, refused.retry_after), (Reason::Throttled, Some(Duration::from_secs(5))));
        assert!(rates.take("token:a", DataAction::CertificatesImport).is_err(), "the same kind");
        assert!(create("token:b").is_ok());
        for action in DataAction::ALL.iter().filter(|action| action.request_kind() != RequestKind::Creation) {
            assert!((0..100).all(|_| rates.take("token:a", *action).is_ok()), "{action:?}");
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(create("token:a").is_ok() && create("token:a").is_err());
        assert_eq!(rates.refused()[0], ("creations", 3));
        assert_eq!(rates.refused()[1..].iter().map(|(_, count)| count).sum::<u64>(), 0);
    }

    #[test]
    fn a_limit_is_a_number_above_zero() {
        let limits: CallerLimits = toml::from_str("secrets = 60").unwrap();
        assert_eq!(limits, CallerLimits { secrets: NonZeroU32::new(60), ..CallerLimits::default() });
        assert!(toml::from_str::<CallerLimits>("secrets = 0").unwrap_err().message().contains("nonzero"));
        assert!(toml::from_str::<CallerLimits>("secret = 1").unwrap_err().message().contains("unknown field"));
    }

    #[test]
    fn kinds_are_in_the_order_of_their_places() {
        for (place, kind) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
