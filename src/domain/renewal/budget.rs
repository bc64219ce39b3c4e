//! How many renewals begin at one issuer in a minute: of those that wait, the ones that expire soonest.
//!
//! Each replica has a budget of its own, and another replica may claim what this one told to come back. So one that was
//! told to holds others up only around its own time, and a free place is never kept for one that is not there.

use crate::domain::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const MINUTE: i64 = 60_000;
/// Who was told to come back at a time may come so much later; then it is counted no longer: another replica claimed it.
const LATE: i64 = 500;
/// Between two looks for what is counted no longer.
const SWEEP: i64 = 1000;
/// How many of those that wait are counted; further ones come back and are told again.
const MOST_COUNTED: usize = 10_000;

/// What an issuer is asked for.
#[derive(Debug, Default)]
struct Lane {
    /// When the next one may begin.
    free: i64,
    /// By their end and what names them: when they were told to come back.
    waiting: BTreeMap<(Timestamp, String), i64>,
}

/// The lanes of all issuers, by what names them.
#[derive(Debug)]
pub struct Budget {
    per_minute: u32,
    lanes: HashMap<String, Lane>,
    swept: i64,
}

impl Budget {
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), lanes: HashMap::new(), swept: i64::MIN }
    }

    /// Whether the renewal of `name`, which ends at `expires`, may begin at this issuer now; else how long it waits. It is
    /// asked again then.
    pub fn take(&mut self, issuer: &str, name: &str, expires: Timestamp, now: Timestamp) -> Option<Duration> {
        let every = MINUTE / i64::from(self.per_minute);
        self.sweep(now.0);
        let lane = match self.lanes.get_mut(issuer) {
            Some(lane) => lane,
            None => self.lanes.entry(issuer.to_owned()).or_default(),
        };
        let own = (expires, name.to_owned());
        lane.waiting.remove(&own);
        // Those that expire sooner and are still to come back; and of them those that come at about this time.
        let sooner = lane.waiting.range(..&own).take(MOST_COUNTED).map(|(_, told)| *told);
        let (mut before, mut about_now) = (0, false);
        for told in sooner.filter(|told| told.saturating_add(LATE) >= now.0) {
            before += 1;
            about_now |= told <= now.0.saturating_add(every);
        }
        if lane.free <= now.0 && !about_now {
            // What was not used is not saved up, beyond a second's worth.
            lane.free = lane.free.max(now.0.saturating_sub(1000)).saturating_add(every);
            return None;
        }
        let turn = lane.free.max(now.0).saturating_add(every.saturating_mul(before)).max(now.0.saturating_add(100));
        if lane.waiting.len() < MOST_COUNTED {
            lane.waiting.insert(own, turn);
        }
        Some(Duration::from_millis(u64::try_from(turn - now.0).unwrap_or(0)))
    }

    /// Forgets who did not come back, and the lanes that nobody waits in.
    fn sweep(&mut self, now: i64) {
        // A clock that was set back.
        if self.swept > now {
            self.lanes.clear();
        } else if self.swept.saturating_add(SWEEP) > now {
            return;
        }
        self.swept = now;
        self.lanes.retain(|_, lane| {
            lane.waiting.retain(|_, told| told.saturating_add(LATE) >= now);
            !lane.waiting.is_empty() || lane.free > now
        });
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
    fn one_that_does_not_come_back_holds_nobody_up() {
        let mut budget = Budget::new(1);
        let at = |seconds: i64| Timestamp(1_000_000_000 + seconds * 1000);
        assert_eq!(budget.take("ca", "first", at(0), at(0)), None);
        assert!(budget.take("ca", "gone", at(1), at(0)).is_some());
        assert!(budget.take("ca", "other", at(2), at(59)).is_some(), "behind the one that comes at this time");
        assert_eq!(budget.take("ca", "other", at(2), at(60)), None);
    }

    /// Which replica claims a record is chance: one tells it to come back, and another one meets it then. In whole
    /// minutes, how long it took until all had begun, and how often each was looked at.
    fn with_replicas(replicas: usize, per_minute: u32, names: usize) -> (i64, usize) {
        let mut budgets: Vec<Budget> = (0..replicas).map(|_| Budget::new(per_minute)).collect();
        let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
        let mut draw = |sides: usize| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            usize::try_from(chance >> 33).unwrap() % sides
        };
        let mut due: Vec<(i64, usize)> = (0..names).map(|name| (i64::try_from(draw(1000)).unwrap(), name)).collect();
        let (mut looks, mut last) = (0, 0);
        while let Some(first) = (0..due.len()).min_by_key(|index| due[*index]) {
            let (now, name) = due.swap_remove(first);
            looks += 1;
            let expires = Timestamp(i64::try_from(name * 7919 % names).unwrap());
            let budget = &mut budgets[draw(replicas)];
            match budget.take("ca", &name.to_string(), expires, Timestamp(1_000_000 + now)) {
                None => last = now,
                // A worker is not there in the same millisecond.
                Some(wait) => {
                    let late = i64::try_from(draw(300)).unwrap();
                    due.push((now + i64::try_from(wait.as_millis()).unwrap() + late, name));
                }
            }
        }
        (last / 60_000, looks / names)
    }

    #[test]
    fn what_another_replica_began_holds_nothing_up() {
        // 300 at 60 a minute take 5 minutes with one replica, and less with each further one.
        for (replicas, minutes) in [(1, 5), (2, 4), (3, 3)] {
            let (took, looks) = with_replicas(replicas, 60, 300);
            assert!(took <= minutes && looks <= 8, "{replicas} replicas: {took} minutes, {looks} looks");
        }
        let (took, looks) = with_replicas(2, 6, 60);
        assert!(took <= 9 && looks <= 8, "{took} minutes, {looks} looks");
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_over_is_forgotten() {
        let mut budget = Budget::new(60);
        for number in 0..MOST_COUNTED + 100 {
            budget.take("ca", &format!("{:05}", 2 * MOST_COUNTED - number), Timestamp(0), Timestamp(1_000_000));
        }
        assert_eq!(budget.lanes["ca"].waiting.len(), MOST_COUNTED);
        budget.take("other", "a", Timestamp(0), Timestamp(1_000_000_000));
        assert_eq!(budget.lanes.keys().collect::<Vec<_>>(), ["other"]);
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
