//! A store wrapper that measures each call, by kind and outcome.

use crate::domain::Timestamp;
use crate::metrics::Metrics;
use crate::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Hands every call on.
pub(super) struct ObservedStore {
    pub(super) inner: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
}

impl ObservedStore {
    async fn timed<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let ended = work.await;
        let outcome = match &ended {
            Ok(_) => "ok",
            Err(StoreError::Conflict(_)) => "conflict",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Broken(_)) => "broken",
        };
        self.metrics.store(call, outcome, begun.elapsed());
        ended
    }
}

#[async_trait]
impl Store for ObservedStore {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.timed("get", self.inner.get(key)).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.timed("get_many", self.inner.get_many(keys)).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.timed("list", self.inner.list(prefix, after, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.timed("commit", self.inner.commit(batch)).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.timed("claim", self.inner.claim(now, until, limit)).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.timed("events", self.inner.events(after, limit)).await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.inner.head()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        self.timed("trim", self.inner.trim(before, keep_at_least, limit)).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.inner.epoch().await
    }
}
