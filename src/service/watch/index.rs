//! An index of streams by the names they watch, so that an event for one certificate wakes one stream and not a hundred
//! thousand.

use crate::domain::Operation;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;

/// How one stream is found.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Interest {
    Everything,
    Vault(String),
    /// Vault and name in lower case.
    Name(String, String),
    /// A name in lower case in any vault.
    NameAnywhere(String),
}

/// The wakers of all streams.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The inner maps are ordered: streams wake in the order in which they were opened, in every run.
    wakers: HashMap<Interest, BTreeMap<u64, Arc<Notify>>>,
}

impl Index {
    pub(super) fn insert(&mut self, id: u64, interests: &[Interest], wake: &Arc<Notify>) {
        for interest in interests {
            self.wakers.entry(interest.clone()).or_default().insert(id, wake.clone());
        }
    }

    pub(super) fn remove(&mut self, id: u64, interests: &[Interest]) {
        for interest in interests {
            if let Some(streams) = self.wakers.get_mut(interest) {
                streams.remove(&id);
                if streams.is_empty() {
                    self.wakers.remove(interest);
                }
            }
        }
    }

    /// Wakes every stream.
    pub(super) fn wake_all(&self) {
        self.wakers.values().flat_map(BTreeMap::values).for_each(|wake| wake.notify_one());
    }

    /// Wakes every stream that the operation may concern. A wake keeps one permit, so a stream that is reading the ring
    /// at this moment reads it once more.
    pub(super) fn wake(&self, operation: &Operation) {
        let vault = operation.vault.as_str().to_owned();
        let name = operation.certificate.key();
        let interests = [
            Interest::Everything,
            Interest::Vault(vault.clone()),
            Interest::Name(vault, name.clone()),
            Interest::NameAnywhere(name),
        ];
        for interest in &interests {
            for wake in self.wakers.get(interest).into_iter().flat_map(BTreeMap::values) {
                wake.notify_one();
            }
        }
    }
}
