//! What the embedded store promises of its file: reopening, locks, versions, what it costs.

use super::*;
use certmint::store::StoreError;
use futures_util::future::join_all;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certmint.db");
    (folder, path)
}

/// A program that another test starts holds the lock of this file too, from its fork to its exec: so this waits
/// for a moment.
pub(crate) fn open(path: &Path) -> Sqlite {
    for _ in 0..6000 {
        if let Ok(store) = Sqlite::open(path, SqliteOptions::default()) {
            return store;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Sqlite::open(path, SqliteOptions::default()).unwrap()
}

fn refusal(path: &Path) -> StoreError {
    Sqlite::open(path, SqliteOptions::default()).unwrap_err()
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let (_folder, path) = place();
    let store = open(&path);
    let kept = store
        .commit(Batch { puts: vec![Put { due: Some(at(5)), ..new("a", "1") }], ..events(["x", "y", "z"]) })
        .await
        .unwrap();
    store.trim(at(i64::MAX), 0, 1).await.unwrap();
    let held = store.claim(at(9), at(50), 9).await.unwrap().remove(0);
    let epoch = store.epoch().await.unwrap();
    drop(store);

    let store = open(&path);
    // The lease ended with its process: the record is due as it was before the claim.
    let freed = certmint::store::Record { due: Some(at(5)), ..held.clone() };
    assert_eq!(store.get("a").await.unwrap(), Some(freed));
    let page = store.events(0, 9).await.unwrap();
    assert_eq!(bodies(&page.events), ["y", "z"]);
    assert_eq!((page.trimmed, page.head), (kept - 2, held.revision));
    assert_eq!(*store.head().borrow(), held.revision);
    assert_eq!(store.epoch().await.unwrap(), epoch);
    assert!(create(&store, "b", "").await > held.revision);
    assert_eq!(store.trim(at(i64::MAX), 1, 9).await.unwrap(), 1, "the count of events was kept");
}

#[tokio::test]
async fn leases_end_with_the_process_that_held_them() {
    let (_folder, path) = place();
    let store = open(&path);
    for (key, due) in [("claimed", Some(at(5))), ("claimed twice", Some(at(6))), ("done", Some(at(7))), ("never", None)]
    {
        store.commit(puts([Put { due, ..new(key, "") }])).await.unwrap();
    }
    store.claim(at(6), at(8), 2).await.unwrap();
    let held = store.claim(at(8), at(100_000), 9).await.unwrap();
    assert_eq!(held.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), ["done", "claimed", "claimed twice"]);
    store.commit(puts([Put { due: Some(at(90)), ..change("done", held[0].revision, "") }])).await.unwrap();
    drop(store);

    let store = open(&path);
    let due = store.claim(at(50), at(60), 9).await.unwrap();
    assert_eq!(due.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), ["claimed", "claimed twice"]);
    assert_eq!(store.get("done").await.unwrap().unwrap().due, Some(at(90)));
    assert_eq!(store.get("never").await.unwrap().unwrap().due, None);
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let (_folder, path) = place();
    let store = open(&path);
    let made = create(&store, "a", "1").await;
    drop(store);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "DROP INDEX records_leased; ALTER TABLE records DROP COLUMN leased_from; ALTER TABLE meta DROP COLUMN \
             remnants; PRAGMA user_version = 1;",
        )
        .unwrap();

    let store = open(&path);
    assert_eq!(store.get("a").await.unwrap().unwrap().revision, made);
    store.commit(puts([Put { due: Some(at(5)), ..new("b", "") }])).await.unwrap();
    assert_eq!(store.claim(at(5), at(9), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_revision_does_not_come_back_when_its_record_is_gone() {
    let (_folder, path) = place();
    let store = open(&path);
    let made = create(&store, "a", "").await;
    let last = store.commit(Batch { deletes: vec![delete("a", made)], ..events(["x"]) }).await.unwrap();
    store.trim(at(i64::MAX), 0, 9).await.unwrap();
    drop(store);
    assert!(create(&open(&path), "b", "").await > last);
}

#[tokio::test]
async fn two_databases_have_two_epochs() {
    let (_one, first) = place();
    let (_two, second) = place();
    assert_ne!(open(&first).epoch().await.unwrap(), open(&second).epoch().await.unwrap());
}

#[tokio::test]
async fn a_restored_file_gets_a_new_epoch() {
    let (_folder, path) = place();
    let missing = Sqlite::renew_epoch(&path, SqliteOptions::default()).unwrap_err();
    assert!(matches!(missing, StoreError::Unavailable(_)) && !path.exists(), "{missing}");
    let store = open(&path);
    let before = store.epoch().await.unwrap();
    Sqlite::renew_epoch(&path, SqliteOptions::default()).unwrap_err();
    drop(store);
    let renewed = Sqlite::renew_epoch(&path, SqliteOptions::default()).unwrap();
    assert!(renewed.len() == 32 && renewed != before, "{renewed}");
    assert_eq!(open(&path).epoch().await.unwrap(), renewed);
}

#[tokio::test]
async fn a_clean_close_leaves_one_file_and_its_lock() {
    let (folder, path) = place();
    let store = open(&path);
    create(&store, "a", "").await;
    drop(store);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["certmint.db", "certmint.db.lock"]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = place();
    let store = open(&path);
    create(&store, "a", "").await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let (folder, path) = place();
    let first = open(&path);
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Unavailable(_)));
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("in use"), "{text}");
    #[cfg(unix)]
    {
        let alias = folder.path().join("alias.db");
        std::os::unix::fs::symlink(&path, &alias).unwrap();
        assert!(matches!(refusal(&alias), StoreError::Unavailable(_)), "another name of the same file got in");
    }
    create(&first, "a", "1").await;
    drop(first);
    assert_eq!(body_of(&open(&path), "a").await.as_deref(), Some("1"));
    drop(folder);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = place();
    drop(open(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Broken(_)));
    assert!(error.to_string().contains("newer certmint (schema 99"), "{error}");
    let version: i64 = Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let (_folder, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Broken(_)) && error.to_string().contains("not one of certmint"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_database_is_broken_and_left_alone() {
    let (_folder, path) = place();
    let text = "this is a shopping list, not a database\n".repeat(400);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(refusal(&path), StoreError::Broken(_)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let (folder, _) = place();
    let path = folder.path().join("no such folder").join("certmint.db");
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Unavailable(_)) && error.to_string().contains("no such folder"), "{error}");
}

