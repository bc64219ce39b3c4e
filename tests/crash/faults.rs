//! A store and a provider that die with the process at a chosen call.

use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::issuer::IssuerError;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::watch;

/// Whether the process dies before the call does anything, or when it has done it and the answer
/// is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// Counts calls of all kinds; at one of them the process dies, and every later call finds it dead
/// until it is started again.
#[derive(Debug)]
pub(crate) struct Faults {
    calls: AtomicUsize,
    at: usize,
    moment: Moment,
    dead: AtomicBool,
}

impl Faults {
    pub(crate) fn at(call: usize, moment: Moment) -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), at: call, moment, dead: AtomicBool::new(false) })
    }

    pub(crate) fn dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }

    /// `Err` where the process died before, or in, this call.
    pub(crate) async fn around<T>(&self, call: impl Future<Output = T>) -> Result<T, Died> {
        if self.dead() {
            return Err(Died);
        }
        let now = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if now {
            self.dead.store(true, Ordering::SeqCst);
        }
        if now && self.moment == Moment::Before {
            return Err(Died);
        }
        let answer = call.await;
        if now { Err(Died) } else { Ok(answer) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the process died")]
pub(crate) struct Died;

impl From<Died> for StoreError {
    fn from(died: Died) -> Self {
        Self::Unavailable(died.into())
    }
}

impl From<Died> for IssuerError {
    fn from(died: Died) -> Self {
        Self::Retry { after: None, source: died.into() }
    }
}

pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.faults.around(self.inner.get(key)).await?
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.faults.around(self.inner.get_many(keys)).await?
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.faults.around(self.inner.list(prefix, after, limit)).await?
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.faults.around(self.inner.commit(batch)).await?
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.faults.around(self.inner.claim(now, until, limit)).await?
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.faults.around(self.inner.events(after, limit)).await?
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.inner.head()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        self.faults.around(self.inner.trim(before, keep_at_least, limit)).await?
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.faults.around(self.inner.epoch()).await?
    }
}
