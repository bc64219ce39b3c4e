//! Values that are shared by all who ask with the same key, as long as anybody uses them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Finds what somebody still uses; forgets the rest now and then.
#[derive(Debug)]
pub(super) struct Known<K, V> {
    pub(super) live: HashMap<K, Weak<V>>,
    prune_at: usize,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self { live: HashMap::new(), prune_at: 64 }
    }
}

impl<K: Hash + Eq, V> Known<K, V> {
    pub(super) fn get(&mut self, key: K, make: impl FnOnce() -> Arc<V>) -> Arc<V> {
        if let Some(found) = self.live.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if self.live.len() >= self.prune_at {
            self.live.retain(|_, value| value.strong_count() > 0);
            self.prune_at = (self.live.len() * 2).max(64);
        }
        let made = make();
        self.live.insert(key, Arc::downgrade(&made));
        made
    }
}
