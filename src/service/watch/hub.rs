//! What all streams of a process share: one reader of the log, the ring, the index, the limits.

use super::Subscriber;
use super::filter::WatchRequest;
use super::index::{Index, Interest};
use super::ring::{LogEvent, Ring};
use super::token::Tokens;
use crate::domain::{CertificateName, Detail, Error, Reason, Result};
use crate::limits::Limits;
use crate::service::records;
use crate::store::{Event, Revision, Store};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Sizes and times of watch streams.
#[derive(Clone, Debug)]
pub struct WatchLimits {
    /// Events kept in memory.
    pub ring: usize,
    /// Events or records of one look at the store.
    pub page: usize,
    pub heartbeat: Duration,
    pub heartbeat_least: Duration,
    pub heartbeat_most: Duration,
    /// A stream is closed, to be resumed, at this age, give or take 10 %.
    pub max_age: Duration,
    /// Over how long the streams of a connection or server that closes go, each at a moment of its own.
    pub drain_spread: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            ring: 10_000,
            page: 500,
            heartbeat: Duration::from_secs(30),
            heartbeat_least: Duration::from_secs(5),
            heartbeat_most: Duration::from_secs(600),
            max_age: Duration::from_secs(3600),
            drain_spread: Duration::ZERO,
        }
    }
}

/// The shared part of all watches.
#[derive(Debug)]
pub struct Hub {
    tokens: Tokens,
    ring: RwLock<Ring>,
    index: RwLock<Index>,
    places: Mutex<Places>,
    /// Where the tail began.
    start: Revision,
    /// The store was restored under this process: what streams got from the log is no longer true.
    history_lost: AtomicBool,
    /// Since when the log is known to be ahead of the ring.
    behind: Mutex<Option<Instant>>,
    unreadable: Unreadable,
}

/// Events that cannot be read: each is logged and counted once, however many streams pass over it.
#[derive(Debug, Default)]
struct Unreadable {
    known: Mutex<BTreeSet<Revision>>,
    count: AtomicU64,
}

/// Events that cannot be read of which the revisions are remembered.
const MAX_UNREADABLE: usize = 10_000;

impl Unreadable {
    fn note(&self, revision: Revision, problem: &str) {
        let mut known = lock(&self.known);
        if known.contains(&revision) {
            return;
        }
        if known.len() >= MAX_UNREADABLE {
            known.pop_first();
        }
        known.insert(revision);
        self.count.fetch_add(1, Ordering::Relaxed);
        tracing::error!(revision, problem, "an event of the log cannot be read: watchers are not shown it");
    }
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    total: usize,
    connections: HashMap<u64, usize>,
    principals: HashMap<String, usize>,
}

impl Hub {
    pub(in crate::service) async fn new(store: &dyn Store, limits: &WatchLimits) -> Result<Self> {
        let tokens = Tokens::new(store.epoch().await?);
        // The tail begins at the present; what is older is read from the store by who wants it.
        let head = *store.head().borrow();
        Ok(Self {
            tokens,
            ring: RwLock::new(Ring::new(head, limits.ring)),
            index: RwLock::default(),
            places: Mutex::default(),
            start: head,
            history_lost: AtomicBool::new(false),
            behind: Mutex::default(),
            unreadable: Unreadable::default(),
        })
    }

    pub(in crate::service) fn token(&self, revision: Revision) -> String {
        self.tokens.write(revision)
    }

    pub(super) fn read_token(&self, token: &str) -> Result<Revision> {
        self.tokens.read(token)
    }

