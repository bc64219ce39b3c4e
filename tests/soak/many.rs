//! A start with very many pending operations.

use crate::cluster::{CONFIG, Cluster};
use crate::dice::size;
use crate::load::request;
use crate::postgres::{Postgres, connect};
use crate::replicas::ends_completed;
use crate::world::turn;
use std::time::{Duration, Instant};

/// MB; a tenth of what all of them take as JSON.
const MEMORY: u64 = 200;
const READY: Duration = Duration::from_secs(10);

/// How much is copied.
fn many() -> usize {
    size(3_000, 100_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_pending_operations_in_sqlite_do_not_delay_the_start() {
    let _turn = turn().await;
    let mut cluster = Cluster::start(1, None, CONFIG, |_| Vec::new()).await;
    one(&cluster).await;
    cluster.replicas[0].server.kill9();
    let mut database = rusqlite::Connection::open(cluster.data().join("certmint.db")).unwrap();
    let copy = database.transaction().unwrap();
    let (key, body): (String, String) = copy
        .query_row("SELECT key, body FROM records WHERE key LIKE 'pending/%/copied'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    for number in 0..many() {
        let name = format!("copied-{number}");
        copy.execute(
            "INSERT INTO records (key, revision, due, body) SELECT ?1, revision, 0, ?2 FROM records WHERE key = ?3",
            (format!("{key}-{number}"), body.replace("\"copied\"", &format!("\"{name}\"")), &key),
        )
        .unwrap();
    }
    copy.commit().unwrap();
    drop(database);
    starts(&mut cluster, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_pending_operations_in_postgres_do_not_delay_the_start() {
    let _turn = turn().await;
    let postgres = Postgres::start();
    let mut cluster = Cluster::on_postgres(1, postgres.fresh().await).await;
    one(&cluster).await;
    cluster.replicas[0].server.kill9();
    let database = connect(cluster.url.as_ref().unwrap()).await;
    let copy = format!(
        r#"INSERT INTO records (key, revision, due, body)
           SELECT key || '-' || number, revision, 0,
                  convert_to(replace(convert_from(body, 'UTF8'), '"copied"', '"copied-' || number || '"'), 'UTF8')
           FROM records, generate_series(0, {}) AS number WHERE key LIKE 'pending/%/copied'"#,
        many() - 1
    );
    assert_eq!(database.execute(&copy, &[]).await.unwrap(), many() as u64);
    starts(&mut cluster, "PostgreSQL").await;
}

/// One operation that stays in progress, to be copied.
async fn one(cluster: &Cluster) {
    let mut caller = cluster.caller("copied", 0);
    caller.create_certificate(request("copied", "", "holds")).await.unwrap();
}

async fn starts(cluster: &mut Cluster, store: &str) {
    let begun = Instant::now();
    cluster.replicas[0].server.start();
    cluster.ready(0).await;
    let ready = begun.elapsed();
    let mut caller = cluster.caller("after", 0);
    let created = caller.create_certificate(request("after", "", "Self")).await.unwrap().operation.unwrap();
    let answered = begun.elapsed();
    // Soonest due first: it has to wait for those that are overdue, but for nothing else.
    ends_completed(&mut caller, "after", &created.request_id, Duration::from_secs(600)).await;
    let (ended, memory) = (begun.elapsed(), cluster.replicas[0].server.peak_memory());
    eprintln!(
        "soak: {} due operations in {store}: ready after {ready:?}, first creation answered after {answered:?}, \
         all steps done after {ended:?}, {memory} MB at most",
        many()
    );
    assert!(ready < READY && answered < READY, "ready after {ready:?}, answering after {answered:?}");
    assert!(memory < MEMORY, "{memory} MB");
}
