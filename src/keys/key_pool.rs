//! A pool of RSA keys generated while the CPU is idle, so that a burst of requests takes milliseconds instead of
//! seconds.

use super::workers::IdleWatcher;
use super::workers::give_way;
use super::{KeyOptions, KeyPair};
use crate::domain::policy::KeyType;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

struct Pool {
    key_type: KeyType,
    room: usize,
    keys: VecDeque<KeyPair>,
}

struct Shared {
    pools: Mutex<(Vec<Pool>, bool)>,
    /// A key was taken, or the end has come.
    taken: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Vec<Pool>, bool)> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a key is missing and says of which type; none at the end.
    fn missing(&self) -> Option<KeyType> {
        let mut guard = self.lock();
        loop {
            let (pools, stopping) = &*guard;
            if *stopping {
                return None;
            }
            if let Some(pool) = pools.iter().find(|pool| pool.keys.len() < pool.room) {
                return Some(pool.key_type);
            }
            guard = self.taken.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, key: KeyPair) {
        let (pools, _) = &mut *self.lock();
        let mut with_room = pools.iter_mut().filter(|pool| pool.keys.len() < pool.room);
        if let Some(pool) = with_room.find(|pool| pool.key_type == key.key_type()) {
            pool.keys.push_back(key);
        }
    }

    fn fill(&self, idle: &IdleWatcher, after: Duration) {
        let waited = self.taken.wait_timeout_while(self.lock(), after, |(_, stopping)| !*stopping);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        while let Some(key_type) = self.missing()
            && idle.wait()
        {
            // A generator that fails would fail again at once; requests make their own keys then.
            let Ok(key) = KeyPair::generate(key_type) else { return };
            self.put(key);
        }
    }
}

/// The keys; each is given out once. The thread that fills the pools ends when this is dropped.
#[derive(Clone)]
pub(crate) struct KeyPool(Arc<Guard>);

struct Guard(Arc<Shared>);

/// Nobody waits for these keys: whatever else there is to do comes first.
const NICENESS: i32 = 10;

impl KeyPool {
    /// One thread of its own makes the keys, one at a time and only while `idle`: a request never
    /// waits for it, it shares the processor with at most one key that has already begun. The first
    /// is begun `after` this long.
    pub(crate) fn start(options: &KeyOptions, idle: IdleWatcher, after: Duration) -> io::Result<Self> {
        let KeyOptions { ready_rsa_2048, ready_rsa_3072, ready_rsa_4096, .. } = *options;
        let pools: Vec<Pool> = [
            (KeyType::Rsa2048, ready_rsa_2048),
            (KeyType::Rsa3072, ready_rsa_3072),
            (KeyType::Rsa4096, ready_rsa_4096),
        ]
        .into_iter()
        .filter(|(_, room)| *room > 0)
        .map(|(key_type, room)| Pool { key_type, room: room.into(), keys: VecDeque::new() })
        .collect();
        let none = pools.is_empty();
        let keys = Self::with(pools);
        if !none {
            let shared = Arc::clone(&keys.0.0);
            thread::Builder::new().name("keys-ready".to_owned()).spawn(move || {
                give_way(NICENESS);
                shared.fill(&idle, after);
            })?;
        }
        Ok(keys)
    }

    /// No pool, no thread.
    pub(crate) fn none() -> Self {
        Self::with(Vec::new())
    }

    fn with(pools: Vec<Pool>) -> Self {
        let shared = Shared { pools: Mutex::new((pools, false)), taken: Condvar::new() };
        Self(Arc::new(Guard(Arc::new(shared))))
    }

    /// The oldest key of the type, if one is ready. It goes back where it is not used.
    pub(crate) fn take(&self, key_type: KeyType) -> Option<ReadyKey> {
        let shared = &self.0.0;
        let key = shared.lock().0.iter_mut().find(|pool| pool.key_type == key_type)?.keys.pop_front()?;
        shared.taken.notify_all();
        Some(ReadyKey { key: Some(key), from: self.clone() })
    }

    pub(crate) fn count(&self, key_type: KeyType) -> usize {
        self.0.0.lock().0.iter().find(|pool| pool.key_type == key_type).map_or(0, |pool| pool.keys.len())
    }
}

/// A key that was taken for a request. Where the request is refused, or gone before its turn, it is ready for the next.
pub(crate) struct ReadyKey {
    key: Option<KeyPair>,
    from: KeyPool,
}

