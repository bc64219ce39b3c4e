//! The store: a trait with seven methods for the data and two for trimming the log. Every write is one atomic
//! [`Batch`]; every lookup is by key or by due time.

use crate::domain::Timestamp;
use async_trait::async_trait;
use std::collections::HashSet;
use tokio::sync::watch;

mod common;
mod counter;
mod options;
pub mod postgres;
pub mod sqlite;

pub use options::{StoreOptions, StoreUrl};

/// A position in the one order of all writes. Later commits have higher revisions, and a revision
/// becomes visible only after every lower one (`docs/decisions/0002-revision-order.md`).
pub type Revision = u64;

/// A stored value with the revision that wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub key: String,
    pub revision: Revision,
    /// Versioned JSON; secrets inside are sealed.
    pub body: Vec<u8>,
    /// When a worker should look at it next; `None` is never.
    pub due: Option<Timestamp>,
}

/// One write. `expected` is the revision that the writer read; `None` means "must not exist".
#[derive(Clone, Debug)]
pub struct Put {
    pub key: String,
    pub expected: Option<Revision>,
    pub body: Vec<u8>,
    pub due: Option<Timestamp>,
}

/// One removal; refused unless the record is still at `expected`.
#[derive(Clone, Debug)]
pub struct Delete {
    pub key: String,
    pub expected: Revision,
}

/// A fact that followers of the log read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub revision: Revision,
    pub body: Vec<u8>,
}

/// Written all or nothing. Takes one revision for each event, and one if there is none; the
/// records get the last of them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub puts: Vec<Put>,
    pub deletes: Vec<Delete>,
    /// Bodies of the events, in order.
    pub events: Vec<Vec<u8>>,
}

impl Batch {
    /// How many revisions this batch takes: each event its own, so that a page can end anywhere.
    pub fn revisions(&self) -> Revision {
        self.events.len().max(1) as Revision
    }

    /// A key that stands in it more than once, which no store takes.
    pub fn repeated_key(&self) -> Option<&str> {
        let Self { puts, deletes, events: _ } = self;
        let mut seen = HashSet::with_capacity(puts.len() + deletes.len());
        let keys = puts.iter().map(|put| &put.key).chain(deletes.iter().map(|delete| &delete.key));
        keys.map(String::as_str).find(|key| !seen.insert(*key))
    }
}

/// A part of the log.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// Oldest first, all with a revision above the asked one, none left out between them.
    pub events: Vec<Event>,
    /// The log holds every event above this revision; what is at or below may be trimmed. A cursor
    /// below it cannot be continued.
    pub trimmed: Revision,
    /// The revision of the newest commit that this page could see.
    pub head: Revision,
}

/// Why a store call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer committed first: read and decide again.
    #[error("record {0} was changed by another writer")]
    Conflict(String),
    /// Not acknowledged, and waiting may help (busy, disk full, connection lost). Nothing of the
    /// batch is visible; only where the process or the connection dies in the very COMMIT may it
    /// turn up after the restart, so a repeat begins with reading, never with the old revisions.
    #[error("the store is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is damaged or not understood, or the batch breaks a rule of the store (a key
    /// twice, a body above the limit); waiting does not help.
    #[error("the store failed: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Most records that [`Store::get_many`] reads at once.
pub const MAX_KEYS: usize = 1000;

/// The database is not the one any more that this process began with: it was restored from a backup meanwhile. The
/// cause of a [`StoreError::Unavailable`], until the process is started again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HistoryLost {
    #[error(
        "the epoch of the database has changed since this process started, so it was restored: restart this replica"
    )]
    OtherEpoch,
    #[error(
        "the database ends at revision {found}, but this process has seen revision {seen}: it was rolled back, for \
         example by restoring a backup in place. Stop all replicas, run `certmint new-epoch`, and start them again"
    )]
    SetBack { found: Revision, seen: Revision },
}

impl From<HistoryLost> for StoreError {
    fn from(lost: HistoryLost) -> Self {
        Self::Unavailable(Box::new(lost))
    }
}

impl StoreError {
    /// Whether the cause is [`HistoryLost`].
    pub fn is_history_lost(&self) -> bool {
        matches!(self, Self::Unavailable(cause) if cause.is::<HistoryLost>())
    }
}

/// What every back end promises; `tests/store` holds each promise as a function.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The record as of now; sees every commit that was acknowledged before the call.
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError>;

    /// The records of these keys in their order, `None` for a key that has none; a key may stand there more than
    /// once. One question to the database, however many keys there are, up to [`MAX_KEYS`]: all records are of one
    /// moment, which is as late as that of [`Store::get`].
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Records whose key begins with `prefix` and is greater than `after`, in key order (byte
    /// order), at most `limit`.
    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// All or nothing, durable when it returns. Returns the revision that the records got (the
    /// highest of the batch). A key may stand in a batch only once. A caller that stops waiting
    /// does not take the batch back.
    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError>;

    /// Takes up to `limit` records that are due at `now`, soonest first, away from other workers
    /// until `until`. Each comes back with a new revision, and that revision is the lease: a
    /// holder that comes too late fails its commit with [`StoreError::Conflict`]. A claim that
    /// takes nothing writes nothing, so an idle worker costs no disk.
    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// The log after `after`, at most `limit` events.
    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError>;

    /// Notifies after a commit (not necessarily after a claim alone). It says when to read,
    /// never what happened. Its value is the revision of a commit that readers can see by now.
    fn head(&self) -> watch::Receiver<Revision>;

    /// Removes events from the old end of the log: at most `limit`, only such as were committed
    /// before `before`, and never so many that fewer than `keep_at_least` stay. Returns how many
    /// went; the caller repeats until that is below `limit`, so that no step is a long one.
    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError>;

    /// Which history the revisions belong to: 32 hex digits drawn when the database was made. A
    /// revision of another epoch says nothing about this log.
    async fn epoch(&self) -> Result<String, StoreError>;
}
