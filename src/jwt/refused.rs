//! Counts refusals, and writes each kind to the log once a minute at most: anybody can send many.

use super::refusal::{Cause, Refusal};
use crate::domain::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Between two lines of one cause and issuer.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The refusals of one issuer, or of none.
#[derive(Debug)]
pub(super) struct Refused([Counter; Cause::ALL.len()]);

#[derive(Debug)]
struct Counter {
    count: AtomicU64,
    /// When the next line may be written.
    tell_at: AtomicI64,
}

impl Default for Refused {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter { count: AtomicU64::new(0), tell_at: AtomicI64::new(i64::MIN) }))
    }
}

impl Counter {
    /// Whether a line may be written now: it is this caller's to write then, and the next one's a minute later.
    fn may_tell(&self, now: Timestamp) -> bool {
        let tell_at = self.tell_at.load(Ordering::Relaxed);
        let next = now.plus(TELL_EVERY).0;
        // A clock that was set back must not silence it.
        (now.0 >= tell_at || tell_at > next)
            && self.tell_at.compare_exchange(tell_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Refused {
    /// `issuer` is the name in the configuration; empty for tokens of an issuer that is not in it.
    pub(super) fn count(&self, issuer: &str, refusal: &Refusal, now: Timestamp) {
        let Some(place) = Cause::ALL.iter().position(|(cause, _)| *cause == refusal.cause) else { return };
        let counter = &self.0[place];
        let count = counter.count.fetch_add(1, Ordering::Relaxed) + 1;
        if counter.may_tell(now) {
            let Refusal { cause, detail, message: _ } = refusal;
            tracing::warn!(issuer, cause = cause.name(), detail, count, "A token is refused");
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL.iter().zip(&self.0).map(|((_, name), counter)| (*name, counter.count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_a_minute_also_after_the_clock_was_set_back() {
        let Refused(counters) = Refused::default();
        let may_tell = |seconds| counters[0].may_tell(Timestamp::from_seconds(seconds));
        assert_eq!([1000, 1000, 1059, 1060, 1061, 1119].map(may_tell), [true, false, false, true, false, false]);
        assert_eq!([500, 501, 559, 560].map(may_tell), [true, false, false, true], "set back");
        assert!(counters[1].may_tell(Timestamp::from_seconds(560)), "each cause has lines of its own");
    }

    #[test]
    fn each_refusal_is_counted_by_its_cause() {
        let refused = Refused::default();
        for cause in [Cause::Key, Cause::Expired, Cause::Key] {
            refused.count("corp", &Refusal::new(cause, "a detail"), Timestamp(0));
        }
        let counted: Vec<_> = refused.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("key", 2), ("expired", 1)]);
    }
}