impl ReadyKey {
    /// The key, which is given away with this.
    pub(crate) fn used(mut self) -> Option<KeyPair> {
        self.key.take()
    }
}

impl Drop for ReadyKey {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.from.0.0.put(key);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().1 = true;
        self.0.taken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PolicyInput, Timestamp, VaultName};
    use crate::keys::workers::{QueueOptions, Workers};
    use crate::keys::{Caller, Keys, MasterKeys, SealContext, Sealer, Work, random_id};
    use std::time::Instant;
    use tokio::time::timeout;

    fn one() -> KeyOptions {
        KeyOptions { ready_rsa_2048: 1, ..KeyOptions::on_demand() }
    }

    const QUEUE: QueueOptions = QueueOptions { jobs: 1, time: Duration::from_secs(60), share: 100 };

    fn wait_for(keys: &KeyPool) -> KeyPair {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            match keys.take(KeyType::Rsa2048).and_then(ReadyKey::used) {
                Some(key) => return key,
                None if Instant::now() > until => panic!("no key became ready"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    #[test]
    fn the_pool_is_refilled_and_no_key_is_used_twice() {
        let workers = Workers::start(1, QUEUE).unwrap();
        let keys = KeyPool::start(&one(), workers.watcher(), Duration::ZERO).unwrap();
        assert_ne!(wait_for(&keys).public_key_der(), wait_for(&keys).public_key_der());
        assert!(keys.take(KeyType::Rsa3072).is_none());
        assert!(keys.take(KeyType::P256).is_none());
    }

    #[tokio::test]
    async fn nothing_is_made_while_there_is_other_work() {
        let workers = Workers::start(1, QUEUE).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let caller = Caller::new("a", None);
        let other = workers.run(&caller, Work::Generate(KeyType::Rsa2048), move || {
            let _ = begun.send(());
            let _ = held.recv();
            Ok(())
        });
        let mut other = Box::pin(other);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut other).await.is_err());
        begins.recv().unwrap();
        let keys = KeyPool::start(&one(), workers.watcher(), Duration::ZERO).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(keys.count(KeyType::Rsa2048), 0);
        drop(release);
        other.await.unwrap();
        wait_for(&keys);
    }

    #[tokio::test]
    async fn a_request_counts_as_ready_only_with_a_key_of_its_own() {
        let pool = KeyPool::with(vec![Pool { key_type: KeyType::Rsa2048, room: 1, keys: VecDeque::new() }]);
        pool.0.0.put(KeyPair::generate(KeyType::Rsa2048).unwrap());
        let sealer = Arc::new(Sealer::new(MasterKeys::random()));
        let workers = Some(Workers::start(1, QUEUE).unwrap());
        let keys = Keys { workers, ready: pool, ..Keys::inline(sealer, Arc::new(random_id)) };
        // Both threads are held.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let holder = Caller::new("holder", None);
        let mut holders = Vec::new();
        for work in [Work::Generate(KeyType::Rsa2048), Work::Small] {
            let (begun, begins) = std::sync::mpsc::channel();
            let held = Arc::clone(&held);
            let job = move || {
                let _ = begun.send(());
                let _ = held.lock().unwrap().recv();
                Ok(())
            };
            let mut waits = Box::pin(keys.run(&holder, work, job));
            assert!(timeout(Duration::ZERO, &mut waits).await.is_err());
            begins.recv().unwrap();
            holders.push(waits);
        }
        let policy = PolicyInput { subject: Some("CN=a".into()), ..PolicyInput::default() };
        let policy = policy.complete(Timestamp(0)).unwrap();
        let place = || SealContext::new(&VaultName::default_vault(), "web", "1", "key");
        let (one, other) = (Caller::new("one", None), Caller::new("other", None));
        let mut first = Box::pin(keys.create(&one, &policy, place(), None));
        assert!(timeout(Duration::ZERO, &mut first).await.is_err());
        let (before, ready) = (keys.load().queue.long_time, keys.load().ready_rsa_2048);
        let mut second = Box::pin(keys.create(&other, &policy, place(), None));
        assert!(timeout(Duration::ZERO, &mut second).await.is_err());
        assert!(keys.load().queue.long_time > before, "the second waits with the work that takes long");
        drop(first);
        assert_eq!((ready, keys.load().ready_rsa_2048), (0, 1), "a key that is not used goes back");
        drop(release);
        second.await.unwrap();
    }
}
