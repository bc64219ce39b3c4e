//! The clock as a parameter: the only file that reads the system time.

use crate::domain::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time. Everything that stores, signs or compares a point in time takes a clock, so that a test can move
/// it.
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the millisecond. It may step back when the system's clock is set.
    fn now(&self) -> Timestamp;
}

/// The clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
        let now = SystemTime::now();
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        // A machine whose clock stands before 1970 gets a negative time instead of a crash.
        Timestamp(now.duration_since(UNIX_EPOCH).map_or_else(|early| -millis(early.duration()), millis))
    }
}

/// A clock that is set by hand: for tests of expiry, renewal and leases.
///
/// ```
/// use certmint::{clock::{Clock, ManualClock}, domain::Timestamp};
/// let clock = ManualClock::at(Timestamp::from_seconds(1_700_000_000));
/// clock.advance(std::time::Duration::from_secs(60));
/// assert_eq!(clock.now(), Timestamp::from_seconds(1_700_000_060));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves on by `duration`, to the millisecond.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Shows `now` from here on; it may lie in the past.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_tells_a_time_of_this_century() {
        let now = SystemClock.now();
        assert!(
            now > Timestamp::from_seconds(1_750_000_000) && now < Timestamp::from_seconds(4_102_444_800),
            "{now:?}"
        );
    }

    #[test]
    fn the_manual_clock_moves_only_when_set() {
        let clock = ManualClock::at(Timestamp(5));
        assert_eq!((clock.now(), clock.now()), (Timestamp(5), Timestamp(5)));
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.now(), Timestamp(12));
        clock.set(Timestamp(3));
        assert_eq!(clock.now(), Timestamp(3));
    }
}
