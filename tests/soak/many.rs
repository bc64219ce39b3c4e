//! A start over very many operations in progress: ready in seconds, in bounded memory, and all of them end.

use crate::backlog;
use crate::cluster::{CONFIG, Cluster};
use crate::dice::size;
use crate::harness::turn;
use crate::ledger::Ledger;
use crate::load::request;
use crate::oracle;
use crate::postgres::{Postgres, connect};
use crate::replicas::ends_completed;
use crate::watcher::{Watcher, present};
use certmint::clock::{Clock, SystemClock};
use std::time::{Duration, Instant};

/// MB; a fraction of what all of them take in the store.
const MEMORY: u64 = 200;
/// Where so many are made that it says something, on a machine that has nothing else to do: with the other tests it is a
/// bound for hangs.
fn ready_within() -> Duration {
    Duration::from_secs(size(120, 10) as u64)
}

/// Less than 200 steps/s would be no work.
const ENDED: Duration = Duration::from_secs(500);

fn many() -> usize {
    size(1_500, 100_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_operations_in_progress_in_sqlite_do_not_delay_the_start_and_end() {
    let _turn = turn().await;
    starts(Cluster::start(1, None, CONFIG, |_| Vec::new()).await, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_operations_in_progress_in_postgres_do_not_delay_the_start_and_end() {
    let _turn = turn().await;
    let postgres = Postgres::start();
    starts(Cluster::on_postgres(1, postgres.fresh().await).await, "PostgreSQL").await;
}

async fn starts(mut cluster: Cluster, store: &str) {
    let beginning = present(&mut cluster.caller("beginning", 0)).await;
    assert!(cluster.replicas[0].server.terminate().await.success());
    let (count, begun) = (many(), Instant::now());
    let (data, url) = (cluster.data(), cluster.url.clone());
    backlog::make(&data, url.as_deref(), count).await;
    let made = begun.elapsed();

    let begun = Instant::now();
    cluster.replicas[0].server.start();
    cluster.ready(0).await;
    let ready = begun.elapsed();
    let watcher = Watcher::start(&cluster.fleet, 0, beginning.clone());
    let mut caller = cluster.caller("after", 0);
    // The list of what is in progress reads all that is there.
    caller.attempt = Duration::from_secs(30);
    let created = caller.create_certificate(request("after", "", "Self")).await.unwrap().operation.unwrap();
    let answered = begun.elapsed();
    // Soonest due first: it has to wait for those that are overdue, but for nothing else.
    ends_completed(&mut caller, "after", &created.request_id, ENDED).await;
    let own = begun.elapsed();
    while due_soon(&cluster).await > 0 {
        assert!(begun.elapsed() < ENDED, "{} are due after {ENDED:?}", due_soon(&cluster).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (ended, memory) = (begun.elapsed(), cluster.replicas[0].server.peak_memory());
    eprintln!(
        "soak: {count} operations in progress in {store}, made in {made:?}: ready after {ready:?}, first creation \
         answered after {answered:?} and completed after {own:?}, all ended after {ended:?}, {memory} MB at most"
    );
    let within = ready_within();
    assert!(ready < within && answered < within, "ready after {ready:?}, answering after {answered:?}");
    assert!(memory < MEMORY, "{memory} MB");

    let database = match &url {
        Some(url) => Some(connect(url).await),
        None => None,
    };
    let report = oracle::check(&mut caller, database.as_ref(), &beginning, &Ledger::default(), vec![watcher]).await;
    let completing = backlog::completing(count);
    assert_eq!((report.operations, report.completed), (count + 1, completing + 1), "{report:?}");
}

/// Operations that a worker should look at within ten minutes; the issuer that holds its orders is asked every hour.
async fn due_soon(cluster: &Cluster) -> i64 {
    let until = SystemClock.now().plus(Duration::from_secs(600)).0;
    let sql = format!("SELECT count(*) FROM records WHERE due < {until} AND key LIKE 'pending/%'");
    match &cluster.url {
        Some(url) => connect(url).await.query_one(&sql, &[]).await.unwrap().get(0),
        None => {
            let database = rusqlite::Connection::open(cluster.data().join("certmint.db")).unwrap();
            database.query_row(&sql, [], |row| row.get(0)).unwrap()
        }
    }
}
