//! The keys of an issuer as they were fetched last, with those that it listed until a while ago.

use super::algorithm::Algorithm;
use super::key::{Jwk, Key, MAX_KEYS};
use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most keys altogether: those of the last set, and as many from before.
const MAX_KEPT: usize = 2 * MAX_KEYS;

/// Not changed but replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet {
    entries: Vec<Entry>,
    /// When it was fetched.
    fetched: Timestamp,
    /// How long a key is accepted after the first set that lacks it.
    keep: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    jwk: Jwk,
    key: Key,
    /// When it was in a set for the last time.
    seen: Timestamp,
    /// When the first set was fetched that lacks it; `None` while it is listed.
    missed: Option<Timestamp>,
    /// Cancelled when the key is not accepted any longer.
    withdrawn: CancellationToken,
}

/// A key that a signature can be of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) key: &'a Key,
    /// Cancelled when the key is not accepted any longer.
    pub(super) withdrawn: &'a CancellationToken,
}

impl Entry {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { key: &self.key, withdrawn: &self.withdrawn }
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missed: Option<Timestamp>,
    jwk: Jwk,
}

impl KeySet {
    /// This set after the issuer listed these keys. A key that is no longer among them stays for a while: tokens that it
    /// signed are still in use. One whose id was given to another key is gone.
    pub(super) fn after(&self, listed: Vec<Jwk>, now: Timestamp, keep: Duration) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(listed.len());
        for jwk in listed {
            if let Some(key) = jwk.key().filter(|_| !entries.iter().any(|known| known.jwk == jwk)) {
                // Whoever waits for the end of a key waits on, also where another list had it no more for a while.
                let known = self.entries.iter().find(|old| old.jwk == jwk && !old.withdrawn.is_cancelled());
                let withdrawn = known.map(|old| old.withdrawn.clone()).unwrap_or_default();
                entries.push(Entry { jwk, key, seen: now, missed: None, withdrawn });
            }
        }
        let fresh = entries.len();
        for old in &self.entries {
            let replaced = entries[..fresh].iter().any(|new| new.jwk == old.jwk || new.jwk.kid == old.jwk.kid);
            let missed = old.missed.unwrap_or(now);
            if !replaced && now < missed.plus(keep) && entries.len() < MAX_KEPT {
                entries.push(Entry { missed: Some(missed), ..old.clone() });
            }
        }
        Self { entries, fetched: now, keep }
    }

    /// Tells those who depend on keys of this set that `next`, which took its place, does not accept.
    pub(super) fn end_without(&self, next: &Self, now: Timestamp) {
        let stays = |old: &Entry| next.accepted(now).any(|entry| entry.jwk == old.jwk);
        self.entries.iter().filter(|old| !stays(old)).for_each(|old| old.withdrawn.cancel());
    }

    /// Tells those who depend on keys whose time is over; whether there were any.
    pub(super) fn end_late(&self, now: Timestamp) -> bool {
        let is_late = |entry: &&Entry| !self.is_accepted(entry, now) && !entry.withdrawn.is_cancelled();
        let late: Vec<&Entry> = self.entries.iter().filter(is_late).collect();
        late.iter().for_each(|entry| entry.withdrawn.cancel());
        !late.is_empty()
    }

    /// When the next key is over that the issuer no longer lists.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.entries.iter().filter_map(|entry| Some(entry.missed?.plus(self.keep)));
        ends.filter(|end| *end > now).min()
    }

    /// Whether the same keys are accepted.
    pub(super) fn has_the_keys_of(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|entry| other.entries.iter().any(|known| known.jwk == entry.jwk))
    }

    /// Those that are accepted now: a key that is listed, however old the list is, and another one for a while. The end of
    /// the latter depends on no fetch: while none succeeds, a key that was taken out still goes.
    fn accepted(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| self.is_accepted(entry, now))
    }

    fn is_accepted(&self, entry: &Entry, now: Timestamp) -> bool {
        // One whose end was told stays ended, also where the clock is set back.
        !entry.withdrawn.is_cancelled() && entry.missed.is_none_or(|missed| now < missed.plus(self.keep))
    }

    /// The keys that a signature of this header can be of. Without an id only where one key alone of the last set fits
    /// (RFC 7515 section 4.1.4 leaves it to the application).
    pub(super) fn find<'a>(&'a self, kid: Option<&'a str>, algorithm: Algorithm, now: Timestamp) -> Vec<Candidate<'a>> {
        let fitting = self.accepted(now).filter(move |entry| entry.key.fits(algorithm));
        match kid {
            Some(kid) => {
                fitting.filter(|entry| entry.jwk.kid.as_deref() == Some(kid)).map(Entry::candidate).take(2).collect()
            }
            None => {
                let listed: Vec<Candidate<'_>> =
                    fitting.filter(|entry| entry.missed.is_none()).map(Entry::candidate).collect();
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
        let key = |entry: &Entry| KeptKey { seen: entry.seen, missed: entry.missed, jwk: entry.jwk.clone() };
        Kept { fetched: self.fetched, keys: self.entries.iter().map(key).collect() }
    }

    /// `None` where no key of it can be used.
    pub(super) fn of_kept(kept: Kept, keep: Duration) -> Option<Self> {
        let Kept { fetched, keys } = kept;
        let entry = |KeptKey { seen, missed, jwk }: KeptKey| {
            // A file of before says only when a key was listed for the last time.
            let missed = missed.or_else(|| (seen != fetched).then_some(seen));
            jwk.key().map(|key| Entry { jwk, key, seen, missed, withdrawn: CancellationToken::new() })
        };
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
    fn a_key_stays_for_a_day_after_the_first_list_without_it() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let set = set.after(listed(&[key(Some("a"), 1), key(Some("b"), 2)]), at(1), DAY);
        let set = set.after(listed(&[key(Some("b"), 2)]), at(24), DAY);
        assert_eq!((found(&set, Some("a")), found(&set, Some("b")), found(&set, Some("c"))), (1, 1, 0));
        let set = set.after(listed(&[key(Some("b"), 2)]), at(47), DAY);
        assert_eq!((found(&set, Some("a")), found(&set, Some("b"))), (1, 1));
        let set = set.after(listed(&[key(Some("b"), 2)]), at(48), DAY);
        assert_eq!((found(&set, Some("a")), found(&set, Some("b"))), (0, 1));
        assert_eq!(set.find(Some("b"), Algorithm::Es384, at(48)).len(), 0, "another curve");
    }

    #[test]
    fn a_key_that_was_taken_out_goes_without_another_fetch() {
        let set = KeySet::default().after(listed(&[key(Some("a"), 1)]), at(0), DAY);
        let set = set.after(listed(&[key(Some("b"), 2)]), at(1), DAY);
        let read = KeySet::of_kept(serde_json::from_value(json!(set.to_kept())).unwrap(), DAY).unwrap();
        for set in [set, read] {
            let found = |hours| (found_at(&set, Some("a"), at(hours)), found_at(&set, Some("b"), at(hours)));
            assert_eq!([found(24), found(25), found(10_000)], [(1, 1), (0, 1), (0, 1)]);
            assert_eq!([set.len(at(24)), set.len(at(25))], [2, 1]);
        }
    }

    #[test]
    fn who_depends_on_a_key_is_told_of_its_end_and_of_no_other() {
        let ends = |set: &KeySet, kid: &str| set.find(Some(kid), Algorithm::Es256, set.fetched())[0].withdrawn.clone();
        let next = |set: &KeySet, keys: &[Value], hours| {
            let next = set.after(listed(keys), at(hours), DAY);
            set.end_without(&next, at(hours));
            next
        };
        let set = next(&KeySet::default(), &[key(Some("a"), 1), key(Some("b"), 2)], 0);
        let (a, b) = (ends(&set, "a"), ends(&set, "b"));
        let set = next(&set, &[key(Some("b"), 2)], 1);
        assert_eq!((set.next_end(at(1)), set.end_late(at(24)), a.is_cancelled()), (Some(at(25)), false, false));
        let set = next(&set, &[key(Some("a"), 1), key(Some("b"), 2)], 2);
        assert_eq!((set.next_end(at(2)), set.end_late(at(100))), (None, false), "it is listed again");
        let set = next(&set, &[key(Some("b"), 2)], 3);
        assert!(!set.end_late(at(26)) && set.end_late(at(27)) && !set.end_late(at(27)));
        assert!(a.is_cancelled() && !b.is_cancelled());
        assert!(set.find(Some("a"), Algorithm::Es256, at(26)).is_empty(), "the clock was set back");
        // Listed once more it is accepted, and begins anew.
        let set = next(&set, &[key(Some("a"), 1), key(Some("b"), 2)], 28);
        assert!(!ends(&set, "a").is_cancelled());
        next(&set, &[key(Some("b"), 3)], 29);
        assert!(b.is_cancelled(), "another key has its id");
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
        let later = back.after(listed(&[key(Some("b"), 2)]), at(25), DAY);
        assert_eq!(found(&later, Some("a")), 0, "its time went on");
        let mut old = serde_json::to_value(set.to_kept()).unwrap();
        old["keys"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|key| drop(key.as_object_mut().unwrap().remove("missed")));
        let old = KeySet::of_kept(serde_json::from_value(old).unwrap(), DAY).unwrap();
        assert_eq!(
            (old.len(at(23)), old.len(at(24))),
            (2, 1),
            "from the last list that had it, as a file of before says"
        );
        assert!(KeySet::of_kept(serde_json::from_str(r#"{"fetched":1,"keys":[]}"#).unwrap(), DAY).is_none());
    }

    #[test]
    fn the_same_keys_in_another_order_are_no_change() {
        let one = KeySet::default().after(listed(&[key(Some("a"), 1), key(Some("b"), 2)]), at(0), DAY);
        let other = one.after(listed(&[key(Some("b"), 2), key(Some("a"), 1), key(Some("a"), 1)]), at(1), DAY);
        assert!(one.has_the_keys_of(&other) && other.len(at(1)) == 2);
    }
}
