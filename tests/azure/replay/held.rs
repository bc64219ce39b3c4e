//! A store that gives out no work while it is held: what Key Vault takes seconds for is done here in
//! milliseconds, and the recordings look at it in between.

use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

pub(super) struct Held {
    inner: Sqlite,
    held: AtomicBool,
}

impl Held {
    pub(super) fn new() -> Self {
        Self { inner: Sqlite::open_in_memory().unwrap(), held: AtomicBool::new(true) }
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Held {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.list(prefix, after, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.inner.commit(batch).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        if self.held.load(Ordering::SeqCst) { Ok(Vec::new()) } else { self.inner.claim(now, until, limit).await }
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.inner.events(after, limit).await
    }

    async fn trim(&self, before: Timestamp, keep: u64, limit: usize) -> Result<u64, StoreError> {
        self.inner.trim(before, keep, limit).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.inner.epoch().await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.inner.head()
    }
}
