//! Every commit of a use case or a job: what it changes has its record in the audit ledger, and what
//! webhooks are told of it its records in the outbox, in the same batch.

use super::audit::ledger::{Entry, Ledger};
use super::webhooks::outbox::Outbox;
use crate::domain::Error;
use crate::store::{Batch, Revision, Store, StoreError};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The way into the store.
pub(super) struct Writes {
    store: Arc<dyn Store>,
    ledger: Ledger,
    outbox: Outbox,
    /// Whether the store took the last write. A store may go on to answer reads when its disk is full or read-only.
    refused: AtomicBool,
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// Why a commit did not take place.
pub(super) enum NotCommitted {
    Store(StoreError),
    /// There was none: its record could not be made.
    Record(Error),
}

impl Writes {
    pub(super) fn new(store: Arc<dyn Store>, ledger: Ledger, outbox: Outbox) -> Self {
        Self { store, ledger, outbox, refused: AtomicBool::new(false) }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Commits the batch with what it tells to webhooks and its record, if it leaves one.
    pub(super) async fn commit(&self, mut batch: Batch) -> Result<Revision, NotCommitted> {
        self.outbox.join(&mut batch).await.map_err(NotCommitted::Record)?;
        let entry = self.ledger.join(&mut batch).map_err(NotCommitted::Record)?;
        self.committed(batch, entry).await.map_err(NotCommitted::Store)
    }

    /// Commits a line of the ledger with a batch that has no other record.
    pub(super) async fn append(&self, entry: Entry<'_>, mut batch: Batch) -> Result<Revision, NotCommitted> {
        batch.puts.push(entry.put().map_err(NotCommitted::Record)?);
        self.committed(batch, Some(entry)).await.map_err(NotCommitted::Store)
    }

    async fn committed(&self, batch: Batch, entry: Option<Entry<'_>>) -> Result<Revision, StoreError> {
        let committed = self.store.commit(batch).await;
        self.note(&committed);
        if let (Ok(_), Some(entry)) = (&committed, entry) {
            entry.written();
        }
        committed
    }

    /// How a write ended. One that was refused because of what it wrote says nothing about the others.
    pub(super) fn note<T>(&self, ended: &Result<T, StoreError>) {
        match ended {
            Ok(_) => self.refused.store(false, Ordering::Relaxed),
            Err(StoreError::Unavailable(_)) => self.refused.store(true, Ordering::Relaxed),
            Err(StoreError::Conflict(_) | StoreError::Broken(_)) => {}
        }
    }

    /// Whether the last write was refused.
    pub(super) fn are_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}
