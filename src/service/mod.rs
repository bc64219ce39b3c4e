//! The use cases, a file for each family of verbs. A use case reads records, asks the domain, and
//! commits one batch; where somebody else was faster it reads again and decides again.

mod abandoned_orders;
mod absent;
mod ask;
mod authentication;
mod authorities;
mod backup;
mod certificates;
mod challenges;
mod clock_rollback;
mod contacts;
mod create;
mod deleted;
mod hints;
mod import;
mod issuer_bulkhead;
mod issuer_check;
mod issuer_states;
mod issuers;
mod key_view;
mod list;
mod master_keys;
mod material;
mod merge;
mod observe;
mod outage;
mod pending;
mod purge;
mod records;
mod secret_view;
mod step;
#[cfg(test)]
mod stored_formats;
mod update;
mod vaults;
mod wakeup;
pub mod watch;

pub use crate::keys::Caller;
pub use authentication::Authenticated;
pub(crate) use backup::reads_a_backup;
pub use certificates::CertificateView;
pub use create::{CreateRequest, Created};
pub use deleted::DeletedView;
pub use hints::Hinted;
pub use import::ImportRequest;
pub use issuers::IssuerPage;
pub use key_view::{KeyResult, KeyView};
pub use list::{DeletedItem, DeletedPage, Item, ItemPage, ListRequest};
pub use material::{VersionPage, VersionRef};
pub use merge::MergeRequest;
pub use observe::Health;
pub use pending::{ListPending, MAX_PAGE, PendingPage, PendingRef};
#[doc(hidden)]
pub use records::record_body;
pub use records::{Finding, Inspection};
pub use secret_view::SecretView;
pub use step::Due;
pub use update::UpdateRequest;
pub use vaults::{VaultOptions, VaultPage, Vaults};

use crate::clock::Clock;
use crate::domain::{Error, Reason, Result, Timestamp};
use crate::issuer::Issuers;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::store::{Batch, MAX_KEYS, Record, Revision, Store, StoreError};
use records::{Codec, Key, List, Paging};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a use case decides again after another writer was faster.
const CONFLICT_ATTEMPTS: usize = 16;

/// Work that is due within this time rings the worker.
const SOON: Duration = Duration::from_secs(1);

/// Times and counts of the use cases.
#[derive(Clone, Debug)]
pub struct Limits {
    /// An issuer that has not decided after this long has failed.
    pub issuing_deadline: Duration,
    /// How long an issuer is asked to cancel an order that nobody waits for any more.
    pub cancelling_deadline: Duration,
    /// How long one claim of due work lasts; the step is cut before it runs out.
    pub lease: Duration,
    /// Calls of one issuer that may take longer than a second before its further operations wait.
    pub slow_calls_per_issuer: usize,
    /// How long a `request_id` is remembered after its creation.
    pub request_memory: Duration,
    /// How long a repeated REST request is recognised by its `x-ms-client-request-id`.
    pub repeat_memory: Duration,
    /// Largest backup of one certificate, in bytes.
    pub backup_bytes: usize,
    /// Records of versions before authentication codes are accepted, until the store is marked.
    pub accept_unauthenticated: bool,
    pub vaults: VaultOptions,
    pub watch: watch::WatchLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            issuing_deadline: Duration::from_secs(30 * 24 * 3600),
            cancelling_deadline: Duration::from_secs(30 * 24 * 3600),
            lease: Duration::from_secs(90),
            slow_calls_per_issuer: 16,
            request_memory: Duration::from_secs(24 * 3600),
            repeat_memory: Duration::from_secs(15 * 60),
            // In base64 it still fits into a gRPC message that clients take without further ado (4 MiB).
            backup_bytes: 3 << 20,
            accept_unauthenticated: true,
            vaults: VaultOptions::default(),
            watch: watch::WatchLimits::default(),
        }
    }
}

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: Arc<dyn Store>,
    records: Arc<Codec>,
    issuers: Issuers,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    vaults: Arc<Vaults>,
    hub: Arc<watch::Hub>,
    wakeup: Arc<wakeup::Wakeup>,
    bulkhead: Arc<issuer_bulkhead::IssuerBulkhead>,
    latest: Arc<clock_rollback::LatestTime>,
    writes: Arc<observe::Writes>,
    metrics: Arc<Metrics>,
}

