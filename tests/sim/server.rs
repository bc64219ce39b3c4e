//! The shared database, and a record of all commits for the oracle, whatever the log still contains.

use crate::harness::time_of;
use crate::mutant::Mutant;
use certmint::domain::Timestamp;
use certmint::domain::pending::Transition;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::Instant;

/// The real engine on this thread. Every call is done in one go: what takes time is the way there
/// and back (`link.rs`).
pub(crate) struct Server {
    inner: Sqlite,
    told: Mutex<Vec<Told>>,
    mutant: Option<Mutant>,
    /// Of a mutant: revisions that readers do not see until then.
    hidden: Mutex<Vec<(Revision, Instant)>>,
    pokes: Mutex<Vec<std::sync::Weak<watch::Sender<Revision>>>>,
}

/// A transition as it was committed.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: Revision,
    pub(crate) transition: Transition,
}

/// The form of stored bodies.
#[derive(Deserialize)]
struct Body<T> {
    value: T,
}

pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice::<Body<T>>(body).unwrap().value
}

impl Server {
    pub(crate) fn new(mutant: Option<Mutant>, start: Instant) -> Self {
        let now = Arc::new(move || time_of(start));
        let inner = Sqlite::open_inline(SqliteOptions { now: Some(now), ..SqliteOptions::default() }).unwrap();
        Self { inner, told: Mutex::default(), mutant, hidden: Mutex::default(), pokes: Mutex::default() }
    }

    /// How many transitions were committed so far.
    pub(crate) fn told(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    pub(crate) fn history(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn head(&self) -> Revision {
        *self.inner.head().borrow()
    }

    pub(crate) async fn all(&self, prefix: &str) -> Vec<Record> {
        unconstrained(self.inner.list(prefix, "", 10_000)).await.unwrap()
    }

    pub(crate) async fn trimmed(&self) -> Revision {
        unconstrained(self.inner.events(0, 0)).await.unwrap().trimmed
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        unconstrained(self.inner.get(key)).await
    }

    pub(crate) async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        unconstrained(self.inner.get_many(keys)).await
    }

    pub(crate) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        unconstrained(self.inner.list(prefix, after, limit)).await
    }

    pub(crate) async fn commit(&self, mut batch: Batch) -> Result<Revision, StoreError> {
        match self.mutant {
            Some(Mutant::ForgetsTombstones) => batch.puts.retain(|put| !put.key.starts_with("orders/")),
            Some(Mutant::ForgetsRepeats) => batch.puts.retain(|put| !put.key.starts_with("repeats/")),
            Some(Mutant::IgnoresConflicts) => self.make_it_fit(&mut batch).await,
            Some(Mutant::LosesEvents) if self.head().is_multiple_of(7) => batch.events.truncate(1),
            Some(Mutant::LosesCommits) if self.head().is_multiple_of(11) && !batch.events.is_empty() => {
                return Ok(self.head());
            }
            _ => {}
        }
        let events = batch.events.clone();
        let last = unconstrained(self.inner.commit(batch)).await?;
        let first = last + 1 - events.len() as Revision;
        let told = (first..).zip(&events).map(|(at, body)| Told { at, transition: read(body) });
        self.told.lock().unwrap().extend(told);
        if self.mutant == Some(Mutant::NumbersBeforeCommit) && last.is_multiple_of(3) {
            // As if another transaction with a higher number were visible first.
            let until = Instant::now() + Duration::from_millis(200);
            self.hidden.lock().unwrap().extend((first..=last).map(|at| (at, until)));
        }
        Ok(last)
    }

    pub(crate) async fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        unconstrained(self.inner.claim(now, until, limit)).await
    }

    pub(crate) async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        let mut page = unconstrained(self.inner.events(after, limit)).await?;
        let now = Instant::now();
        let hidden = self.hidden.lock().unwrap();
        page.events.retain(|event| !hidden.iter().any(|(at, until)| *at == event.revision && now < *until));
        Ok(page)
    }

    pub(crate) async fn trim(&self, before: Timestamp, keep: u64, limit: usize) -> Result<u64, StoreError> {
        unconstrained(self.inner.trim(before, keep, limit)).await
    }

    pub(crate) async fn epoch(&self) -> Result<String, StoreError> {
        unconstrained(self.inner.epoch()).await
    }

    /// A replica that gets notifications of the commits of others.
    pub(crate) fn listen(&self, bell: &Arc<watch::Sender<Revision>>) {
        let mut pokes = self.pokes.lock().unwrap();
        pokes.retain(|bell| bell.strong_count() > 0);
        pokes.push(Arc::downgrade(bell));
    }

    pub(crate) fn listeners(&self) -> Vec<Arc<watch::Sender<Revision>>> {
        self.pokes.lock().unwrap().iter().filter_map(std::sync::Weak::upgrade).collect()
    }

    /// Of a mutant: whoever comes late overwrites.
    async fn make_it_fit(&self, batch: &mut Batch) {
        for put in &mut batch.puts {
            put.expected = self.get(&put.key).await.unwrap().map(|record| record.revision);
        }
    }
}
