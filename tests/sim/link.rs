//! The store as one replica sees it: remote, slow, failing, and with its own head watch.

use crate::harness::{Delay, Fate, Fault, Harness};
use crate::mutant::Mutant;
use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often a replica looks for commits that no poke told it of; rarely during the long time without faults.
const LOOK: Duration = Duration::from_millis(700);

pub(crate) struct Link {
    harness: Arc<Harness>,
    replica: usize,
    bell: Arc<watch::Sender<Revision>>,
    /// The process died: no call of it comes back.
    dead: CancellationToken,
}

impl Link {
    pub(crate) fn new(harness: &Arc<Harness>, replica: usize, dead: CancellationToken) -> Self {
        let bell = Arc::new(watch::Sender::new(harness.server.head()));
        harness.server.listen(&bell);
        if harness.mutant != Some(Mutant::NeverPolls) {
            tokio::spawn(poll(harness.clone(), Arc::downgrade(&bell), dead.clone()));
        }
        Self { harness: harness.clone(), replica, bell, dead }
    }

    /// A call that only reads.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let Fate { there, back, fault } = self.depart().await;
        there.pass().await;
        self.alive().await;
        if fault != Fault::None {
            return Err(unavailable());
        }
        let answer = call.await;
        back.pass().await;
        self.alive().await;
        answer
    }

    /// A call that writes: once it is on its way it is done, whatever becomes of the caller.
    async fn tell<T, F>(&self, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Fate { there, back, fault } = self.depart().await;
        let replica = self.replica;
        if fault == Fault::Before {
            there.pass().await;
            self.alive().await;
            self.harness.note(format!("{replica} fails before"));
            return Err(unavailable());
        }
        let (answer, answered) = oneshot::channel();
        let ghost = fault == Fault::Ghost;
        let late = Delay::Sleep(if ghost { self.harness.up_to(Duration::from_secs(3)) } else { Duration::ZERO });
        tokio::spawn({
            let harness = self.harness.clone();
            async move {
                there.pass().await;
                if ghost {
                    late.pass().await;
                }
                let result = call.await;
                if fault != Fault::None {
                    harness.note(format!("{replica} fails though done: {fault:?} {}", result.is_ok()));
                }
                // The caller may be gone.
                let _ = answer.send(result);
            }
        });
        if ghost {
            return Err(unavailable());
        }
        let answer = answered.await.map_err(|_| unavailable())?;
        back.pass().await;
        self.alive().await;
        if fault == Fault::After { Err(unavailable()) } else { answer }
    }

    async fn depart(&self) -> Fate {
        self.alive().await;
        self.harness.count_call().await;
        self.harness.fate(self.harness.profile.store)
    }

    async fn alive(&self) {
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

fn told(result: &Result<Revision, StoreError>) -> String {
    match result {
        Ok(revision) => revision.to_string(),
        Err(error) => error.to_string(),
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("the connection broke".into())
}

fn ring(bell: &watch::Sender<Revision>, head: Revision) {
    bell.send_if_modified(|seen| {
        let newer = head > *seen;
        *seen = head.max(*seen);
        newer
    });
}

async fn poll(harness: Arc<Harness>, bell: std::sync::Weak<watch::Sender<Revision>>, dead: CancellationToken) {
    while !dead.is_cancelled() {
        sleep(if harness.calm() { LOOK * 8 } else { LOOK }).await;
        let Some(bell) = bell.upgrade() else { return };
        ring(&bell, harness.server.head());
    }
}

/// After a commit the other replicas are notified, if nothing gets lost.
fn poke(harness: &Arc<Harness>, revision: Revision) {
    for bell in harness.server.listeners() {
        if !harness.percent(harness.profile.pokes) {
            continue;
        }
        let after = harness.up_to(Duration::from_millis(30));
        tokio::spawn(async move {
            sleep(after).await;
            ring(&bell, revision);
        });
    }
}

#[async_trait]
impl Store for Link {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.ask(self.harness.server.get(key)).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.ask(self.harness.server.get_many(keys)).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.ask(self.harness.server.list(prefix, after, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        let (harness, replica) = (self.harness.clone(), self.replica);
        let commit = async move {
            let puts = batch.puts.iter().map(|put| (put.key.as_str(), put.due));
            let deletes = batch.deletes.iter().map(|delete| (delete.key.as_str(), None));
            let keys: Vec<_> = puts.chain(deletes).map(|(key, due)| format!("{key} {due:?}")).collect();
            let events = batch.events.len();
            let result = harness.server.commit(batch).await;
            harness.note(format!("{replica} commits {keys:?} and {events} events: {}", told(&result)));
            if let Ok(revision) = result {
                poke(&harness, revision);
            }
            result
        };
        let revision = self.tell(commit).await?;
        ring(&self.bell, revision);
        Ok(revision)
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        let (harness, replica) = (self.harness.clone(), self.replica);
        let claim = async move {
            let claimed = harness.server.claim(now, until, limit).await?;
            if !claimed.is_empty() {
                let keys: Vec<_> = claimed.iter().map(|record| record.key.as_str()).collect();
                harness.note(format!("{replica} claims {keys:?} until {until:?}"));
            }
            Ok(claimed)
        };
        self.tell(claim).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.ask(self.harness.server.events(after, limit)).await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.bell.subscribe()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        let harness = self.harness.clone();
        self.tell(async move { harness.server.trim(before, keep_at_least, limit).await }).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.ask(self.harness.server.epoch()).await
    }
}