#[tokio::test]
async fn an_operator_can_query_json_while_the_server_runs() {
    let (_folder, path) = place();
    let store = open(&path);
    create(&store, "c/web", r#"{"issuer": {"name": "Self"}}"#).await;
    store.commit(puts([Put { body: vec![0xff], ..new("c/binary", "") }])).await.unwrap();
    let operator = Connection::open(&path).unwrap();
    let sql = "SELECT key FROM records WHERE typeof(body) = 'text' AND body ->> '$.issuer.name' = 'Self'";
    assert_eq!(operator.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "c/web");
    let sql = "SELECT typeof(body) FROM records WHERE key = 'c/binary'";
    assert_eq!(operator.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "blob");
}

#[tokio::test]
async fn the_file_is_set_up_as_the_decision_says() {
    let (_folder, path) = place();
    let store = open(&path);
    let operator = Connection::open(&path).unwrap();
    let text =
        |pragma: &str| operator.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, String>(0)).unwrap();
    let number =
        |pragma: &str| operator.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!((number("page_size"), number("application_id"), number("user_version")), (8192, 0x434d_4e54, 3));
    assert_eq!(text("integrity_check"), "ok");
    drop(store);
}

#[tokio::test]
async fn a_claim_of_nothing_does_not_touch_the_write_ahead_log() {
    let (_folder, path) = place();
    let store = open(&path);
    store.commit(puts([Put { due: Some(at(100)), ..new("a", "") }])).await.unwrap();
    let wal = path.with_extension("db-wal");
    let state = || {
        let wal = std::fs::metadata(&wal).unwrap();
        (wal.len(), wal.modified().unwrap())
    };
    let before = state();
    std::thread::sleep(Duration::from_millis(20));
    for _ in 0..50 {
        assert_eq!(store.claim(at(99), at(200), 9).await.unwrap(), []);
        assert_eq!(store.trim(at(i64::MAX), 0, 9).await.unwrap(), 0);
        store.commit(puts([new("a", "")])).await.unwrap_err();
    }
    assert_eq!(state(), before);
    assert_eq!(store.claim(at(100), at(200), 9).await.unwrap().len(), 1);
    assert_ne!(state(), before, "the measure itself does not work");
}

