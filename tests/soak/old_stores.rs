//! Kills of replicas, every second of which finds the store in the form of a version before authentication codes when
//! it starts again: it is taken over while the load goes on, and the next kill may strike in the middle of that.

use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, rounds};
use crate::harness::{Harness, turn};
use crate::postgres::{Postgres, connect};
use std::time::Duration;

/// Other replicas take a store over in steps; with this the mark that it is done comes within the rounds.
const WINDOW: &str = "upgrade_window = \"2s\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_store_of_the_earlier_form_is_taken_over_between_kills_and_nothing_is_lost() {
    let turn = turn().await;
    let cluster = Cluster::start(1, None, CONFIG, |_| Vec::new()).await;
    killed(Harness::on(cluster, None, turn).await, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_store_of_the_earlier_form_is_taken_over_between_kills_and_nothing_is_lost() {
    let turn = turn().await;
    let postgres = Postgres::start();
    let url = postgres.fresh().await;
    let cluster = Cluster::start(2, Some(url), &format!("{CONFIG}{WINDOW}"), |_| Vec::new()).await;
    killed(Harness::on(cluster, Some(postgres), turn).await, "PostgreSQL").await;
}

async fn killed(mut harness: Harness, store: &str) {
    let mut dice = Dice::of("old stores", 0);
    let (mut kills, mut stripped) = (0, 0);
    for round in 0..rounds(6) {
        harness.work(50 + dice.below(600)).await;
        kills += kill(&mut harness.cluster);
        if round % 2 == 0 {
            stripped += strip(&harness.cluster).await;
        }
        start(&mut harness.cluster);
        // In the middle of the takeover, or before it.
        if dice.percent(50) {
            harness.work(dice.below(400)).await;
            kills += kill(&mut harness.cluster);
            start(&mut harness.cluster);
        }
        harness.cluster.all_ready().await;
    }
    eprintln!("soak: {store}: {kills} kills, {stripped} records put back into the earlier form");
    assert!(stripped > 0);
    // However slow the machine is, something has to come to its end.
    harness.work(5_000).await;
    harness.finish("kill -9 and stores of the earlier form").await;
}

fn kill(cluster: &mut Cluster) -> usize {
    cluster.replicas.iter_mut().for_each(|replica| replica.server.kill9());
    cluster.replicas.len()
}

fn start(cluster: &mut Cluster) {
    cluster.replicas.iter_mut().for_each(|replica| replica.server.start());
}

/// What a version without codes did not write: the mark of the store, and the log of a CA.
const LATER: &str = "DELETE FROM records WHERE key LIKE 'meta/%' OR key LIKE 'issued%'";

/// Takes the code from every record, and what is [`LATER`] from the store. No server runs.
async fn strip(cluster: &Cluster) -> usize {
    match &cluster.url {
        Some(url) => {
            let database = connect(url).await;
            // What a killed replica had sent may still be committed: no session of one is left when this begins.
            let sessions = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            while database.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            database.execute(LATER, &[]).await.unwrap();
            let sql = r#"UPDATE records SET body = convert_to(regexp_replace(convert_from(body, 'UTF8'),
                '^\{"format":\d+,"mac":"[^"]*","value":', '{"format":1,"value":'), 'UTF8')
                WHERE convert_from(body, 'UTF8') LIKE '%,"mac":"%'"#;
            usize::try_from(database.execute(sql, &[]).await.unwrap()).unwrap()
        }
        None => {
            let database = rusqlite::Connection::open(cluster.data().join("certmint.db")).unwrap();
            database.execute_batch(&format!("BEGIN IMMEDIATE; {LATER}")).unwrap();
            let mut select = database.prepare("SELECT key, CAST(body AS TEXT) FROM records").unwrap();
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let records: Vec<_> = select.query_map([], row).unwrap().map(Result::unwrap).collect();
            let mut count = 0;
            for (key, body) in records {
                let Some((_, rest)) = body.split_once(r#","mac":""#) else { continue };
                let (_, value) = rest.split_once(r#"","value":"#).unwrap();
                let body = format!(r#"{{"format":1,"value":{value}"#).into_bytes();
                database.execute("UPDATE records SET body = ?1 WHERE key = ?2", (body, key)).unwrap();
                count += 1;
            }
            database.execute_batch("COMMIT").unwrap();
            count
        }
    }
}
