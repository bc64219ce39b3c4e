//! The time of day of the database, extrapolated between polls by this machine's monotonic clock: what replicas write
//! for each other (leases, due times) must use one clock, whatever their own clocks show.

use crate::domain::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A difference above this is logged.
const NOTEWORTHY: i64 = 1000;

/// What the database said, and when that was here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    millis: i64,
    at: Instant,
    /// How wrong it may be, because the way there and the way back are not known apart.
    within: i64,
}

impl Reading {
    /// The database said `millis` at some instant between the two.
    pub(super) fn between(sent: Instant, received: Instant, millis: i64) -> Self {
        let half = received.duration_since(sent) / 2;
        Self { millis, at: sent + half, within: whole(half) }
    }

    fn now(&self) -> i64 {
        self.millis.saturating_add(whole(self.at.elapsed()))
    }
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time of the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DatabaseTime(Arc<Mutex<Reading>>);

impl DatabaseTime {
    pub(super) fn new(reading: Reading) -> Self {
        Self(Arc::new(Mutex::new(reading)))
    }

    /// The time of day of the database, as far as it was last seen.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.lock().unwrap_or_else(PoisonError::into_inner).now())
    }

    /// Follows the database, but only where it is off by more than the look itself may be: a time that is corrected
    /// at every look would step back at every look.
    pub(super) fn correct(&self, seen: Reading) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let off = seen.now().saturating_sub(known.now());
        if off.abs() > seen.within + known.within + 1 {
            if off.abs() > NOTEWORTHY {
                tracing::warn!(milliseconds = off, "the clock of the database was set; this replica follows it");
            }
            *known = seen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(millis: i64, round_trip: u64) -> Reading {
        let received = Instant::now();
        Reading::between(received.checked_sub(Duration::from_millis(round_trip)).unwrap(), received, millis)
    }

    #[test]
    fn a_clock_that_was_set_is_followed_and_the_doubt_of_a_look_is_not() {
        let time = DatabaseTime::new(reading(1_000_000, 0));
        let near = |expected: i64| assert!((expected..expected + 500).contains(&time.now().0), "{:?}", time.now());
        near(1_000_000);
        time.correct(reading(999_300, 2_000));
        near(1_000_000);
        time.correct(reading(4_600_000, 0));
        near(4_600_000);
        time.correct(reading(1_000_000, 0));
        near(1_000_000);
    }
}
