//! A cluster with its database under load and watched, and the verdict at the end.

use crate::cluster::Cluster;
use crate::load::{Done, Load};
use crate::oracle;
use crate::postgres::{Postgres, connect};
use crate::watcher::{Watcher, present};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

const CLIENTS: u64 = 10;
const WATCHERS: u64 = 3;

/// As many tests at a time as leave each other the processor.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(3);
    TURNS.acquire().await.unwrap()
}

pub(crate) struct Harness {
    pub(crate) cluster: Cluster,
    pub(crate) postgres: Option<Postgres>,
    /// Where the oracle looks; not where the database was in the beginning if it has moved.
    pub(crate) database: Option<String>,
    beginning: String,
    load: Load,
    watchers: Vec<Watcher>,
    _turn: SemaphorePermit<'static>,
}

impl Harness {
    /// Replicas on a PostgreSQL of their own.
    pub(crate) async fn replicas(count: usize) -> Self {
        Self::skewed(count, |_| Vec::new()).await
    }

    /// The same, with clients that wait for every response: for tests that check the responses.
    pub(crate) async fn patient_replicas(count: usize) -> Self {
        let turn = turn().await;
        let postgres = Postgres::start();
        let url = postgres.fresh().await;
        let mut cluster = Cluster::start(count, Some(url), crate::cluster::CONFIG, |_| Vec::new()).await;
        cluster.connect_patiently();
        Self::on(cluster, Some(postgres), turn).await
    }

    /// Each replica with its environment.
    pub(crate) async fn skewed(count: usize, environment: impl Fn(usize) -> Vec<(String, String)>) -> Self {
        let turn = turn().await;
        let postgres = Postgres::start();
        let url = postgres.fresh().await;
        let cluster = Cluster::start(count, Some(url), crate::cluster::CONFIG, environment).await;
        Self::on(cluster, Some(postgres), turn).await
    }

    pub(crate) async fn on(cluster: Cluster, postgres: Option<Postgres>, turn: SemaphorePermit<'static>) -> Self {
        let beginning = present(&mut cluster.caller("beginning", 0)).await;
        let watchers = (0..WATCHERS).map(|number| Watcher::start(&cluster.fleet, number, beginning.clone())).collect();
        let load = Load::start(&cluster.fleet, CLIENTS);
        Self { database: cluster.url.clone(), cluster, postgres, beginning, load, watchers, _turn: turn }
    }

    /// Some time of undisturbed work.
    pub(crate) async fn work(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Ends the faults and the load, and runs the oracle. Returns what the clients did.
    pub(crate) async fn finish(mut self, what: &str) -> Done {
        self.cluster.heal().await;
        let (ledger, done) = self.load.stop().await;
        let database = match &self.database {
            Some(url) => Some(connect(url).await),
            None => None,
        };
        let mut caller = self.cluster.caller("oracle", 0);
        let report = oracle::check(&mut caller, database.as_ref(), &self.beginning, &ledger, self.watchers).await;
        for replica in &self.cluster.replicas {
            let log = replica.server.log();
            assert!(!log.contains("panicked at"), "a replica panicked:\n{log}");
        }
        eprintln!(
            "soak: {what}: {} operations, {} completed, {} events, {} answers held; {} creates, {} followed, {} repeats",
            report.operations, report.completed, report.events, report.facts, done.creates, done.followed, done.repeats
        );
        // Few, because the machine may have much else to do.
        assert!(report.completed >= 10, "only {} operations were completed: the faults left no room", report.completed);
        done
    }
}
