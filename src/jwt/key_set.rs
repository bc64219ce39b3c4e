//! The keys of an issuer as they were fetched last, with those that it listed until a while ago.

use super::algorithm::Algorithm;
use super::key::{Jwk, Key, MAX_KEYS};
use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most keys altogether: those of the last set, and as many from before.
const MAX_KEPT: usize = 2 * MAX_KEYS;

/// Not changed but replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet {
    entries: Vec<Entry>,
    /// When it was fetched.
    fetched: Timestamp,
    /// How long a key is accepted after it was listed for the last time.
    keep: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    jwk: Jwk,
    key: Key,
    /// When it was in a set for the last time.
    seen: Timestamp,
}

/// A set as it is kept on disk.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Kept {
    fetched: Timestamp,
    keys: Vec<KeptKey>,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptKey {
    seen: Timestamp,
    jwk: Jwk,
}

impl KeySet {
    /// This set after the issuer listed these keys. A key that is no longer among them stays for a while: tokens that it
    /// signed are still in use. One whose id was given to another key is gone.
    pub(super) fn after(&self, listed: Vec<Jwk>, now: Timestamp, keep: Duration) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(listed.len());
        for jwk in listed {
            if let Some(key) = jwk.key().filter(|_| !entries.iter().any(|known| known.jwk == jwk)) {
                entries.push(Entry { jwk, key, seen: now });
            }
        }
        let fresh = entries.len();
        for old in &self.entries {
            let replaced = entries[..fresh].iter().any(|new| new.jwk == old.jwk || new.jwk.kid == old.jwk.kid);
            if !replaced && now < old.seen.plus(keep) && entries.len() < MAX_KEPT {
                entries.push(old.clone());
            }
        }
        Self { entries, fetched: now, keep }
    }

    /// Whether the same keys are accepted.
    pub(super) fn has_the_keys_of(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|entry| other.entries.iter().any(|known| known.jwk == entry.jwk))
    }

    /// Those that are accepted now: a key that is listed, however old the list is, and another one for a while. The end of
    /// the latter depends on no fetch: while none succeeds, a key that was taken out still goes.
    fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.seen == self.fetched || now < entry.seen.plus(self.keep))
    }

    /// The keys that a signature of this header can be of. Without an id only where one key alone of the last set fits
    /// (RFC 7515 section 4.1.4 leaves it to the application).
    pub(super) fn find<'a>(&'a self, kid: Option<&'a str>, algorithm: Algorithm, now: Timestamp) -> Vec<&'a Key> {
        let fitting = self.accepted(now).filter(move |entry| entry.key.fits(algorithm));
        match kid {
            Some(kid) => {
                fitting.filter(|entry| entry.jwk.kid.as_deref() == Some(kid)).map(|entry| &entry.key).take(2).collect()
            }
            None => {
                let listed: Vec<&Key> =
                    fitting.filter(|entry| entry.seen == self.fetched).map(|entry| &entry.key).collect();
                if listed.len() == 1 { listed } else { Vec::new() }
            }
        }
    }

    pub(super) fn fetched(&self) -> Timestamp {
        self.fetched
    }

    /// How many are accepted now.
    pub(super) fn len(&self, now: Timestamp) -> usize {
        self.accepted(now).count()
    }

    pub(super) fn to_kept(&self) -> Kept {
        let key = |entry: &Entry| KeptKey { seen: entry.seen, jwk: entry.jwk.clone() };
        Kept { fetched: self.fetched, keys: self.entries.iter().map(key).collect() }
    }

    /// `None` where no key of it can be used.
    pub(super) fn of_kept(kept: Kept, keep: Duration) -> Option<Self> {
        let Kept { fetched, keys } = kept;
        let entry = |KeptKey { seen, jwk }: KeptKey| jwk.key().map(|key| Entry { jwk, key, seen });
        let entries: Vec<Entry> = keys.into_iter().take(MAX_KEPT).filter_map(entry).collect();
        (!entries.is_empty()).then_some(Self { entries, fetched, keep })
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::parse_set;
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    const DAY: Duration = Duration::from_secs(86_400);

    fn key(kid: Option<&str>, fill: u8) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([fill; 32]);
        let mut key = json!({ "kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate });
        if let Some(kid) = kid {
            key["kid"] = kid.into();
        }
        key
    }

    fn listed(keys: &[Value]) -> Vec<Jwk> {
        parse_set(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000).plus(Duration::from_secs(3600 * hours))
    }

    /// At the time of its fetch.
    fn found(set: &KeySet, kid: Option<&str>) -> usize {
        found_at(set, kid, set.fetched())
    }

    fn found_at(set: &KeySet, kid: Option<&str>, now: Timestamp) -> usize {
        set.find(kid, Algorithm::Es256, now).len()
    }

    #[test]
    fn a_key_stays_for_a_day_after_it_was_listed_last() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let set = set.after(listed(&[key(Some("a"), 1), key(Some("b"), 2)]), at(1), DAY);
        let set = set.after(listed(&[key(Some("b"), 2)]), at(24), DAY);
        assert_eq!((found(&set, Some("a")), found(&set, Some("b")), found(&set, Some("c"))), (1, 1, 0));
        let set = set.after(listed(&[key(Some("b"), 2)]), at(25), DAY);
        assert_eq!((found(&set, Some("a")), found(&set, Some("b"))), (0, 1));
        assert_eq!(set.find(Some("b"), Algorithm::Es384, at(25)).len(), 0, "another curve");
    }

    #[test]
    fn a_key_that_was_taken_out_goes_without_another_fetch() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let set = set.after(listed(&[key(Some("b"), 2)]), at(1), DAY);
        let read = KeySet::of_kept(serde_json::from_value(json!(set.to_kept())).unwrap(), DAY).unwrap();
        for set in [set, read] {
            let found = |hours| (found_at(&set, Some("a"), at(hours)), found_at(&set, Some("b"), at(hours)));
            assert_eq!([found(23), found(24), found(10_000)], [(1, 1), (0, 1), (0, 1)]);
            assert_eq!([set.len(at(23)), set.len(at(24))], [2, 1]);
        }
    }

    #[test]
    fn an_id_that_was_given_to_another_key_is_no_longer_the_old_ones() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let next = set.after(listed(&[key(Some("a"), 2)]), at(1), DAY);
        assert_eq!((next.len(at(1)), set.has_the_keys_of(&next)), (1, false));
    }

    #[test]
    fn without_an_id_the_one_key_that_is_listed_counts() {
        let one = KeySet::default().after(listed(&[key(None, 1)]), at(0), DAY);
        assert_eq!((found(&one, None), found(&one, Some(""))), (1, 0));
        let named = one.after(listed(&[key(Some("a"), 2)]), at(1), DAY);
        assert_eq!(found(&named, None), 1, "an old one does not count");
        let two = one.after(listed(&[key(None, 1), key(Some("a"), 2)]), at(1), DAY);
        assert_eq!((found(&two, None), found(&two, Some("a"))), (0, 1));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let set = set.after(listed(&[key(Some("b"), 2)]), at(1), DAY);
        let text = serde_json::to_string(&set.to_kept()).unwrap();
        let back = KeySet::of_kept(serde_json::from_str(&text).unwrap(), DAY).unwrap();
        assert!(back.has_the_keys_of(&set) && back.fetched() == set.fetched());
        let later = back.after(listed(&[key(Some("b"), 2)]), at(24), DAY);
        assert_eq!(found(&later, Some("a")), 0, "its time went on");
        assert!(KeySet::of_kept(serde_json::from_str(r#"{"fetched":1,"keys":[]}"#).unwrap(), DAY).is_none());
    }

    #[test]
    fn the_same_keys_in_another_order_are_no_change() {
        let one = KeySet::default().after(listed(&[key(Some("a"), 1), key(Some("b"), 2)]), at(0), DAY);
        let other = one.after(listed(&[key(Some("b"), 2), key(Some("a"), 1), key(Some("a"), 1)]), at(1), DAY);
        assert!(one.has_the_keys_of(&other) && other.len(at(1)) == 2);
    }
}
