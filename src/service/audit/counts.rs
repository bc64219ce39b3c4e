//! Counts of what is not worth a line each, by whom it came from: of so many apart, and of all others together.

use std::collections::HashMap;
use std::hash::Hash;

/// Those that are told apart until the counts are taken.
pub(super) const MAX_APART: usize = 100;

/// Counts; `None` for those beyond [`MAX_APART`], and where nobody is known.
#[derive(Debug)]
pub(super) struct Counts<K>(HashMap<Option<K>, u64>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    pub(super) fn add(&mut self, whose: Option<K>, count: u64) {
        let known = self.0.len() < MAX_APART || self.0.contains_key(&whose);
        let own = self.0.entry(whose.filter(|_| known)).or_default();
        *own = own.saturating_add(count);
    }

    /// What was counted since the last call.
    pub(super) fn take(&mut self) -> Vec<(Option<K>, u64)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_counted_apart_up_to_a_bound() {
        let mut counts = Counts::default();
        for number in 0..MAX_APART + 10 {
            counts.add(Some(number), 1);
            counts.add(Some(0), 1);
        }
        let taken: HashMap<_, _> = counts.take().into_iter().collect();
        assert_eq!(taken[&Some(0)], u64::try_from(MAX_APART).unwrap() + 11);
        assert_eq!((taken.len(), taken[&None]), (MAX_APART + 1, 10));
        assert!(counts.take().is_empty());
    }
}
