//! What the embedded store does when the disk is full, the file locked, or a COMMIT fails.

use super::sqlite::{open, place};
use super::*;
use certmint::store::StoreError;
use futures_util::future::{join, join_all};
use rusqlite::Connection;
use std::time::Duration;

#[tokio::test]
async fn a_full_disk_is_unavailable_and_the_store_recovers() {
    let (_folder, path) = place();
    let options = SqliteOptions { max_file: Some(1 << 20), ..SqliteOptions::default() };
    let store = Sqlite::open(&path, options).unwrap();
    let body = "x".repeat(100_000);
    let mut written = Vec::new();
    let error = loop {
        let key = format!("k{}", written.len());
        match store.commit(Batch { puts: vec![new(&key, &body)], ..events(["made"]) }).await {
            Ok(revision) => written.push((key, revision)),
            Err(error) => break error,
        }
        assert!(written.len() < 20, "the limit does not hold");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    // Reads go on, nothing of the refused batch is there, and revisions go on.
    assert_eq!(store.list("", "", 99).await.unwrap().len(), written.len());
    assert_eq!(whole_log(&store, 9).await.len(), written.len());
    let (key, revision) = written.pop().unwrap();
    let freed = store.commit(Batch { deletes: vec![delete(&key, revision)], ..Batch::default() }).await.unwrap();
    assert!(freed > revision);
    create(&store, "after", &body).await;
    drop(store);
    assert_eq!(open(&path).list("", "", 99).await.unwrap().len(), written.len() + 1);
}

#[tokio::test]
async fn every_batch_of_a_lost_transaction_gets_the_error() {
    let (_folder, path) = place();
    let options = SqliteOptions { max_file: Some(1 << 20), ..SqliteOptions::default() };
    let store = Sqlite::open(&path, options).unwrap();
    let body = "x".repeat(60_000);
    let keys: Vec<_> = (0..60).map(|i| format!("k{i}")).collect();
    let answers = join_all(keys.iter().map(|key| store.commit(puts([new(key, &body)])))).await;
    let mut refused = 0;
    for (key, answer) in keys.iter().zip(answers) {
        match answer {
            Ok(revision) => assert_eq!(store.get(key).await.unwrap().unwrap().revision, revision),
            Err(StoreError::Unavailable(_)) => {
                refused += 1;
                assert_eq!(store.get(key).await.unwrap(), None, "{key} was refused and is there");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0, "the limit does not hold");
    create(&store, "small", "").await;
}

#[tokio::test]
async fn a_locked_out_writer_is_unavailable_and_continues_later() {
    let (_folder, path) = place();
    let options = SqliteOptions { busy_timeout: Duration::from_millis(50), ..SqliteOptions::default() };
    let store = Sqlite::open(&path, options).unwrap();
    let operator = Connection::open(&path).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.commit(puts([new("a", "")])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert_eq!(store.get("a").await.unwrap(), None, "readers do not wait for the lock");
    operator.execute_batch("ROLLBACK").unwrap();
    create(&store, "a", "").await;
}

/// Makes every COMMIT fail that writes the record `poison`: a foreign key that is checked late.
const POISON: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poison AFTER INSERT ON records WHEN new.key = 'poison' BEGIN INSERT INTO child VALUES (1); END;
";

#[tokio::test]
async fn a_failed_commit_fails_the_whole_group_and_leaves_nothing() {
    // The writer has to have taken the first batch before the others come, which nobody sees from here: where a busy
    // machine was too slow for that, all of it again with more time.
    for pause in [100, 1000, 10_000] {
        if fails_as_a_group(Duration::from_millis(pause)).await {
            return;
        }
    }
    panic!("a batch that was written alone failed with the group");
}

/// Whether the first batch was written alone.
async fn fails_as_a_group(pause: Duration) -> bool {
    let (_folder, path) = place();
    let store = open(&path);
    let operator = Connection::open(&path).unwrap();
    operator.execute_batch(POISON).unwrap();
    let first = store.commit(events(["before"])).await.unwrap();
    let mut bell = store.head();
    // While the lock is held the writer waits with one batch, and all others become one group.
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let alone = store.commit(puts([new("alone", "")]));
    let group = async {
        tokio::time::sleep(pause).await;
        let batches =
            ["a", "poison", "b", "b"].map(|key| store.commit(Batch { puts: vec![new(key, "")], ..events([key]) }));
        let release = async {
            tokio::time::sleep(pause).await;
            operator.execute_batch("ROLLBACK").unwrap();
        };
        join(join_all(batches), release).await.0
    };
    let (alone, answers) = join(alone, group).await;
    let Ok(alone) = alone else { return false };
    assert!(alone > first);
    for answer in answers {
        // The second "b" too: what it would conflict with is not there.
        assert!(matches!(answer, Err(StoreError::Broken(_))), "{answer:?}");
    }
    assert_eq!(*bell.borrow_and_update(), alone);
    for key in ["a", "poison", "b"] {
        assert_eq!(store.get(key).await.unwrap(), None);
    }
    assert_eq!(bodies(&whole_log(&store, 9).await), ["before"]);
    let next = create(&store, "a", "").await;
    assert!(next > alone + 3, "revisions of a failed COMMIT were given out again: {alone}, then {next}");
    assert_eq!(store.trim(at(i64::MAX), 1, 9).await.unwrap(), 0, "events that were never written were counted");
    true
}
