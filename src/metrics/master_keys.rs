//! The master keys: how many records need each. They are counted by a walk through the store, whose result every replica
//! shows: take the largest, not the sum.

use super::{MasterKeyLevel, add, level};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Master keys that have a series of their own: whoever can write to the database can name any.
const MOST: usize = 100;

/// Levels of the master keys.
#[derive(Debug, Default)]
pub struct MasterKeys {
    records: Family<[(&'static str, String); 1], Gauge>,
    counted: Gauge,
    under_way: Gauge,
}

impl MasterKeys {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Records that need a master key to be read, at the last count";
        add(registry, "certmint_sealed_records", text, &self.records);
        let text = "When they were counted; 0: never";
        add(registry, "certmint_sealed_records_counted_timestamp_seconds", text, &self.counted);
        let text = "1 while records are brought under the newest master key";
        add(registry, "certmint_reseal_running", text, &self.under_way);
    }

    /// Sets what is known.
    pub fn set(&self, now: &MasterKeyLevel) {
        let MasterKeyLevel { records, counted, under_way } = now;
        // A key that no record needs any more, and that the server does not have.
        self.records.clear();
        for (id, count) in records.iter().take(MOST) {
            self.records.get_or_create(&[("master_key", id.clone())]).set(level(*count));
        }
        self.counted.set(counted.unwrap_or(0));
        self.under_way.set((*under_way).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_counted_any_more_has_no_series() {
        let keys = MasterKeys::default();
        let needs = |ids: &[&str]| {
            let records = ids.iter().map(|id| ((*id).to_owned(), 3)).collect();
            keys.set(&MasterKeyLevel { records, counted: Some(1), under_way: false });
            ["lost", "new"].map(|id| keys.records.get(&[("master_key", id.to_owned())]).is_some())
        };
        assert_eq!(needs(&["lost", "new"]), [true, true]);
        assert_eq!(needs(&["new"]), [false, true]);
    }
}
