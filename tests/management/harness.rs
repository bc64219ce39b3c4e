//! A service without a worker, over a store that counts and can be made to fail, with a clock that is
//! moved by hand.

use crate::around::{Around, store_around};
use crate::permit::{ask, new_certificate, permit};
use async_trait::async_trait;
use certmint::clock::ManualClock;
use certmint::domain::{CertificateName, Timestamp, VaultName};
use certmint::issuer::Issuers;
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{CreateRequest, DeletedView, Service, ServiceOptions, record_body};
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, Put, Record, Revision, Store, StoreError};
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Barrier;

const KEYS: &str = "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

pub(crate) struct Harness {
    /// With the master keys of the service.
    pub(crate) sealer: Sealer,
    pub(crate) service: Service,
    pub(crate) store: Arc<Counting>,
    pub(crate) clock: Arc<ManualClock>,
}

/// Counts what is asked of a store, and refuses commits from a chosen one on.
pub(crate) struct Counting {
    inner: Sqlite,
    /// Records that were read, one by one or in lists.
    pub(crate) read: AtomicUsize,
    /// Records of the largest list.
    pub(crate) largest_list: AtomicUsize,
    /// Questions: of one record, of many, of a list.
    pub(crate) asked: AtomicUsize,
    pub(crate) commits: AtomicUsize,
    /// Writes of the largest batch.
    pub(crate) largest: AtomicUsize,
    /// Commits that still succeed.
    left: AtomicUsize,
    /// Records whose keys begin so cannot be read at the moment.
    out_of_reach: Mutex<Option<&'static str>>,
    /// What takes place once, before the next commit that writes the record of this key.
    interlude: Mutex<Option<(String, BoxFuture<'static, ()>)>>,
    /// What takes place once, before the record of this key is read so many times more.
    before_read: Mutex<Option<(String, usize, BoxFuture<'static, ()>)>>,
    /// What somebody else does to the next batches that write such a record.
    other: Mutex<Option<(Other, &'static str)>>,
    /// Two commits that write this record wait for each other.
    meeting: Mutex<Option<(String, Arc<Barrier>, usize)>>,
    /// A record as it was, which is what is read of it.
    outdated: Mutex<Option<Record>>,
}

/// What another process does to a batch with records whose keys begin so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Other {
    /// Writes the first one of them just before, once.
    Overtakes,
    /// Has written one, each time.
    IsAlwaysFaster,
}

impl Counting {
    /// Forgets the counts.
    pub(crate) fn reset(&self) {
        for counter in [&self.read, &self.largest_list, &self.asked, &self.commits, &self.largest] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    pub(crate) fn fail_after(&self, commits: usize) {
        self.left.store(commits, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.fail_after(usize::MAX);
        *self.out_of_reach.lock().unwrap() = None;
        *self.other.lock().unwrap() = None;
        *self.outdated.lock().unwrap() = None;
    }

    /// The next two commits that write this record have both been decided before the first takes place.
    pub(crate) fn let_two_meet(&self, key: &str) {
        *self.meeting.lock().unwrap() = Some((key.to_owned(), Arc::new(Barrier::new(2)), 2));
    }

    async fn meet(&self, batch: &Batch) {
        let barrier = {
            let mut meeting = self.meeting.lock().unwrap();
            let Some((key, barrier, left)) = meeting.as_mut() else { return };
            if !batch.puts.iter().any(|put| put.key == *key) {
                return;
            }
            *left -= 1;
            let (barrier, is_last) = (barrier.clone(), *left == 0);
            if is_last {
                *meeting = None;
            }
            barrier
        };
        let met = tokio::time::timeout(Duration::from_secs(120), barrier.wait()).await;
        assert!(met.is_ok(), "no second one comes");
    }

    pub(crate) fn there_is(&self, other: Other, prefix: &'static str) {
        *self.other.lock().unwrap() = Some((other, prefix));
    }

    /// A reader who asks for this record had asked before it was changed, until the store is healed.
    pub(crate) fn read_outdated(&self, record: Record) {
        *self.outdated.lock().unwrap() = Some(record);
    }

    pub(crate) fn put_out_of_reach(&self, prefix: &'static str) {
        *self.out_of_reach.lock().unwrap() = Some(prefix);
    }

    /// Lets something take place between the decision of the next commit that writes the record of this key, and that
    /// commit.
    pub(crate) fn before_commit_of(&self, key: &str, takes_place: impl Future<Output = ()> + Send + 'static) {
        *self.interlude.lock().unwrap() = Some((key.to_owned(), Box::pin(takes_place)));
    }

    /// Lets something take place after the record of this key was read `times` times, before it is read again.
    pub(crate) fn after_reads_of(
        &self,
        key: &str,
        times: usize,
        takes_place: impl Future<Output = ()> + Send + 'static,
    ) {
        *self.before_read.lock().unwrap() = Some((key.to_owned(), times, Box::pin(takes_place)));
    }

    fn read_interlude(&self, key: &str) -> Option<BoxFuture<'static, ()>> {
        let mut next = self.before_read.lock().unwrap();
        let (_, left, _) = next.as_mut().filter(|(of, _, _)| of == key)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        next.take().map(|(_, _, takes_place)| takes_place)
    }

    /// Whether it took place.
    pub(crate) fn took_place(&self) -> bool {
        self.interlude.lock().unwrap().is_none() && self.before_read.lock().unwrap().is_none()
    }

    fn interlude(&self, batch: &Batch) -> Option<BoxFuture<'static, ()>> {
        let mut next = self.interlude.lock().unwrap();
        let found = next.take_if(|(key, _)| batch.puts.iter().any(|put| put.key == *key));
        found.map(|(_, takes_place)| takes_place)
    }

    /// The keys of all records, but for those that only remember requests.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let all = self.inner.list("", "", usize::MAX).await.unwrap();
        all.into_iter()
            .map(|record| record.key)
            .filter(|key| !key.starts_with("requests/") && !key.starts_with("meta/"))
            .collect()
    }

    pub(crate) async fn body(&self, key: &str) -> Option<serde_json::Value> {
        let found = self.inner.get(key).await.unwrap();
        found.map(|record| serde_json::from_slice(&record.body).unwrap())
    }
}

store_around!(Counting);

#[async_trait]
impl Around for Counting {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        if let Some(takes_place) = self.read_interlude(key) {
            takes_place.await;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.out_of_reach.lock().unwrap().is_some_and(|prefix| key.starts_with(prefix)) {
            return Err(StoreError::Unavailable("no answer".into()));
        }
        let outdated = self.outdated.lock().unwrap().clone().filter(|outdated| outdated.key == key);
        if outdated.is_some() {
            return Ok(outdated);
        }
        let found = self.inner.get(key).await?;
        self.read.fetch_add(usize::from(found.is_some()), Ordering::SeqCst);
        Ok(found)
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.inner.get_many(keys).await?;
        self.read.fetch_add(found.iter().flatten().count(), Ordering::SeqCst);
        Ok(found)
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.out_of_reach.lock().unwrap().is_some_and(|gone| prefix.starts_with(gone)) {
            return Err(StoreError::Unavailable("no answer".into()));
        }
        let found = self.inner.list(prefix, after, limit).await?;
        self.read.fetch_add(found.len(), Ordering::SeqCst);
        self.largest_list.fetch_max(found.len(), Ordering::SeqCst);
        Ok(found)
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        if let Some(takes_place) = self.interlude(&batch) {
            takes_place.await;
        }
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        self.meet(&batch).await;
        let other = *self.other.lock().unwrap();
        if let Some((other, prefix)) = other
            && let Some(put) = batch.puts.iter().find(|put| put.key.starts_with(prefix))
        {
            if other == Other::IsAlwaysFaster {
                return Err(StoreError::Conflict(put.key.clone()));
            }
            *self.other.lock().unwrap() = None;
            self.inner.commit(Batch { puts: vec![put.clone()], ..Batch::default() }).await?;
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.largest.fetch_max(batch.puts.len() + batch.deletes.len(), Ordering::SeqCst);
        self.inner.commit(batch).await
    }
}

impl Harness {
    pub(crate) async fn new(limits: ServiceOptions) -> Self {
        Self::with_issuers(limits, |_, issuers| issuers).await
    }

