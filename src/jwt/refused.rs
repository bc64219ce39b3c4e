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

impl Refused {
    /// `issuer` is the name in the configuration; empty for tokens of an issuer that is not in it.
    pub(super) fn count(&self, issuer: &str, refusal: &Refusal, now: Timestamp) {
        let Some(place) = Cause::ALL.iter().position(|(cause, _)| *cause == refusal.cause) else { return };
        let counter = &self.0[place];
        let count = counter.count.fetch_add(1, Ordering::Relaxed) + 1;
        let tell_at = counter.tell_at.load(Ordering::Relaxed);
        let next = now.plus(TELL_EVERY).0;
        // A clock that was set back must not silence it.
        if (now.0 >= tell_at || tell_at > next)
            && counter.tell_at.compare_exchange(tell_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let Refusal { cause, detail, message: _ } = refusal;
            tracing::warn!(issuer, cause = cause.name(), detail, count, "A token is refused");
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL.iter().zip(&self.0).map(|((_, name), counter)| (*name, counter.count.load(Ordering::Relaxed)))
    }
}
