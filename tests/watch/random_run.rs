//! The run: writers, watchers and restarts at random, then the verdict.
//!
//! `CERTMINT_ORACLE_SECONDS` sets its length (4 where it is not set), `CERTMINT_SEED` its choices;
//! the seed of a run is printed.

use crate::watch::dice::Dice;
use crate::watch::harness::{Life, set_issuers};
use crate::watch::model::{Connection, End, Log, Seen};
use crate::watch::watcher;
use crate::watch::{oracle, writer};
use certmint::domain::{RequestId, VaultName};
use certmint::keys::{MasterKeys, Sealer, random_id};
use certmint::service::watch::WatchLimits;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const WRITERS: usize = 6;
const WATCHERS: usize = 24;
const MORE: Duration = Duration::from_secs(120);

/// What writers and watchers share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Empty while the server is down.
    pub(crate) life: Arc<RwLock<Option<Life>>>,
    pub(crate) created: Arc<Mutex<Vec<(VaultName, RequestId)>>>,
    /// The streams that have ended, and what was seen on them.
    pub(crate) connections: Arc<Mutex<Vec<Connection>>>,
    pub(crate) over: CancellationToken,
}

/// Everything small, so that a short run meets every path.
fn limits() -> WatchLimits {
    WatchLimits {
        ring: 8,
        page: 5,
        heartbeat: Duration::from_millis(100),
        heartbeat_least: Duration::from_millis(10),
        heartbeat_most: Duration::from_millis(150),
        max_age: Duration::from_millis(900),
        ..WatchLimits::default()
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_watcher_misses_or_sees_twice_whatever_happens_to_the_server() {
    let seed = setting("CERTMINT_SEED").unwrap_or_else(|| u64::from(random_id().as_fields().0));
    let length = Duration::from_secs(setting("CERTMINT_ORACLE_SECONDS").unwrap_or(4));
    println!("CERTMINT_SEED={seed}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certmint.db");
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let life = Life::begin(&file, &sealer, limits()).await;
    set_issuers(&life.service).await;
    let shared = Shared {
        life: Arc::new(RwLock::new(Some(life))),
        created: Arc::default(),
        connections: Arc::default(),
        over: CancellationToken::new(),
    };

    let quiet = CancellationToken::new();
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(shared.clone(), Dice::new(seed ^ (1000 + number as u64)), quiet.clone())))
        .collect();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|number| tokio::spawn(watcher::run(shared.clone(), Dice::new(seed ^ (2000 + number as u64)), number)))
        .collect();

    let mut dice = Dice::new(seed);
    let end = Instant::now() + length;
    let mut restarts = 0;
    // Longer on a machine that is too busy to take every path in this time.
    let proves = || met(&shared.connections.lock().unwrap()).iter().all(|(_, count)| *count > 0);
    while Instant::now() < end || (Instant::now() < end + MORE && !proves()) {
        sleep(Duration::from_millis(200 + dice.below(500) as u64)).await;
        let mut place = shared.life.write().await;
        place.take().unwrap().end(dice.percent(50)).await;
        *place = Some(Life::begin(&file, &sealer, limits()).await);
        restarts += 1;
    }
    quiet.cancel();
    for writer in writers {
        writer.await.unwrap();
    }
    sleep(Duration::from_millis(300)).await; // what was claimed by a dead worker comes to its end
    shared.over.cancel();
    shared.life.write().await.take().unwrap().end(true).await;
    for watcher in watchers {
        watcher.await.unwrap();
    }
    let connections = std::mem::take(&mut *shared.connections.lock().unwrap());

    let life = Life::begin(&file, &sealer, limits()).await;
    let log = Log::read(&*life.store).await;
    life.end(false).await;
    oracle::judge_log(&log, &shared.created.lock().unwrap());
    for connection in &connections {
        oracle::judge(&log, connection);
    }
    tell(&log, &connections, restarts);
}

async fn write(shared: Shared, mut dice: Dice, quiet: CancellationToken) {
    while !quiet.is_cancelled() {
        let place = shared.life.read().await;
        if let Some(life) = place.as_ref()
            && let Some(created) = writer::act(life, &mut dice).await
        {
            shared.created.lock().unwrap().push(created);
        }
        drop(place);
        sleep(Duration::from_millis(dice.below(8) as u64)).await;
    }
}

/// How often each path was taken.
fn met(connections: &[Connection]) -> [(&'static str, usize); 6] {
    let count = |what: fn(&Connection) -> bool| connections.iter().filter(|connection| what(connection)).count();
    [
        ("messages seen", connections.iter().map(|connection| connection.seen.len()).sum()),
        ("streams resumed", count(|connection| connection.resumed.is_some())),
        ("streams with a snapshot", count(|connection| matches!(connection.seen.first(), Some(Seen::Snapshot(_))))),
        ("streams finished", count(|connection| matches!(connection.end, End::Finished))),
        ("streams failed", count(|connection| matches!(connection.end, End::Failed(_)))),
        ("streams left", count(|connection| matches!(connection.end, End::Left))),
    ]
}

/// A run that met nothing proves nothing: each path has to have been taken.
fn tell(log: &Log, connections: &[Connection], restarts: usize) {
    let counts = [("events in the log", log.events.len()), ("restarts", restarts)];
    let counts = [&counts[..], &met(connections)].concat();
    println!("{counts:?}");
    for (what, count) in counts {
        assert!(count > 0, "the run had no {what}");
    }
}
