//! One line of the log for an outage of the store, however many requests meet it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between two lines about the same thing.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line through, and counts the others until the next.
#[derive(Debug)]
pub(super) struct LogThrottle(Mutex<Option<Quiet>>);

#[derive(Debug)]
struct Quiet {
    since: Instant,
    suppressed: u64,
}

impl LogThrottle {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// How many lines were suppressed before this one, where it is to be written.
    pub(super) fn admit(&self, at: Instant) -> Option<u64> {
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *quiet {
            Some(quiet) if at.duration_since(quiet.since) < EVERY => {
                quiet.suppressed += 1;
                None
            }
            other => {
                let suppressed = other.as_ref().map_or(0, |quiet| quiet.suppressed);
                *other = Some(Quiet { since: at, suppressed: 0 });
                Some(suppressed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_there_were() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        let at = |seconds| throttle.admit(start + Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(1), at(9), at(10), at(11), at(30), at(50)],
            [Some(0), None, None, Some(2), None, Some(1), Some(0)]
        );
    }
}
