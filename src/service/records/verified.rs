//! A cache of recently verified bodies. Verifying a body takes about a tenth of the time of polling an operation;
//! comparing it with the cached one takes a hundredth.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Places, each for one body; 8 MiB at most.
const PLACES: usize = 2048;
/// Larger bodies are verified each time.
const MAX_BODY: usize = 4096;

/// A key, and the body that was verified for it.
type Known = Option<(String, Vec<u8>)>;

/// A body lies in the place that its key gives it, whatever was there before.
pub(super) struct Verified {
    places: Vec<Mutex<Known>>,
    hash: RandomState,
}

impl Default for Verified {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| Mutex::default()).collect(), hash: RandomState::new() }
    }
}

impl Verified {
    /// Whether exactly this body was verified for this key.
    pub(super) fn holds(&self, key: &str, body: &[u8]) -> bool {
        let place = self.place(key).lock().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().is_some_and(|(known, verified)| known == key && verified == body)
    }

    pub(super) fn keep(&self, key: &str, body: &[u8]) {
        if body.len() <= MAX_BODY {
            let kept = Some((key.to_owned(), body.to_vec()));
            *self.place(key).lock().unwrap_or_else(PoisonError::into_inner) = kept;
        }
    }

    fn place(&self, key: &str) -> &Mutex<Known> {
        &self.places[self.hash.hash_one(key) as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_for_its_key_until_another_one_takes_its_place() {
        let verified = Verified::default();
        verified.keep("a", b"1");
        assert!(verified.holds("a", b"1"));
        assert!(!verified.holds("a", b"2") && !verified.holds("b", b"1"));
        verified.keep("a", b"2");
        assert!(verified.holds("a", b"2") && !verified.holds("a", b"1"));
    }

    #[test]
    fn the_room_is_bounded() {
        let verified = Verified::default();
        verified.keep("a", &[0; MAX_BODY + 1]);
        assert!(!verified.holds("a", &[0; MAX_BODY + 1]));
        for number in 0..2 * PLACES {
            verified.keep(&number.to_string(), b"body");
        }
        let kept = (0..2 * PLACES).filter(|number| verified.holds(&number.to_string(), b"body")).count();
        assert!(kept <= PLACES, "{kept}");
    }
}
