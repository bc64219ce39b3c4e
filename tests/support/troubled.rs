//! A store in which reading one certificate is an internal error, and writes fail.

use crate::around::{Around, store_around};
use async_trait::async_trait;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, Record, Revision, Store, StoreError};

pub(crate) struct Troubled(Sqlite);

impl Troubled {
    pub(crate) fn new() -> Self {
        Self(Sqlite::open_in_memory().unwrap())
    }
}

store_around!(Troubled);

#[async_trait]
impl Around for Troubled {
    fn inner(&self) -> &dyn Store {
        &self.0
    }

    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        assert!(!key.contains("/panic"), "a defect, on purpose");
        self.0.get(key).await
    }

    async fn commit(&self, _: Batch) -> Result<Revision, StoreError> {
        Err(StoreError::Unavailable("/secret/path: no space left on device".into()))
    }
}
