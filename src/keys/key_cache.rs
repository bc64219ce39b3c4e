//! A small cache of decrypted private keys, for repeated use: opening an RSA key takes longer than signing with it.
//! Entries expire soon and are zeroed (`docs/decisions/0012-opened-keys.md`).

use super::{KeyPair, SealedKey, digest};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// SHA-256 of the sealed key, of its place and of the public key that it has to belong to: who asks has read them from
/// the store, and a key that was opened for one certificate is not found for another.
type Id = [u8; 32];

struct Entry {
    key: Arc<KeyPair>,
    until: Instant,
}

#[derive(Default)]
struct State {
    keys: HashMap<Id, Entry>,
    stopping: bool,
}

struct Shared {
    state: Mutex<State>,
    /// The first key came, or the end.
    changed: Condvar,
}

impl Shared {
    /// Every change is whole before the lock is given back: a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops expired keys, even if none are requested.
    fn sweep(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let now = Instant::now();
            state.keys.retain(|_, entry| entry.until > now);
            state = match state.keys.values().map(|entry| entry.until).min() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let waited = self.changed.wait_timeout(state, until.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.keys.clear();
    }
}

/// The keys. The thread that drops them ends when this is dropped.
pub(crate) struct KeyCache {
    /// How many opened keys stay in memory; 0 keeps none.
    room: usize,
    /// For how long after they were opened, however often they are used.
    time: Duration,
    shared: Arc<Shared>,
}

impl KeyCache {
    pub(crate) fn start(room: usize, time: Duration) -> io::Result<Self> {
        let keys = Self::with(room, time);
        if room > 0 {
            let shared = Arc::clone(&keys.shared);
            thread::Builder::new().name("keys-opened".to_owned()).spawn(move || shared.sweep())?;
        }
        Ok(keys)
    }

    /// No room, no thread.
    pub(crate) fn none() -> Self {
        Self::with(0, Duration::ZERO)
    }

    fn with(room: usize, time: Duration) -> Self {
        Self { room, time, shared: Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }) }
    }

    /// The key, if it was opened lately.
    pub(crate) fn find(&self, sealed: &SealedKey) -> Option<Arc<KeyPair>> {
        if self.room == 0 {
            return None;
        }
        let state = self.shared.lock();
        let entry = state.keys.get(&id(sealed)).filter(|entry| entry.until > Instant::now())?;
        Some(Arc::clone(&entry.key))
    }

    /// Keeps a key that was just opened; if there is no room, the one that was opened first goes.
    pub(crate) fn keep(&self, sealed: &SealedKey, key: &Arc<KeyPair>) {
        let (room, time) = (self.room, self.time);
        // A time that no clock reaches keeps none, rather than all for ever.
        let Some(until) = Instant::now().checked_add(time).filter(|_| room > 0) else { return };
        let mut state = self.shared.lock();
        let id = id(sealed);
        if state.keys.len() >= room
            && !state.keys.contains_key(&id)
            && let Some(first) = state.keys.iter().min_by_key(|(_, entry)| entry.until).map(|(id, _)| *id)
        {
            state.keys.remove(&first);
        }
        let was_empty = state.keys.is_empty();
        state.keys.insert(id, Entry { key: Arc::clone(key), until });
        if was_empty {
            self.shared.changed.notify_one();
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.shared.lock().keys.len()
    }
}

impl Drop for KeyCache {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        // Without threads nothing else does it.
        state.keys.clear();
        self.shared.changed.notify_all();
    }
}

fn id(sealed: &SealedKey) -> Id {
    let SealedKey { sealed, context, public_key } = sealed;
    digest::sha256(&[&context.encode("opened key"), &sealed.0, public_key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::domain::{Blob, VaultName};
    use crate::keys::SealContext;

    const LONG: Duration = Duration::from_secs(600);

    fn sealed(bytes: &[u8], name: &str) -> SealedKey {
        let context = SealContext::new(&VaultName::parse("v").unwrap(), name, "1", "key");
        SealedKey { sealed: Blob(bytes.to_vec()), context, public_key: b"public".to_vec() }
    }

    fn key() -> Arc<KeyPair> {
        Arc::new(KeyPair::generate(KeyType::P256).unwrap())
    }

    #[test]
    fn a_key_is_found_by_what_was_sealed_by_its_place_and_by_its_certificate() {
        let keys = KeyCache::start(2, LONG).unwrap();
        let opened = key();
        keys.keep(&sealed(b"a", "web"), &opened);
        assert!(Arc::ptr_eq(&keys.find(&sealed(b"a", "web")).unwrap(), &opened));
        assert!(keys.find(&sealed(b"b", "web")).is_none());
        assert!(keys.find(&sealed(b"a", "mail")).is_none());
        let of_another = SealedKey { public_key: b"another".to_vec(), ..sealed(b"a", "web") };
        assert!(keys.find(&of_another).is_none());
    }

    #[test]
    fn the_room_is_kept_and_the_oldest_goes() {
        let keys = KeyCache::start(2, LONG).unwrap();
        for name in ["a", "b", "b", "c"] {
            keys.keep(&sealed(b"x", name), &key());
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(keys.count(), 2);
        assert!(keys.find(&sealed(b"x", "a")).is_none());
        assert!(keys.find(&sealed(b"x", "c")).is_some());
    }

    #[test]
    fn a_key_is_dropped_in_time_without_requests() {
        let keys = KeyCache::start(2, Duration::from_millis(50)).unwrap();
        let opened = key();
        keys.keep(&sealed(b"x", "a"), &opened);
        let until = Instant::now() + Duration::from_secs(20);
        while keys.count() > 0 {
            assert!(Instant::now() < until, "the key is still there");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(Arc::strong_count(&opened), 1, "nobody but this test holds it");
    }

    #[test]
    fn with_the_last_of_them_all_are_dropped_and_without_room_none_is_kept() {
        let opened = key();
        for (room, time, kept) in [(1, LONG, 1), (0, LONG, 0), (1, Duration::MAX, 0)] {
            let keys = KeyCache::start(room, time).unwrap();
            keys.keep(&sealed(b"x", "a"), &opened);
            assert_eq!((keys.count(), keys.find(&sealed(b"x", "a")).is_some()), (kept, kept == 1));
            drop(keys);
            assert_eq!(Arc::strong_count(&opened), 1);
        }
    }
}
