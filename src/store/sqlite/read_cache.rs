//! A cache of recently read records, so that polling one does not read the file. It is never older than the file: the
//! writer removes what a transaction touches before it commits.

use crate::store::Record;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a record takes beside its key and body, about.
const OVERHEAD: usize = 160;

/// The records, at most `room` bytes of them.
pub(super) struct ReadCache {
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the new ones fill half of the room, they become the old ones, and the old ones go.
    new: HashMap<String, Slot>,
    old: HashMap<String, Slot>,
    bytes: usize,
    /// Keys that the transaction under way touches.
    closed: HashSet<String>,
    tickets: u64,
}

enum Slot {
    /// Somebody reads it from the file; nothing was written to it since.
    Asked(Ticket),
    Known(Arc<Record>),
}

/// Allows [`ReadCache::keep`] what is read from now on, unless it is written meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Found {
    Known(Arc<Record>),
    /// Read the file. Without a ticket what is read cannot be kept.
    Unknown(Option<Ticket>),
}

impl ReadCache {
    pub(super) fn new(room: usize) -> Self {
        Self { room, state: Mutex::default() }
    }

    pub(super) fn find(&self, key: &str) -> Found {
        let mut state = self.lock();
        if let Some(slot) = state.new.get(key) {
            return slot.found();
        }
        if let Some((key, slot)) = state.old.remove_entry(key) {
            let found = slot.found();
            state.put(key, slot, self.room);
            return found;
        }
        if self.room == 0 || state.closed.contains(key) {
            return Found::Unknown(None);
        }
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        state.put(key.to_owned(), Slot::Asked(ticket), self.room);
        Found::Unknown(Some(ticket))
    }

    /// Keeps what was read from the file after [`ReadCache::find`] gave the ticket.
    pub(super) fn keep(&self, ticket: Ticket, record: &Record) {
        let mut state = self.lock();
        let State { new, old, .. } = &*state;
        let slot = new.get(&record.key).or_else(|| old.get(&record.key));
        if matches!(slot, Some(Slot::Asked(asked)) if *asked == ticket) {
            state.forget(&record.key);
            state.put(record.key.clone(), Slot::Known(Arc::new(record.clone())), self.room);
        }
    }

    /// Forgets these keys, and takes nothing new of them until [`ReadCache::open`]: call it before the
    /// COMMIT, since who reads the file must not see more than who asks here.
    pub(super) fn close(&self, keys: Vec<String>) {
        let mut state = self.lock();
        for key in &keys {
            state.forget(key);
        }
        state.closed = keys.into_iter().collect();
    }

    /// The transaction has ended, one way or the other.
    pub(super) fn open(&self) {
        self.lock().closed.clear();
    }

    /// Every change is whole before the lock is given back: a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, key: String, slot: Slot, room: usize) {
        self.bytes += size(&key, &slot);
        self.new.insert(key, slot);
        if self.bytes > room / 2 {
            self.old = std::mem::take(&mut self.new);
            self.bytes = 0;
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some((key, slot)) = self.new.remove_entry(key) {
            self.bytes -= size(&key, &slot);
        }
        self.old.remove(key);
    }
}

impl Slot {
    fn found(&self) -> Found {
        match self {
            Self::Asked(ticket) => Found::Unknown(Some(*ticket)),
            Self::Known(record) => Found::Known(Arc::clone(record)),
        }
    }
}

fn size(key: &str, slot: &Slot) -> usize {
    OVERHEAD
        + key.len()
        + match slot {
            Slot::Asked(_) => 0,
            Slot::Known(record) => record.key.len() + record.body.len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, revision: u64, body: usize) -> Record {
        Record { key: key.to_owned(), revision, body: vec![0; body], due: None }
    }

    fn known(cache: &ReadCache, key: &str) -> Option<u64> {
        match cache.find(key) {
            Found::Known(record) => Some(record.revision),
            Found::Unknown(_) => None,
        }
    }

    fn ticket(cache: &ReadCache, key: &str) -> Option<Ticket> {
        match cache.find(key) {
            Found::Known(_) => panic!("{key} is known"),
            Found::Unknown(ticket) => ticket,
        }
    }

    #[test]
    fn what_was_read_is_known_until_it_is_written() {
        let cache = ReadCache::new(1 << 20);
        cache.keep(ticket(&cache, "a").unwrap(), &record("a", 1, 10));
        assert_eq!(known(&cache, "a"), Some(1));
        cache.close(vec!["a".into()]);
        assert_eq!(known(&cache, "a"), None);
        cache.open();
        cache.keep(ticket(&cache, "a").unwrap(), &record("a", 2, 10));
        assert_eq!(known(&cache, "a"), Some(2));
    }

    #[test]
    fn a_read_that_a_write_overtook_is_not_kept() {
        let cache = ReadCache::new(1 << 20);
        let before = ticket(&cache, "a").unwrap();
        cache.close(vec!["a".into()]);
        // Neither while the transaction is under way, nor after it, nor under the ticket of a later reader.
        cache.keep(before, &record("a", 1, 10));
        assert_eq!(ticket(&cache, "a"), None);
        cache.open();
        cache.keep(before, &record("a", 1, 10));
        assert_eq!(known(&cache, "a"), None);
        let after = ticket(&cache, "a").unwrap();
        cache.keep(before, &record("a", 1, 10));
        assert_eq!(known(&cache, "a"), None);
        cache.keep(after, &record("a", 2, 10));
        assert_eq!(known(&cache, "a"), Some(2));
    }

    #[test]
    fn readers_at_the_same_time_share_a_ticket() {
        let cache = ReadCache::new(1 << 20);
        let first = ticket(&cache, "a");
        assert_eq!(first, ticket(&cache, "a"));
        assert_ne!(first, ticket(&cache, "b"));
    }

    #[test]
    fn the_room_is_kept_and_what_is_asked_for_stays() {
        let room = 20 * (OVERHEAD + 1000);
        let cache = ReadCache::new(room);
        for number in 0..1000 {
            let key = format!("k{number}");
            cache.keep(ticket(&cache, &key).unwrap(), &record(&key, number, 1000));
            let _ = known(&cache, "k0");
            let state = cache.lock();
            let held: usize = state.new.iter().chain(&state.old).map(|(key, slot)| size(key, slot)).sum();
            assert!(held <= room + 2000, "{held} of {room} after {number}");
        }
        assert_eq!(known(&cache, "k0"), Some(0));
        assert_eq!(known(&cache, "k1"), None);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        assert_eq!(ticket(&ReadCache::new(0), "a"), None);
    }
}
