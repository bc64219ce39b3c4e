//! The store as one replica sees it: far away, late, failing, and with a doorbell of its own.

use crate::mutant::Mutant;
use crate::world::{Delay, Fate, Fault, World};
use async_trait::async_trait;
use certmint::domain::Timestamp;
use certmint::store::{Batch, EventPage, Record, Revision, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often a replica looks for commits that no poke told it of.
const LOOK: Duration = Duration::from_millis(700);

pub(crate) struct Link {
    world: Arc<World>,
    replica: usize,
    bell: Arc<watch::Sender<Revision>>,
    /// The process died: no call of it comes back.
    dead: CancellationToken,
}

impl Link {
    pub(crate) fn new(world: &Arc<World>, replica: usize, dead: CancellationToken) -> Self {
        let bell = Arc::new(watch::Sender::new(world.server.head()));
        world.server.listen(&bell);
        if world.mutant != Some(Mutant::NeverPolls) {
            tokio::spawn(poll(world.clone(), Arc::downgrade(&bell), dead.clone()));
        }
        Self { world: world.clone(), replica, bell, dead }
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
    async fn tell<T, F>(&self, what: &str, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Fate { there, back, fault } = self.depart().await;
        let replica = self.replica;
        if fault == Fault::Before {
            there.pass().await;
            self.alive().await;
            self.world.note(format!("{replica} {what}: fails"));
            return Err(unavailable());
        }
        let (answer, answered) = oneshot::channel();
        let ghost = fault == Fault::Ghost;
        let late = Delay::Sleep(if ghost { self.world.up_to(Duration::from_secs(3)) } else { Duration::ZERO });
        tokio::spawn({
            let (world, what) = (self.world.clone(), what.to_owned());
            async move {
                there.pass().await;
                if ghost {
                    late.pass().await;
                }
                let result = call.await;
                let told = result.as_ref().map(drop).map_err(ToString::to_string);
                world.note(format!("{replica} {what}: {fault:?} {told:?} head {}", world.server.head()));
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
        self.world.count_call().await;
        self.world.fate(self.world.profile.store)
    }

    async fn alive(&self) {
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
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

async fn poll(world: Arc<World>, bell: std::sync::Weak<watch::Sender<Revision>>, dead: CancellationToken) {
    while !dead.is_cancelled() {
        sleep(LOOK).await;
        let Some(bell) = bell.upgrade() else { return };
        ring(&bell, world.server.head());
    }
}

/// After a commit the other replicas are told, if nothing gets lost.
fn poke(world: &Arc<World>, revision: Revision) {
    for bell in world.server.listeners() {
        if !world.percent(world.profile.pokes) {
            continue;
        }
        let after = world.up_to(Duration::from_millis(30));
        tokio::spawn(async move {
            sleep(after).await;
            ring(&bell, revision);
        });
    }
}

#[async_trait]
impl Store for Link {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.ask(self.world.server.get(key)).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.ask(self.world.server.list(prefix, after, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        let keys: Vec<&str> = batch.puts.iter().map(|put| put.key.as_str()).collect();
        let gone: Vec<&str> = batch.deletes.iter().map(|delete| delete.key.as_str()).collect();
        let what = format!("commit {keys:?} without {gone:?} events {}", batch.events.len());
        let world = self.world.clone();
        let revision = self
            .tell(&what, async move {
                let revision = world.server.commit(batch).await?;
                poke(&world, revision);
                Ok(revision)
            })
            .await?;
        ring(&self.bell, revision);
        Ok(revision)
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        let world = self.world.clone();
        self.tell("claim", async move { world.server.claim(now, until, limit).await }).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.ask(self.world.server.events(after, limit)).await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.bell.subscribe()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        let world = self.world.clone();
        self.tell("trim", async move { world.server.trim(before, keep_at_least, limit).await }).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        self.ask(self.world.server.epoch()).await
    }
}