    /// With further issuers, which may use the keys of the service.
    pub(crate) async fn with_issuers(limits: ServiceOptions, more: impl FnOnce(Arc<Keys>, Issuers) -> Issuers) -> Self {
        let store = Arc::new(Counting {
            inner: Sqlite::open_in_memory().unwrap(),
            read: AtomicUsize::new(0),
            largest_list: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            left: AtomicUsize::new(usize::MAX),
            out_of_reach: Mutex::new(None),
            interlude: Mutex::new(None),
            before_read: Mutex::new(None),
            other: Mutex::new(None),
            meeting: Mutex::new(None),
            outdated: Mutex::new(None),
        });
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let service = service_of(store.clone(), clock.clone(), limits, more).await;
        Self { service, store, clock, sealer: sealer() }
    }

    /// Another process on the same store.
    pub(crate) async fn neighbour(&self, limits: ServiceOptions) -> Service {
        service(self.store.clone(), self.clock.clone(), limits).await
    }

    /// Does all that is due now.
    pub(crate) async fn work(&self) {
        loop {
            let due = self.service.jobs().claim(64).await.unwrap();
            if due.is_empty() {
                return;
            }
            for due in due {
                self.service.jobs().step(due).await.unwrap();
            }
        }
    }

    /// A record like `body`, of another name, which the value says at `path`.
    pub(crate) fn copy(&self, kind: &str, body: &serde_json::Value, path: &[&str], name: &str) -> Put {
        let mut value = body["value"].clone();
        let place = path.iter().fold(&mut value, |value, member| &mut value[*member]);
        *place = name.into();
        let key = format!("{kind}/default/{name}");
        Put { expected: None, body: record_body(&self.sealer, &key, &value), due: None, key }
    }

