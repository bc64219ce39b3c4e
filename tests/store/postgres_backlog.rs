//! Deleted rows leave index entries behind while an old transaction may still see them. No repeated operation may scan
//! them.

use super::postgres::{open, store_and_operator};
use super::server;
use super::*;
use certmint::store::postgres::Postgres;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const MANY: i64 = 8000;
const STEP: usize = 40;
/// Far from the beginning of time, as every real due time.
const NOW: i64 = 1_700_000_000_000;

/// Entries of an index that were looked at. Sessions tell it when they end, so the store ends here.
async fn entries_read(operator: &Client, index: &str, store: Postgres) -> i64 {
    drop(store);
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name LIKE 'certmint%'";
    while operator.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = $1";
    operator.query_one(read, &[&index]).await.unwrap().get(0)
}

/// A transaction that sees everything as it is now, as a dump does.
async fn dump(url: &str) -> Client {
    let client = server::connect(url).await;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM certmint").await.unwrap();
    client
}

#[tokio::test]
async fn a_claim_beside_a_dump_does_not_walk_over_the_claims_before_it() {
    let (store, operator, url) = store_and_operator().await;
    let fill = "INSERT INTO records SELECT 'k' || number, 0, $1::bigint + number, '' FROM generate_series(1, $2::bigint) number";
    operator.execute(fill, &[&(NOW - MANY - 60_000), &MANY]).await.unwrap();
    let _dump = dump(&url).await;
    let mut claimed = 0;
    loop {
        let some = store.claim(at(NOW), at(NOW + 90_000), STEP).await.unwrap();
        claimed += some.len();
        if some.len() < STEP {
            break;
        }
    }
    assert_eq!(claimed as i64, MANY);
    // From the beginning each time it is a hundred times as many; now and then, on a slow machine, is allowed.
    let read = entries_read(&operator, "records_due", store).await;
    assert!(read < 20 * MANY, "{read} entries read for {MANY} records");
}

#[tokio::test]
async fn work_that_becomes_due_behind_the_scan_is_claimed_soon() {
    let (store, operator, url) = store_and_operator().await;
    let fill =
        "INSERT INTO records SELECT 'k' || number, 0, $1::bigint + number, '' FROM generate_series(1, 100) number";
    operator.execute(fill, &[&(NOW - 60_000)]).await.unwrap();
    assert_eq!(store.claim(at(NOW), at(NOW + 90_000), 50).await.unwrap().len(), 50);
    let other = open(&url).await;
    create(&other, "late", "").await;
    let late = other.get("late").await.unwrap().unwrap();
    let due = Put { due: Some(at(NOW - 3_600_000)), ..change("late", late.revision, "") };
    other.commit(puts([due])).await.unwrap();
    let begun = Instant::now();
    loop {
        let some = store.claim(at(NOW), at(NOW + 90_000), 1).await.unwrap();
        if some.first().is_some_and(|record| record.key == "late") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "it was passed over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn trimming_beside_a_dump_does_not_walk_over_what_was_trimmed() {
    let (store, operator, url) = store_and_operator().await;
    let fill = "INSERT INTO events SELECT number, 0, '' FROM generate_series(1, $1::bigint) number";
    operator.execute(fill, &[&MANY]).await.unwrap();
    operator.execute("INSERT INTO commits VALUES ($1, gen_random_uuid())", &[&MANY]).await.unwrap();
    let _dump = dump(&url).await;
    let mut trimmed = 0;
    loop {
        let some = store.trim(at(NOW), 0, STEP).await.unwrap();
        trimmed += some;
        if some < STEP as u64 {
            break;
        }
    }
    assert_eq!(trimmed as i64, MANY);
    let page = store.events(0, 9).await.unwrap();
    assert_eq!((page.events.len(), page.trimmed as i64), (0, MANY));
    let read = entries_read(&operator, "events_pkey", store).await;
    assert!(read < 8 * MANY, "{read} entries read for {MANY} events");
}

#[tokio::test]
async fn a_commit_reads_its_own_records_alone_also_where_the_table_was_empty_when_it_was_planned() {
    let (store, operator, _) = store_and_operator().await;
    operator.batch_execute("ALTER TABLE records SET (autovacuum_enabled = off)").await.unwrap();
    operator.batch_execute("VACUUM ANALYZE records").await.unwrap();
    let mut revision = create(&store, "changed", "").await;
    let fill = "INSERT INTO records SELECT 'k' || number, 0, NULL, '' FROM generate_series(1, $1::bigint) number";
    operator.execute(fill, &[&MANY]).await.unwrap();
    for number in 0..50 {
        revision = store.commit(puts([change("changed", revision, "")])).await.unwrap();
        let made = create(&store, &format!("new-{number}"), "").await;
        let gone = delete(&format!("new-{number}"), made);
        store.commit(Batch { deletes: vec![gone], ..Batch::default() }).await.unwrap();
    }
    let read = entries_read(&operator, "records_pkey", store).await;
    assert!(read < MANY, "{read} entries read for 150 commits of one record");
}
