//! Requests without accepted credentials, counted by the address that they came from: anybody can send many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Addresses that are told apart until the counts are taken.
const MAX_PEERS: usize = 1000;

/// Counts of addresses; `None` for those beyond [`MAX_PEERS`], and for requests without an address.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<Option<IpAddr>, u64>>);

impl Strangers {
    pub(super) fn count(&self, peer: Option<IpAddr>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.len() < MAX_PEERS || counts.contains_key(&peer);
        *counts.entry(peer.filter(|_| known)).or_default() += 1;
    }

    /// What was counted since the last call.
    pub(super) fn take(&self) -> Vec<(Option<IpAddr>, u64)> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        counts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_apart_up_to_a_bound() {
        let strangers = Strangers::default();
        for number in 0..u32::try_from(MAX_PEERS).unwrap() + 10 {
            strangers.count(Some(IpAddr::from(number.to_be_bytes())));
            strangers.count(Some(IpAddr::from([0, 0, 0, 1])));
        }
        let counts: HashMap<_, _> = strangers.take().into_iter().collect();
        assert_eq!(counts[&Some(IpAddr::from([0, 0, 0, 1]))], u64::try_from(MAX_PEERS).unwrap() + 11);
        assert_eq!((counts.len(), counts[&None]), (MAX_PEERS + 1, 10));
        assert!(strangers.take().is_empty());
    }
}
