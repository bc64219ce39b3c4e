//! Metrics of authentication: requests without accepted credentials, and the issuers of tokens.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering::Relaxed;

/// The keys of one issuer, as its own counters have it.
#[derive(Clone, Debug, Default)]
pub struct IssuerKeys {
    /// The name in the configuration, and the issuer, address or file that the keys come from.
    pub issuer: String,
    pub origin: String,
    /// When they were fetched, in seconds since 1970; `None` where there are none.
    pub fetched: Option<i64>,
    pub keys: usize,
    /// Fetches that succeeded, and that failed.
    pub good: u64,
    pub failed: u64,
}

/// Text from callers never becomes a label: these are of the configuration.
type Labels<const N: usize> = [(&'static str, String); N];

#[derive(Debug, Default)]
pub(super) struct IdentityMetrics {
    /// Requests without accepted credentials.
    pub(super) unauthenticated: Family<[(&'static str, &'static str); 1], Counter>,
    fetched: Family<Labels<2>, Gauge>,
    keys: Family<Labels<2>, Gauge>,
    fetches: Family<Labels<3>, Counter>,
    refused: Family<Labels<2>, Counter>,
    certificates: Family<Labels<2>, Counter>,
}

impl IdentityMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        let Self { unauthenticated, fetched, keys, fetches, refused, certificates } = self;
        let text = "Requests without credentials or with wrong ones";
        r.register("certmint_unauthenticated_requests", text, unauthenticated.clone());
        let text = "When the keys of an issuer of tokens were fetched last; 0: there are none";
        r.register("certmint_token_issuer_keys_fetched_timestamp_seconds", text, fetched.clone());
        r.register("certmint_token_issuer_keys", "Keys of an issuer of tokens that are accepted", keys.clone());
        r.register(
            "certmint_token_issuer_fetches",
            "Fetches of the keys of issuers of tokens, by outcome",
            fetches.clone(),
        );
        let text = "Tokens of issuers that were refused, by cause; the issuer is empty where it is none of ours";
        r.register("certmint_token_issuer_refused", text, refused.clone());
        let text = "Client certificates that were judged, by outcome; the issuer is empty where no CA of the configuration knows it";
        r.register("certmint_client_certificates", text, certificates.clone());
    }

    pub(super) fn set_certificates(&self, judged: &[(String, &'static str, u64)]) {
        for (issuer, outcome, count) in judged {
            let labels = [("issuer", issuer.clone()), ("outcome", (*outcome).to_owned())];
            self.certificates.get_or_create(&labels).inner().store(*count, Relaxed);
        }
    }

    pub(super) fn set(&self, issuers: &[IssuerKeys], refused: &[(&str, &'static str, u64)]) {
        for IssuerKeys { issuer, origin, fetched, keys, good, failed } in issuers {
            let labels = || [("issuer", issuer.clone()), ("origin", origin.clone())];
            self.fetched.get_or_create(&labels()).set(fetched.unwrap_or(0));
            self.keys.get_or_create(&labels()).set(i64::try_from(*keys).unwrap_or(i64::MAX));
            for (outcome, count) in [("ok", good), ("failed", failed)] {
                let [issuer, origin] = labels();
                let labels = [issuer, origin, ("outcome", outcome.to_owned())];
                self.fetches.get_or_create(&labels).inner().store(*count, Relaxed);
            }
        }
        for (issuer, cause, count) in refused {
            let labels = [("issuer", (*issuer).to_owned()), ("cause", (*cause).to_owned())];
            self.refused.get_or_create(&labels).inner().store(*count, Relaxed);
        }
    }
}
