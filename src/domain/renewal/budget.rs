//! How many renewals begin at one issuer in a minute: of those that wait, the ones that expire soonest.

use crate::domain::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const MINUTE: i64 = 60_000;
/// Who does not come back within this time after it was told to is forgotten: another replica renewed it.
const FORGET: i64 = 2 * MINUTE;
/// How many of those that wait are counted; further ones come back and are told again.
const MOST_COUNTED: usize = 10_000;

/// What an issuer is asked for.
#[derive(Debug, Default)]
struct Lane {
    /// When the next one may begin.
    free: i64,
    /// By their end and what names them: when they were told to come back.
    waiting: BTreeMap<(Timestamp, String), i64>,
    swept: i64,
}

/// The lanes of all issuers, by what names them.
#[derive(Debug)]
pub struct Budget {
    per_minute: u32,
    lanes: HashMap<String, Lane>,
}

impl Budget {
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), lanes: HashMap::new() }
    }

    /// Whether the renewal of `name`, which ends at `expires`, may begin at this issuer now; else how long it waits. It is
    /// asked again then.
    pub fn take(&mut self, issuer: &str, name: &str, expires: Timestamp, now: Timestamp) -> Option<Duration> {
        let every = MINUTE / i64::from(self.per_minute);
        let lane = match self.lanes.get_mut(issuer) {
            Some(lane) => lane,
            None => self.lanes.entry(issuer.to_owned()).or_default(),
        };
        // A clock that was set back.
        if lane.free > now.0.saturating_add(MINUTE) || lane.swept > now.0 {
            *lane = Lane::default();
        }
        if lane.swept.saturating_add(MINUTE) <= now.0 {
            lane.waiting.retain(|_, told| told.saturating_add(FORGET) > now.0);
            lane.swept = now.0;
        }
        let own = (expires, name.to_owned());
        lane.waiting.remove(&own);
        // Those that expire sooner and are still to come back.
        let before = lane.waiting.range(..&own).take(MOST_COUNTED).count();
        let turn = lane.free.max(now.0).saturating_add(every.saturating_mul(i64::try_from(before).unwrap_or(0)));
        if turn <= now.0 {
            // What was not used is not saved up, beyond a second's worth.
            lane.free = lane.free.max(now.0.saturating_sub(1000)).saturating_add(every);
            return None;
        }
        let turn = turn.max(now.0.saturating_add(100));
        lane.waiting.insert(own, turn);
        Some(Duration::from_millis(u64::try_from(turn - now.0).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All want to begin at once; those that wait come back when they were told to. The order in which they began, with
    /// the second of each.
    fn began(per_minute: u32, wanted: &[(&str, i64)]) -> Vec<(String, i64)> {
        let mut budget = Budget::new(per_minute);
        let mut due: Vec<(i64, &str, i64)> = wanted.iter().map(|(name, expires)| (0, *name, *expires)).collect();
        let mut begun = Vec::new();
        while !due.is_empty() {
            due.sort_unstable();
            let (now, name, expires) = due.remove(0);
            match budget.take("ca", name, Timestamp(expires), Timestamp(1_000_000 + now)) {
                None => begun.push((name.to_owned(), now / 1000)),
                Some(wait) => due.push((now + i64::try_from(wait.as_millis()).unwrap(), name, expires)),
            }
        }
        begun
    }

    #[test]
    fn no_more_begin_than_may() {
        let names: Vec<String> = (0..100).map(|n| format!("n{n:03}")).collect();
        let wanted: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 5)).collect();
        let begun = began(30, &wanted);
        for minute in 0..3 {
            let in_minute = begun.iter().filter(|(_, at)| at / 60 == minute).count();
            assert!((29..=31).contains(&in_minute), "{in_minute} in minute {minute}");
        }
    }

    #[test]
    fn what_expires_soonest_begins_first() {
        let begun = began(60, &[("e", 50), ("d", 40), ("c", 30), ("b", 20), ("a", 10)]);
        let order: Vec<&str> = begun.iter().map(|(name, _)| name.as_str()).collect();
        // The first one met nobody.
        assert_eq!(order, ["a", "b", "c", "d", "e"], "{begun:?}");
    }

    #[test]
    fn issuers_do_not_share_it() {
        let mut budget = Budget::new(1);
        let now = Timestamp(1_000_000);
        assert_eq!(budget.take("one", "a", now, now), None);
        assert_eq!(budget.take("other", "a", now, now), None);
        assert!(budget.take("one", "b", now, now).is_some());
    }

    #[test]
    fn one_that_does_not_come_back_holds_nobody_up_for_long() {
        let mut budget = Budget::new(1);
        let at = |seconds: i64| Timestamp(1_000_000_000 + seconds * 1000);
        assert_eq!(budget.take("ca", "first", at(0), at(0)), None);
        assert!(budget.take("ca", "gone", at(1), at(0)).is_some());
        assert!(budget.take("ca", "other", at(2), at(61)).is_some(), "behind the one that expires sooner");
        assert_eq!(budget.take("ca", "other", at(2), at(300)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_it() {
        let mut budget = Budget::new(60);
        for number in 0..5 {
            budget.take("ca", &number.to_string(), Timestamp(0), Timestamp(1_000_000_000));
        }
        assert_eq!(budget.take("ca", "x", Timestamp(0), Timestamp(5_000)), None);
    }
}
