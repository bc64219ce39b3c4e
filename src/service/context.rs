//! What every subject of the service works with: the store and its records, keys, time, limits and counts.

use super::jobs::wakeup::Wakeup;
use super::options::ServiceOptions;
use super::records::{self, Codec, Key, List, Paging};
use super::vaults::known::Vaults;
use super::watch::hub::Hub;
use super::writes::{NotCommitted, Writes};
use crate::clock::Clock;
use crate::domain::{
    CertificateEntry, EntryState, Error, Recovery, Result, Timestamp, VaultName, VaultSettings, Version,
};
use crate::keys::Keys;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::{Batch, Delete, MAX_KEYS, Record, Revision, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Work that is due within this time wakes the worker.
const SOON: Duration = Duration::from_secs(1);

/// Shared by all subjects. Cheap to clone.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) store: Arc<dyn Store>,
    pub(super) records: Arc<Codec>,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Arc<ServiceOptions>,
    pub(super) vaults: Arc<Vaults>,
    pub(super) hub: Arc<Hub>,
    pub(super) wakeup: Arc<Wakeup>,
    pub(super) writes: Arc<Writes>,
    pub(super) metrics: Arc<Metrics>,
}

impl Context {
    pub(super) fn limits(&self) -> &Limits {
        &self.options.limits
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The record under a key, and its value; an error where it does not verify.
    pub(super) async fn load<T: records::Stored>(&self, key: &Key<T>) -> Result<Option<(Record, T)>> {
        let Some(record) = self.store.get(key.as_str()).await? else { return Ok(None) };
        let value = self.records.read(&record)?;
        Ok(Some((record, value)))
    }

    /// As [`Context::load`], of each of these keys in their order, in one question to the store for each [`MAX_KEYS`]
    /// of them; nothing where there is no key. A record that does not verify is an error of its own.
    pub(super) async fn load_many<T: records::Stored>(
        &self,
        keys: &[Option<Key<T>>],
    ) -> Result<Vec<Result<Option<T>>>> {
        let given: Vec<_> = keys.iter().flatten().collect();
        let mut found = self.get_many(&given).await?.into_iter();
        let mut next = || found.next().flatten().map(|record| self.records.read(&record)).transpose();
        Ok(keys.iter().map(|key| if key.is_some() { next() } else { Ok(None) }).collect())
    }

    /// The records under these keys in their order, as they are.
    pub(super) async fn get_many<T>(&self, keys: &[&Key<T>]) -> Result<Vec<Option<Record>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            found.extend(self.store.get_many(&keys).await?);
        }
        Ok(found)
    }

    /// Whether there is a record, of which nothing else matters.
    pub(super) async fn has<T>(&self, key: &Key<T>) -> Result<bool> {
        Ok(self.store.get(key.as_str()).await?.is_some())
    }

    /// The tokens of a list; `scope` is what it was asked for beside the size of its pages.
    pub(super) fn paging(&self, list: List, scope: Vec<String>) -> Paging<'_> {
        Paging::new(&self.records, list, scope)
    }

    /// A resume token for everything after now: taken before the read it is answered with, so
    /// that nothing falls between the two.
    pub(super) fn token_before_read(&self) -> String {
        self.hub.token(*self.store.head().borrow())
    }

    /// Commits; `None` where another writer committed first and the caller has to decide again.
    pub(super) async fn try_commit(&self, batch: Batch) -> Result<Option<Revision>> {
        let due = batch.puts.iter().filter_map(|put| put.due).min();
        match self.writes.commit(batch).await {
            Ok(revision) => {
                // What is due later is found by the worker's regular look.
                if let Some(due) = due.filter(|due| *due <= self.now().plus(SOON)) {
                    self.wakeup.hint(due);
                }
                Ok(Some(revision))
            }
            Err(NotCommitted::Store(StoreError::Conflict(key))) => {
                tracing::debug!(key, "another writer committed first");
                Ok(None)
            }
            Err(NotCommitted::Store(error)) => Err(error.into()),
            Err(NotCommitted::Record(error)) => Err(error),
        }
    }

    /// The removal of a record as it is now; nothing where there is none.
    pub(super) async fn removal<T>(&self, key: &Key<T>) -> Result<Option<Delete>> {
        let found = self.store.get(key.as_str()).await?;
        Ok(found.map(|Record { key, revision, .. }| Delete { key, expected: revision }))
    }

    /// Removes a record, unless it was changed since it was read.
    pub(super) async fn remove(&self, record: &Record) -> Result<()> {
        let deletes = vec![Delete { key: record.key.clone(), expected: record.revision }];
        self.try_commit(Batch { deletes, ..Batch::default() }).await.map(|_| ())
    }

    /// What certificates of the vault say of their deletion.
    pub(super) fn recovery(&self, vault: &VaultName) -> Recovery {
        self.settings(vault).recovery()
    }

    pub(super) fn settings(&self, vault: &VaultName) -> VaultSettings {
        // The vault was found when the request came in; none ever goes.
        self.vaults.vault(vault).map_or(VaultSettings::STRICTEST, |vault| vault.settings)
    }

    /// The time for telling an issuer of an order that nobody waits for. Not that of the operation, of which nothing
    /// may be left.
    pub(super) fn cancelling_until(&self, now: Timestamp) -> Timestamp {
        now.plus(self.limits().cancelling_deadline)
    }

    /// What is wrong where the record of the newest version is not there; `None` where it was purged meanwhile.
    pub(super) async fn lost_newest(&self, entry: &CertificateEntry, latest: Version) -> Result<Option<Error>> {
        let (vault, name) = (&entry.vault, &entry.name);
        let now = self.load(&records::key::certificate(vault, name)).await?;
        let is_lost = now.is_some_and(|(_, now)| now.latest == entry.latest && now.state != EntryState::Purging);
        Ok(is_lost.then(|| self.records.missing(records::key::version(vault, name, latest).as_str())))
    }
}