impl Service {
    /// Reads what the store has to say about its log. Fails where the store is not available.
    pub async fn new(
        store: Arc<dyn Store>,
        issuers: Issuers,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self> {
        let hub = watch::Hub::new(&*store, &limits.watch).await?;
        let records = Arc::new(Codec::new(keys.sealer().clone()));
        records::open(&*store, &records, limits.accept_unauthenticated, clock.now()).await?;
        let vaults = Arc::new(Vaults::new(limits.vaults.clone(), store.clone(), records.clone()));
        vaults.refresh().await?;
        Ok(Self {
            store,
            records,
            issuers,
            keys,
            clock,
            limits: Arc::new(limits),
            vaults,
            hub: Arc::new(hub),
            wakeup: Arc::default(),
            bulkhead: Arc::default(),
            latest: Arc::default(),
            writes: Arc::default(),
            metrics: Arc::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The record under a key, and its value; an error where it does not verify.
    async fn load<T: records::Stored>(&self, key: &Key<T>) -> Result<Option<(Record, T)>> {
        let Some(record) = self.store.get(key.as_str()).await? else { return Ok(None) };
        let value = self.records.read(&record)?;
        Ok(Some((record, value)))
    }

    /// As [`Service::load`], of each of these keys in their order, in one question to the store for each [`MAX_KEYS`] of
    /// them; nothing where there is no key. A record that does not verify is an error of its own.
    async fn load_many<T: records::Stored>(&self, keys: &[Option<Key<T>>]) -> Result<Vec<Result<Option<T>>>> {
        let given: Vec<_> = keys.iter().flatten().collect();
        let mut found = self.get_many(&given).await?.into_iter();
        let mut next = || found.next().flatten().map(|record| self.records.read(&record)).transpose();
        Ok(keys.iter().map(|key| if key.is_some() { next() } else { Ok(None) }).collect())
    }

    /// The records under these keys in their order, as they are.
    async fn get_many<T>(&self, keys: &[&Key<T>]) -> Result<Vec<Option<Record>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            found.extend(self.store.get_many(&keys).await?);
        }
        Ok(found)
    }

    /// Whether there is a record, of which nothing else matters.
    async fn has<T>(&self, key: &Key<T>) -> Result<bool> {
        Ok(self.store.get(key.as_str()).await?.is_some())
    }

    /// The tokens of a list; `scope` is what it was asked for beside the size of its pages.
    fn paging(&self, list: List, scope: Vec<String>) -> Paging<'_> {
        Paging::new(&self.records, list, scope)
    }

    /// A resume token for everything after now: taken before the read it is answered with, so
    /// that nothing falls between the two.
    fn token_before_read(&self) -> String {
        self.hub.token(*self.store.head().borrow())
    }

    /// Commits; `None` where another writer was faster and the caller has to decide again.
    async fn try_commit(&self, batch: Batch) -> Result<Option<Revision>> {
        let due = batch.puts.iter().filter_map(|put| put.due).min();
        let committed = self.store.commit(batch).await;
        self.writes.note(&committed);
        match committed {
            Ok(revision) => {
                // What is due later is found by the worker's regular look.
                if let Some(due) = due.filter(|due| *due <= self.now().plus(SOON)) {
                    self.wakeup.hint(due);
                }
                Ok(Some(revision))
            }
            Err(StoreError::Conflict(key)) => {
                tracing::debug!(key, "another writer was faster");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn contended() -> Error {
    Error::new(Reason::StoreUnavailable, "Too many callers change this object at the same time. Repeat the request.")
        .retry_after(Duration::from_secs(1))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => contended(),
            StoreError::Unavailable(cause) => {
                static OUTAGE: outage::LogThrottle = outage::LogThrottle::new();
                if let Some(suppressed) = OUTAGE.admit(&cause.to_string(), Instant::now()) {
                    tracing::error!(cause, suppressed, "the store is not available");
                }
                Self::new(Reason::StoreUnavailable, "The store is not available at the moment. Repeat the request.")
                    .retry_after(Duration::from_secs(2))
            }
            StoreError::Broken(cause) => {
                static FAILURE: outage::LogThrottle = outage::LogThrottle::new();
                if let Some(suppressed) = FAILURE.admit(&cause.to_string(), Instant::now()) {
                    tracing::error!(cause, suppressed, "the store failed");
                }
                Self::internal()
            }
        }
    }
}
