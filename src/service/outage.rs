//! One line of the log for what would be logged with every request: for an outage of the store, for a kind of record.

use super::retry::contended;
use crate::domain::{Error, Reason};
use crate::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Kinds that are remembered; those beyond them are reported each time.
const KINDS: usize = 64;

/// Whether something of a kind was reported before.
#[derive(Debug)]
pub(super) struct OncePerKind(Mutex<BTreeSet<String>>);

impl OncePerKind {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    /// True for the first one of its kind.
    pub(super) fn first(&self, kind: &str) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !kinds.contains(kind) && (kinds.len() >= KINDS || kinds.insert(kind.to_owned()))
    }
}

/// The time between two lines about the same thing.
const EVERY: Duration = Duration::from_secs(10);

/// The most causes that are distinguished at a time.
const CAUSES: usize = 16;

/// Lets one line through for each cause, and counts the others until the next.
#[derive(Debug)]
pub(super) struct LogThrottle(Mutex<BTreeMap<String, Quiet>>);

#[derive(Debug)]
struct Quiet {
    since: Instant,
    suppressed: u64,
}

impl LogThrottle {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// How many lines of this cause were suppressed before this one, where it is to be written.
    pub(super) fn admit(&self, cause: &str, at: Instant) -> Option<u64> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |quiet: &Quiet| at.duration_since(quiet.since) >= EVERY;
        if let Some(quiet) = causes.get_mut(cause) {
            if !over(quiet) {
                quiet.suppressed += 1;
                return None;
            }
            let suppressed = quiet.suppressed;
            *quiet = Quiet { since: at, suppressed: 0 };
            return Some(suppressed);
        }
        if causes.len() >= CAUSES {
            causes.retain(|_, quiet| !over(quiet));
        }
        (causes.len() < CAUSES).then(|| {
            causes.insert(cause.to_owned(), Quiet { since: at, suppressed: 0 });
            0
        })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => contended(),
            StoreError::Unavailable(cause) => {
                static OUTAGE: LogThrottle = LogThrottle::new();
                if let Some(suppressed) = OUTAGE.admit(&cause.to_string(), Instant::now()) {
                    tracing::error!(cause, suppressed, "the store is not available");
                }
                Self::new(Reason::StoreUnavailable, "The store is temporarily unavailable. Retry the request.")
                    .retry_after(Duration::from_secs(2))
            }
            StoreError::Broken(cause) => {
                static FAILURE: LogThrottle = LogThrottle::new();
                if let Some(suppressed) = FAILURE.admit(&cause.to_string(), Instant::now()) {
                    tracing::error!(cause, suppressed, "the store failed");
                }
                Self::internal()
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
        let at = |seconds| throttle.admit("full", start + Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(1), at(9), at(10), at(11), at(30), at(50)],
            [Some(0), None, None, Some(2), None, Some(1), Some(0)]
        );
    }

    #[test]
    fn another_cause_is_written_at_once_and_causes_are_bounded() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        assert_eq!(throttle.admit("full", start), Some(0));
        assert_eq!(throttle.admit("read-only", start), Some(0));
        assert_eq!((throttle.admit("full", start), throttle.admit("read-only", start)), (None, None));
        let lines = (0..100).filter(|cause| throttle.admit(&cause.to_string(), start).is_some()).count();
        assert_eq!(lines, CAUSES - 2);
        assert_eq!(throttle.admit("new", start + EVERY), Some(0));
    }
}