#[tokio::test]
async fn many_commits_share_a_transaction() {
    let (_folder, path) = place();
    let store = open(&path);
    let wal = path.with_extension("db-wal");
    let length = || std::fs::metadata(&wal).unwrap().len();
    // Each transaction writes the row of `meta` again: one page with its header at least.
    let before = length();
    let keys: Vec<_> = (0..100).map(|i| format!("k{i}")).collect();
    join_all(keys.iter().map(|key| create(&store, key, "x"))).await;
    let pages = (length() - before) / (8192 + 24);
    assert!(pages < 100, "{pages} pages were written for 100 commits that waited together");
}

#[tokio::test]
async fn trimming_goes_by_the_time_of_the_commit() {
    let (_folder, path) = place();
    let clock = Arc::new(AtomicI64::new(1000));
    let reading = Arc::clone(&clock);
    let now: Option<certmint::store::sqlite::Now> = Some(Arc::new(move || at(reading.load(Ordering::Relaxed))));
    let store = Sqlite::open(&path, SqliteOptions { now, ..SqliteOptions::default() }).unwrap();
    for (time, body) in [(1000, "a"), (2000, "b"), (3000, "c"), (1500, "clock set back"), (4000, "e")] {
        clock.store(time, Ordering::Relaxed);
        store.commit(events([body])).await.unwrap();
    }
    assert_eq!(store.trim(at(1000), 0, 9).await.unwrap(), 0);
    assert_eq!(store.trim(at(2001), 0, 9).await.unwrap(), 2);
    assert_eq!(bodies(&whole_log(&store, 9).await), ["c", "clock set back", "e"], "no hole in the log");
    assert_eq!(store.trim(at(4000), 0, 9).await.unwrap(), 2);
    assert_eq!(bodies(&whole_log(&store, 9).await), ["e"]);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_before_it_is_queued() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path, SqliteOptions { max_body: 10, ..SqliteOptions::default() }).unwrap();
    create(&store, "fits", "0123456789").await;
    for batch in [puts([new("a", "0123456789a")]), events(["0123456789a"])] {
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error, StoreError::Broken(_)) && error.to_string().contains("limit is 10"), "{error}");
    }
}

#[tokio::test]
async fn small_queues_only_slow_down() {
    let (_folder, path) = place();
    let options = SqliteOptions { readers: 0, read_queue: 0, write_queue: 1, group: 0, ..SqliteOptions::default() };
    let store = Sqlite::open(&path, options).unwrap();
    let keys: Vec<_> = (0..50).map(|i| format!("k{i}")).collect();
    join_all(keys.iter().map(|key| create(&store, key, ""))).await;
    assert_eq!(
        join_all(keys.iter().map(|key| store.get(key))).await.into_iter().filter_map(|r| r.unwrap()).count(),
        50
    );
}

#[tokio::test]
async fn a_caller_that_went_away_does_not_stop_the_others() {
    let (_folder, path) = place();
    let store = open(&path);
    let soon = Instant::now() + Duration::from_secs(120);
    for i in 0..30 {
        let _ = tokio::time::timeout(Duration::ZERO, store.commit(events([i.to_string().as_str()]))).await;
    }
    create(&store, "a", "").await;
    drop(store);
    assert!(Instant::now() < soon, "closing waited for somebody");
    assert_eq!(body_of(&open(&path), "a").await.as_deref(), Some(""));
}

#[tokio::test]
async fn a_file_whose_schema_was_changed_is_refused_in_one_sentence_and_left_alone() {
    for (change, says) in [
        ("PRAGMA user_version = 0", "its user_version is 0"),
        ("PRAGMA user_version = -1", "its user_version is -1"),
        ("DELETE FROM meta", "the row of the table meta is missing"),
        ("ALTER TABLE meta DROP COLUMN trimmed", "no such column: trimmed"),
        ("DROP TABLE meta", "no such table: meta"),
    ] {
        let (_folder, path) = place();
        drop(open(&path));
        let operator = Connection::open(&path).unwrap();
        operator.execute_batch(change).unwrap();
        drop(operator);
        let error = loop {
            // A program that another test starts holds the lock for a moment.
            match refusal(&path) {
                StoreError::Unavailable(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                error => break error.to_string(),
            }
        };
        assert!(error.contains(says) && error.contains("restore it from a backup"), "{change}: {error}");
        assert!(!error.contains("SELECT") && !error.contains("CREATE"), "{change}: {error}");
    }
}
