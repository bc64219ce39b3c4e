//! A store in which reading one certificate is a defect, and writing does not work.

use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use tokio::sync::watch;

pub(crate) struct Troubled(Sqlite);

impl Troubled {
    pub(crate) fn new() -> Self {
        Self(Sqlite::open_in_memory().unwrap())
    }
}

#[async_trait]
impl Store for Troubled {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        assert!(!key.contains("/panic"), "a defect, on purpose");
        self.0.get(key).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.list(prefix, after, limit).await
    }

    async fn commit(&self, _: Batch) -> Result<Revision, StoreError> {
        Err(StoreError::Unavailable("/secret/path: no space left on device".into()))
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.claim(now, until, limit).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.0.events(after, limit).await
    }

    async fn trim(&self, before: Timestamp, keep: u64, limit: usize) -> Result<u64, StoreError> {
        self.0.trim(before, keep, limit).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.0.epoch().await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.0.head()
    }
}
