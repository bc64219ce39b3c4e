//! What leaves no line of its own, since anybody, or a caller without a right, can send as many as he likes: requests
//! without accepted credentials, by address, and refusals beyond those that a minute has lines for, by principal.

use super::counts::Counts;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was counted since it was told last.
#[derive(Debug, Default)]
pub(super) struct Untold(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    strangers: Counts<IpAddr>,
    /// Refusals that have a line of their own, by principal: as many as there may be, at most.
    told: HashMap<String, u64>,
    refusals: Counts<String>,
}

/// What has a line together.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Several {
    Unauthenticated(Option<IpAddr>, u64),
    Refused(Option<String>, u64),
}

impl Untold {
    /// Counts a request without accepted credentials.
    pub(super) fn stranger(&self, peer: Option<IpAddr>) {
        self.lock().strangers.add(peer, 1);
    }

    /// Whether a refusal has a line of its own. Of `most` since the last [`Untold::take`] one caller has half, so that he
    /// cannot hide the refusals of others; what is above is counted.
    pub(super) fn has_line(&self, principal: &str, most: u64) -> bool {
        let mut counted = self.lock();
        let all: u64 = counted.told.values().sum();
        let own = counted.told.get(principal).copied().unwrap_or_default();
        if all < most && own < most.div_ceil(2) {
            counted.told.insert(principal.to_owned(), own + 1);
            return true;
        }
        counted.refusals.add(Some(principal.to_owned()), 1);
        false
    }

    /// What has to be told now; refusals have lines of their own again.
    pub(super) fn take(&self) -> Vec<Several> {
        let mut counted = self.lock();
        counted.told.clear();
        let refused = counted.refusals.take().into_iter().map(|(whose, count)| Several::Refused(whose, count));
        let refused: Vec<_> = refused.collect();
        let strangers = counted.strangers.take().into_iter();
        strangers.map(|(peer, count)| Several::Unauthenticated(peer, count)).chain(refused).collect()
    }

    /// It could not be told; the next time.
    pub(super) fn give_back(&self, several: Several) {
        let mut counted = self.lock();
        match several {
            Several::Unauthenticated(peer, count) => counted.strangers.add(peer, count),
            Several::Refused(principal, count) => counted.refusals.add(principal, count),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        // Counts: each is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_half_of_the_lines_and_what_is_above_is_counted() {
        let untold = Untold::default();
        let lines = |principal: &str, sent: u64| (0..sent).filter(|_| untold.has_line(principal, 9)).count();
        assert_eq!((lines("a", 1000), lines("b", 3), lines("c", 10)), (5, 3, 1));
        let mut told = untold.take();
        told.sort_by_key(|several| format!("{several:?}"));
        let refused = |principal: &str, count| Several::Refused(Some(principal.to_owned()), count);
        assert_eq!(told, [refused("a", 995), refused("c", 9)]);
        assert_eq!((lines("a", 1), untold.take()), (1, Vec::new()));
    }

    #[test]
    fn without_lines_all_are_counted_and_what_was_not_told_is_told_later() {
        let untold = Untold::default();
        assert!(!untold.has_line("a", 0));
        untold.stranger(None);
        for several in untold.take() {
            untold.give_back(several);
        }
        untold.stranger(None);
        let told = untold.take();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&Several::Unauthenticated(None, 2)));
        assert!(told.contains(&Several::Refused(Some("a".into()), 1)));
    }
}
