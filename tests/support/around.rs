//! A store wrapper for tests: calls that it does not override pass through.

use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use tokio::sync::watch;

/// The methods of [`Store`], each answered by the inner one. `store_around!` makes a store of it.
#[async_trait]
pub(crate) trait Around: Send + Sync + 'static {
    fn inner(&self) -> &dyn Store;

    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.inner().get(key).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner().get_many(keys).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner().list(prefix, after, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.inner().commit(batch).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner().claim(now, until, limit).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.inner().events(after, limit).await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.inner().head()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        self.inner().trim(before, keep_at_least, limit).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.inner().epoch().await
    }
}

/// `Store` for a type that is [`Around`].
macro_rules! store_around {
    ($around:ty) => {
        const _: () = {
            use certmint::domain::Timestamp;
            use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
            use $crate::around::Around;

            #[async_trait::async_trait]
            impl Store for $around {
                async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
                    Around::get(self, key).await
                }
                async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
                    Around::get_many(self, keys).await
                }
                async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
                    Around::list(self, prefix, after, limit).await
                }
                async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
                    Around::commit(self, batch).await
                }
                async fn claim(
                    &self,
                    now: Timestamp,
                    until: Timestamp,
                    limit: usize,
                ) -> Result<Vec<Record>, StoreError> {
                    Around::claim(self, now, until, limit).await
                }
                async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
                    Around::events(self, after, limit).await
                }
                fn head(&self) -> tokio::sync::watch::Receiver<Revision> {
                    Around::head(self)
                }
                async fn trim(&self, before: Timestamp, keep: u64, limit: usize) -> Result<u64, StoreError> {
                    Around::trim(self, before, keep, limit).await
                }
                async fn epoch(&self) -> Result<String, StoreError> {
                    Around::epoch(self).await
                }
            }
        };
    };
}
pub(crate) use store_around;