    pub(crate) async fn later(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 86_400));
        self.work().await;
    }

    /// A completed version of a certificate that signs itself.
    pub(crate) async fn issue(&self, name: &str) {
        ask!(self.service, creations.create(create(name, "Self"))).unwrap();
        self.work().await;
    }

    /// Deletes a certificate of the default vault.
    pub(crate) async fn delete(&self, name: &str) -> DeletedView {
        let wanted = permit(&self.service, (vault(), named(name))).await;
        self.service.deletions().delete_certificate(wanted).await.unwrap()
    }

    pub(crate) async fn issue_many(&self, name: &str, versions: usize) {
        for _ in 0..versions {
            self.issue(name).await;
        }
    }
}

fn sealer() -> Sealer {
    Sealer::new(MasterKeys::from_text(KEYS).unwrap())
}

async fn service(store: Arc<dyn Store>, clock: Arc<ManualClock>, limits: ServiceOptions) -> Service {
    service_of(store, clock, limits, |_, issuers| issuers).await
}

/// A service with further issuers.
pub(crate) async fn service_with(
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    limits: ServiceOptions,
    more: impl FnOnce(Issuers) -> Issuers,
) -> Service {
    service_of(store, clock, limits, |_, issuers| more(issuers)).await
}

async fn service_of(
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    limits: ServiceOptions,
    more: impl FnOnce(Arc<Keys>, Issuers) -> Issuers,
) -> Service {
    let sealer = Arc::new(sealer());
    let options = KeyOptions { workers: 1, ..KeyOptions::on_demand() };
    let keys = Arc::new(Keys::new(sealer, &options, &Limits { key_queue: 32, ..Limits::default() }).unwrap());
    let (local_ca, signs) = (Arc::new(LocalCa::new(keys.clone())), Arc::new(SelfSigned::new(keys.clone())));
    let issuers = Issuers::new(signs.clone()).with_provider(local_ca).with_provider(Arc::new(TestIssuer::new(signs)));
    Service::new(store, more(keys.clone(), issuers), keys, clock, limits).await.unwrap()
}

pub(crate) fn create(name: &str, issuer: &str) -> CreateRequest {
    new_certificate(vault(), name, issuer)
}

pub(crate) fn vault() -> VaultName {
    VaultName::default_vault()
}

pub(crate) fn named(name: &str) -> CertificateName {
    CertificateName::parse(name).unwrap()
}
