//! A store that can hold back due work: what takes Key Vault seconds takes milliseconds here, and the recordings poll
//! in between.

use crate::around::{Around, store_around};
use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Record, Store, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};

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

store_around!(Held);

#[async_trait]
impl Around for Held {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        if self.held.load(Ordering::SeqCst) { Ok(Vec::new()) } else { self.inner.claim(now, until, limit).await }
    }
}
