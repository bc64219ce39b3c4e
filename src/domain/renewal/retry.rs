//! When a renewal that failed, or that had to wait, is tried again.

use super::share;
use super::valid::Valid;
use crate::domain::{Timestamp, Version};
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const WEEK: i64 = 7 * 24 * HOUR;
/// What has been over for longer is tried weekly.
const LONG_OVER: i64 = 30 * 24 * HOUR;
/// The waits after each attempt; the last one repeats.
const LADDER: [i64; 4] = [MINUTE, 10 * MINUTE, 100 * MINUTE, 24 * HOUR];
/// The shortest wait, for certificates that live for minutes.
const SHORTEST: i64 = 10_000;
/// Between these an operation in progress is looked at.
const LOOK: (i64, i64) = (MINUTE, 6 * HOUR);

/// The wait after the attempt of this number, the first being 1: a minute, 10, 100, then a day. In the last tenth of the
/// life at most 6 hours, in the last fiftieth at most an hour and a quarter of what is left, and never more than a
/// twentieth of the life. After the end no longer than it has been over, and at least a twentieth of the life; weekly once
/// it has been over for a month. ±10 %, so that what failed together does not come back together.
pub fn wait(attempt: u32, version: Version, valid: Valid, now: Timestamp) -> Duration {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(LADDER.len() - 1);
    let longest = match now {
        now if now >= valid.end => return spread(attempt, version, after_the_end(step, valid, now)),
        now if now >= valid.left(50) => HOUR.min((valid.end.0 - now.0) / 4).max(MINUTE),
        now if now >= valid.left(10) => 6 * HOUR,
        _ => i64::MAX,
    };
    spread(attempt, version, LADDER[step].min(longest).min(valid.part(20)).max(SHORTEST))
}

/// The shorter the outage was, the sooner it is over: a certificate of minutes does not wait for a day, but one that
/// nobody has missed for long is no work without an end.
fn after_the_end(step: usize, valid: Valid, now: Timestamp) -> i64 {
    let over = now.0.saturating_sub(valid.end.0);
    if step == LADDER.len() - 1 && over > LONG_OVER {
        return WEEK;
    }
    LADDER[step].min(over.max(valid.part(20).clamp(SHORTEST, HOUR)))
}

fn spread(attempt: u32, version: Version, wait: i64) -> Duration {
    let spread = 0.9 + share(version, 16 + u64::from(attempt)) / 5.0;
    millis((wait as f64 * spread) as i64)
}

/// The shortest time, in milliseconds, between a version and the next one after so many renewals that gained nothing.
pub(super) fn after_fruitless(renewals: u32) -> i64 {
    let step = usize::try_from(renewals).unwrap_or(usize::MAX).min(LADDER.len());
    step.checked_sub(1).map_or(0, |step| LADDER[step])
}

/// When an operation in progress that began at `began` is looked at again: after half its age, and while the version is
/// valid after no more than a twentieth of its life.
pub fn look(began: Timestamp, now: Timestamp, valid: Valid) -> Duration {
    let half = now.0.saturating_sub(began.0).max(0) / 2;
    let most = if now < valid.end { valid.part(20).max(SHORTEST) } else { LOOK.1 };
    millis(half.clamp(LOOK.0, LOOK.1).min(most))
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Version;

    const DAY: i64 = 24 * HOUR;

    fn minutes(attempt: u32, life: i64, left: i64) -> f64 {
        let version = Version::parse("b76827a18b63421c917da80f28e9913d").unwrap();
        let valid = Valid { begin: Timestamp(0), end: Timestamp(life) };
        wait(attempt, version, valid, Timestamp(life - left)).as_secs_f64() / 60.0
    }

    fn is_about(found: f64, expected: f64) -> bool {
        (expected * 0.9..=expected * 1.1).contains(&found)
    }

    #[test]
    fn waits_grow_to_a_day() {
        for (attempt, expected) in [(1, 1.0), (2, 10.0), (3, 100.0), (4, 1440.0), (99, 1440.0)] {
            assert!(is_about(minutes(attempt, 90 * DAY, 30 * DAY), expected), "{attempt}");
        }
    }

    #[test]
    fn little_time_left_makes_them_shorter() {
        assert!(is_about(minutes(9, 90 * DAY, 8 * DAY), 360.0));
        assert!(is_about(minutes(9, 90 * DAY, DAY), 60.0));
        assert!(is_about(minutes(9, 90 * DAY, 2 * HOUR), 30.0), "a quarter of what is left");
        assert!(is_about(minutes(9, 90 * DAY, MINUTE), 1.0));
        assert!(is_about(minutes(1, 90 * DAY, DAY), 1.0));
    }

    #[test]
    fn after_the_end_they_grow_with_the_time_since_then() {
        for life in [5 * MINUTE, HOUR, 90 * DAY] {
            assert!(is_about(minutes(1, life, -DAY), 1.0), "the first ones as ever");
            assert!(is_about(minutes(99, life, -DAY), 1440.0));
            assert!(is_about(minutes(99, life, -20 * DAY), 1440.0));
            assert!(is_about(minutes(99, life, -31 * DAY), 7.0 * 1440.0));
            assert!(is_about(minutes(3, life, -31 * DAY), 100.0));
        }
        // Soon after it, soon again.
        assert!(is_about(minutes(99, 90 * DAY, 0), 60.0));
        assert!(is_about(minutes(99, 90 * DAY, -5 * HOUR), 300.0));
        assert!(is_about(minutes(99, 5 * MINUTE, 0), 0.25));
        assert!(is_about(minutes(99, 5 * MINUTE, -10 * MINUTE), 10.0));
    }

    /// An issuer that is gone for a year costs a certificate of minutes no more attempts than can be counted.
    #[test]
    fn an_outage_without_an_end_costs_few_attempts() {
        let version = Version::parse("b76827a18b63421c917da80f28e9913d").unwrap();
        let valid = Valid { begin: Timestamp(0), end: Timestamp(5 * MINUTE) };
        let (mut now, mut attempts) = (valid.left(2), 0);
        while now < Timestamp(365 * DAY) {
            attempts += 1;
            now = now.plus(wait(attempts, version, valid, now));
        }
        assert!((80..130).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_short_life_has_room_for_several_attempts() {
        assert!(is_about(minutes(9, 6 * DAY, 3 * DAY), 432.0));
        assert!(is_about(minutes(9, 10 * MINUTE, 5 * MINUTE), 0.5));
        assert!(is_about(minutes(1, MINUTE, MINUTE), 1.0 / 6.0));
    }

    #[test]
    fn an_operation_that_takes_long_is_looked_at_seldom() {
        let valid = Valid { begin: Timestamp(0), end: Timestamp(90 * DAY) };
        let at = |age: i64| look(Timestamp(0), Timestamp(age), valid).as_secs() as i64 * 1000;
        assert_eq!([at(0), at(HOUR), at(30 * DAY)], [MINUTE, HOUR / 2, 6 * HOUR]);
        let short = Valid { begin: Timestamp(0), end: Timestamp(5 * MINUTE) };
        let at = |age: i64| look(Timestamp(MINUTE), Timestamp(MINUTE + age), short).as_millis() as i64;
        assert_eq!([at(0), at(2 * MINUTE), at(HOUR), at(30 * DAY)], [15_000, 15_000, HOUR / 2, 6 * HOUR]);
    }
}