    /// Follows the log until `shutdown`, and shows `observe` each event. One for a process.
    pub(in crate::service) async fn tail(
        &self,
        store: &dyn Store,
        page: usize,
        observe: &(dyn Fn(&LogEvent) + Sync),
        shutdown: CancellationToken,
    ) {
        let mut doorbell = store.head();
        loop {
            doorbell.mark_unchanged(); // before the read: a commit during it notifies again
            let more = match self.pull(store, page, observe).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read; will retry");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    true
                }
            };
            if shutdown.is_cancelled() {
                return;
            }
            if !more {
                *lock(&self.behind) = None;
                tokio::select! {
                    biased; // one order, so that a simulation repeats itself
                    changed = doorbell.changed() => if changed.is_err() { return },
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }

    /// One page of the log into the ring; whether there is more.
    async fn pull(&self, store: &dyn Store, page: usize, observe: &(dyn Fn(&LogEvent) + Sync)) -> Result<bool> {
        let cursor = read(&self.ring).head();
        let log = match store.events(cursor, page).await {
            Ok(log) => log,
            Err(error) => {
                if error.is_history_lost() && !self.history_lost.swap(true, Ordering::AcqRel) {
                    read(&self.index).wake_all();
                }
                return Err(error.into());
            }
        };
        let more = log.events.len() == page;
        let events: Vec<_> = log.events.iter().filter_map(|event| self.decode(event)).map(Arc::new).collect();
        // The last event of a page may be one that cannot be read.
        let head = if more { log.events.last().map_or(0, |event| event.revision) } else { log.head };
        if cursor < log.trimmed {
            // Events went before they were read here: streams ask the store, which knows of the gap.
            write(&self.ring).restart(log.trimmed);
        }
        write(&self.ring).extend(events.clone(), head);
        let index = read(&self.index);
        for event in &events {
            index.wake(&event.transition.operation);
        }
        drop(index);
        events.iter().for_each(|event| observe(event));
        Ok(more)
    }

    /// The event; `None` where it cannot be read, which is logged: its revision is as one without an event, so that
    /// one damaged row of the log keeps nobody from the others.
    pub(in crate::service) fn decode(&self, event: &Event) -> Option<LogEvent> {
        match records::decode_event(&event.body) {
            Ok(transition) => Some(LogEvent::new(event.revision, transition, self.token(event.revision))),
            Err(problem) => {
                self.unreadable.note(event.revision, &problem);
                None
            }
        }
    }

    /// How many events could not be read.
    pub(in crate::service) fn unreadable(&self) -> u64 {
        self.unreadable.count.load(Ordering::Relaxed)
    }

    pub(super) fn next(
        &self,
        cursor: Revision,
        matches: impl Fn(&LogEvent) -> bool,
    ) -> Option<(Revision, Option<Arc<LogEvent>>)> {
        read(&self.ring).next(cursor, matches)
    }

    /// The head of the log when this process began to follow it.
    pub(in crate::service) fn start(&self) -> Revision {
        self.start
    }

    /// For how long the log, whose head is `head`, has been ahead of the ring, as far as anybody looked.
    pub(in crate::service) fn lag(&self, head: Revision) -> Duration {
        let mut behind = lock(&self.behind);
        if self.head() >= head {
            *behind = None;
        }
        let ahead = self.head() < head;
        if ahead { behind.get_or_insert_with(Instant::now).elapsed() } else { Duration::ZERO }
    }

    pub(super) fn is_history_lost(&self) -> bool {
        self.history_lost.load(Ordering::Acquire)
    }

    pub(in crate::service) fn head(&self) -> Revision {
        read(&self.ring).head()
    }

    /// A place among the streams, given back when it is dropped.
    pub(super) fn enter(
        self: &Arc<Self>,
        who: &Subscriber,
        request: &WatchRequest,
        limits: &Limits,
    ) -> Result<StreamSlot> {
        let id = lock(&self.places).take(who, limits)?;
        let wake = Arc::new(Notify::new());
        let interests = interests(request);
        write(&self.index).insert(id, &interests, &wake);
        Ok(StreamSlot { hub: self.clone(), id, who: who.clone(), interests, wake })
    }

    /// Wakes every stream.
    pub(super) fn wake_all(&self) {
        read(&self.index).wake_all();
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        lock(&self.places).total
    }
}

impl Places {
    fn take(&mut self, who: &Subscriber, limits: &Limits) -> Result<u64> {
        let connection = self.connections.get(&who.connection).copied().unwrap_or(0);
        let principal = self.principals.get(&who.principal).copied().unwrap_or(0);
        for (count, limit, subject) in [
            (connection, limits.watch_streams_per_connection, "streams of this connection"),
            (principal, limits.watch_streams_per_principal, "streams of this caller"),
            (self.total, limits.watch_streams, "streams of this server"),
        ] {
            if count >= limit {
                let description = format!("at most {limit} {subject}");
                return Err(Error::new(
                    Reason::WatchLimitExceeded,
                    format!("Too many watch streams: {description}. Watch many operations on one stream."),
                )
                .with(Detail::Quota { subject: subject.to_owned(), description })
                .retry_after(Duration::from_secs(30)));
            }
        }
        self.total += 1;
        *self.connections.entry(who.connection).or_default() += 1;
        *self.principals.entry(who.principal.clone()).or_default() += 1;
        self.next += 1;
        Ok(self.next)
    }

    fn give_back(&mut self, who: &Subscriber) {
        self.total -= 1;
        if let Some(count) = self.connections.get_mut(&who.connection) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&who.connection);
            }
        }
        if let Some(count) = self.principals.get_mut(&who.principal) {
            *count -= 1;
            if *count == 0 {
                self.principals.remove(&who.principal);
            }
        }
    }
}

/// A stream's place: its wake, and its share of the limits.
#[derive(Debug)]
pub(super) struct StreamSlot {
    hub: Arc<Hub>,
    pub(super) id: u64,
    who: Subscriber,
    interests: Vec<Interest>,
    pub(super) wake: Arc<Notify>,
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        write(&self.hub.index).remove(self.id, &self.interests);
        lock(&self.hub.places).give_back(&self.who);
    }
}

fn interests(request: &WatchRequest) -> Vec<Interest> {
    let vault = request.vault.as_ref().map(|vault| vault.as_str().to_owned());
    let names: Vec<String> = request.names.iter().map(CertificateName::key).collect();
    match (vault, names.is_empty()) {
        (None, true) => vec![Interest::Everything],
        (Some(vault), true) => vec![Interest::Vault(vault)],
        (None, false) => names.into_iter().map(Interest::NameAnywhere).collect(),
        (Some(vault), false) => names.into_iter().map(|name| Interest::Name(vault.clone(), name)).collect(),
    }
}

// A panic while one of these locks is held leaves data that is still whole: go on with it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
