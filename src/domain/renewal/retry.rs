//! When a renewal that failed, or that had to wait, is tried again.

use super::plan::Valid;
use super::share;
use crate::domain::{Timestamp, Version};
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// The waits after each attempt; the last one repeats.
const LADDER: [i64; 4] = [MINUTE, 10 * MINUTE, 100 * MINUTE, 24 * HOUR];
/// The shortest wait, for certificates that live for minutes.
const SHORTEST: i64 = 10_000;
/// Between these an operation in progress is looked at.
const LOOK: (i64, i64) = (MINUTE, 6 * HOUR);

/// The wait after the attempt of this number, the first being 1: a minute, 10, 100, then a day. In the last tenth of the
/// life at most 6 hours, in the last fiftieth at most an hour and a quarter of what is left, and never more than a
/// twentieth of the life. ±10 %, so that what failed together does not come back together.
pub fn wait(attempt: u32, version: Version, valid: Valid, now: Timestamp) -> Duration {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(LADDER.len() - 1);
    let longest = match now {
        now if now >= valid.end => HOUR,
        now if now >= valid.left(50) => HOUR.min((valid.end.0 - now.0) / 4).max(MINUTE),
        now if now >= valid.left(10) => 6 * HOUR,
        _ => i64::MAX,
    };
    let wait = LADDER[step].min(longest).min(valid.part(20)).max(SHORTEST);
    let spread = 0.9 + share(version, 16 + u64::from(attempt)) / 5.0;
    millis((wait as f64 * spread) as i64)
}

/// When an operation in progress that began at `began` is looked at again: after half its age.
pub fn look(began: Timestamp, now: Timestamp, valid: Valid) -> Duration {
    let half = now.0.saturating_sub(began.0).max(0) / 2;
    millis(half.clamp(LOOK.0, LOOK.1).min(valid.part(20)).max(SHORTEST))
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
        assert!(is_about(minutes(9, 90 * DAY, -DAY), 60.0), "after the end");
        assert!(is_about(minutes(9, 90 * DAY, 2 * HOUR), 30.0), "a quarter of what is left");
        assert!(is_about(minutes(9, 90 * DAY, MINUTE), 1.0));
        assert!(is_about(minutes(1, 90 * DAY, DAY), 1.0));
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
    }
}
