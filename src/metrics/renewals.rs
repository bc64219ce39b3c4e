//! Metrics of renewals, and of how long certificates remain valid.

use super::{add, level};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;

const DAY: f64 = 86_400.0;

/// Seconds until the end: expired, an hour, and from a day to a year.
pub const EXPIRY_BUCKETS: [f64; 9] =
    [0.0, 3600.0, DAY, 3.0 * DAY, 7.0 * DAY, 14.0 * DAY, 30.0 * DAY, 90.0 * DAY, 365.0 * DAY];
/// The labels of the buckets; the last one has all.
const LE: [&str; 10] = ["0", "3600", "86400", "259200", "604800", "1209600", "2592000", "7776000", "31536000", "+Inf"];
/// Pairs of vault and issuer that become series of their own: callers choose both names.
const MOST: usize = 100;
const OTHER: &str = "other";

/// Counts of certificates by vault and issuer, one for each bucket.
type Counts = BTreeMap<(String, String), [u64; LE.len()]>;

/// How the certificates of all vaults stand.
#[derive(Debug, Default)]
pub struct Survey {
    /// Renewals whose time has come.
    pub due: u64,
    /// Those of which a twentieth of the life is left, or nothing.
    pub overdue: u64,
    expiry: Counts,
}

impl Survey {
    /// Counts a certificate whose end is within the bucket of this number.
    pub fn count(&mut self, vault: &str, issuer: &str, bucket: usize) {
        let own = (vault.to_owned(), issuer.to_ascii_lowercase());
        let known = self.expiry.len() < MOST || self.expiry.contains_key(&own);
        let place = if known { own } else { (OTHER.to_owned(), OTHER.to_owned()) };
        let counts = self.expiry.entry(place).or_default();
        // Cumulative, as the buckets of a histogram are.
        counts.iter_mut().skip(bucket).for_each(|count| *count += 1);
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Labels {
    vault: String,
    issuer: String,
    le: &'static str,
}

/// What this replica did for renewals, and what it saw at the last look at all certificates.
#[derive(Debug, Default)]
pub struct Renewals {
    renewals: Family<[(&'static str, &'static str); 2], Counter>,
    due: Gauge,
    overdue: Gauge,
    expiry: Family<Labels, Gauge>,
}

impl Renewals {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Renewals by what this replica did: begun, completed, failed, or refused before they began";
        add(registry, "certmint_renewals", text, &self.renewals);
        let text = "Certificates whose renewal is due, at the last look at all of them";
        add(registry, "certmint_renewals_due", text, &self.due);
        let text = "Certificates whose renewal is due and of whose life a twentieth is left, or nothing";
        add(registry, "certmint_renewals_overdue", text, &self.overdue);
        let text =
            "Certificates whose newest version ends within so many seconds (le), at the last look at all of them";
        add(registry, "certmint_certificate_expiry_seconds", text, &self.expiry);
    }

    /// `outcome` is `begun`, `completed`, `failed` or `refused`.
    pub fn count(&self, outcome: &'static str, trigger: &'static str) {
        self.renewals.get_or_create(&[("outcome", outcome), ("trigger", trigger)]).inc();
    }

    /// Sets what a look at all certificates found.
    pub fn set(&self, survey: Survey) {
        let Survey { due, overdue, expiry } = survey;
        self.due.set(level(due));
        self.overdue.set(level(overdue));
        self.expiry.clear();
        for ((vault, issuer), counts) in expiry {
            for (le, count) in LE.into_iter().zip(counts) {
                let labels = Labels { vault: vault.clone(), issuer: issuer.clone(), le };
                self.expiry.get_or_create_owned(&labels).set(level(count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_buckets() {
        let named: Vec<f64> = LE.iter().filter_map(|le| le.parse().ok()).filter(|le: &f64| le.is_finite()).collect();
        assert_eq!(named, EXPIRY_BUCKETS);
    }

    #[test]
    fn counts_are_cumulative_and_series_are_bounded() {
        let mut survey = Survey::default();
        survey.count("a", "CA", 2);
        survey.count("a", "ca", 9);
        assert_eq!(survey.expiry[&("a".to_owned(), "ca".to_owned())], [0, 0, 1, 1, 1, 1, 1, 1, 1, 2]);
        for number in 0..500 {
            survey.count(&number.to_string(), "ca", 0);
        }
        assert_eq!(survey.expiry.len(), MOST + 1);
        assert_eq!(survey.expiry[&(OTHER.to_owned(), OTHER.to_owned())][0], 401);
    }
}
