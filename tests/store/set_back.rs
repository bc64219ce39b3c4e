//! A database that is rolled back under a running process: its contents are no longer trusted.

use super::postgres::{open as open_postgres, open_with, shared};
use super::sqlite::{open, place};
use super::*;
use certmint::store::postgres::Postgres;
use certmint::store::{StoreError, StoreOptions};
use rusqlite::Connection;
use std::time::Duration;

/// A bound for hangs: a process may notice only at its next poll.
async fn until_refused(store: &dyn Store) -> StoreError {
    for _ in 0..600 {
        if let Err(error) = store.get("a").await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody noticed that the database was set back");
}

fn assert_says_what_to_do(error: &StoreError) {
    let text = error.to_string();
    assert!(error.is_history_lost() && matches!(error, StoreError::Unavailable(_)), "{text}");
    assert!(text.contains("rolled back") && text.contains("certmint new-epoch"), "{text}");
}

async fn refuses_everything(store: &dyn Store) {
    for error in [
        store.commit(events(["x"])).await.unwrap_err(),
        store.claim(at(9), at(99), 9).await.unwrap_err(),
        store.trim(at(9), 0, 9).await.unwrap_err(),
        store.events(0, 9).await.unwrap_err(),
        store.list("", "", 9).await.unwrap_err(),
        store.get_many(&["a".to_owned()]).await.unwrap_err(),
        store.get("a").await.unwrap_err(),
    ] {
        assert_says_what_to_do(&error);
    }
}

/// The state of a file that an operator saved, brought back into the file that is open.
fn set_file_back(path: &std::path::Path, head: Revision) {
    let operator = Connection::open(path).unwrap();
    operator.busy_timeout(Duration::from_secs(10)).unwrap();
    let head = i64::try_from(head).unwrap();
    let sql = "BEGIN IMMEDIATE; DELETE FROM records WHERE revision > HEAD; DELETE FROM events WHERE revision > HEAD;
               UPDATE meta SET head = HEAD; COMMIT";
    operator.execute_batch(&sql.replace("HEAD", &head.to_string())).unwrap();
}

async fn file_with_a_past() -> (Sqlite, tempfile::TempDir, std::path::PathBuf, Revision) {
    let (folder, path) = place();
    let store = open(&path);
    let saved = store.commit(Batch { puts: vec![new("a", "1")], ..events(["x"]) }).await.unwrap();
    store.commit(Batch { puts: vec![new("b", "2")], ..events(["y", "z"]) }).await.unwrap();
    (store, folder, path, saved)
}

#[tokio::test]
async fn a_writer_of_a_rolled_back_file_writes_nothing_more() {
    let (store, _folder, path, saved) = file_with_a_past().await;
    set_file_back(&path, saved);
    assert_says_what_to_do(&store.commit(events(["w"])).await.unwrap_err());
    refuses_everything(&store).await;
    drop(store);
    let store = open(&path);
    assert_eq!(bodies(&whole_log(&store, 9).await), ["x"]);
}

/// A COMMIT of the open file fails from here on, by a constraint that is checked then.
const FAIL: &str = "CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER fails AFTER INSERT ON records BEGIN INSERT INTO child VALUES (7); END";

#[tokio::test]
async fn a_file_whose_commits_fail_for_a_while_is_not_taken_for_a_rolled_back_one() {
    let (store, _folder, path, _) = file_with_a_past().await;
    let operator = Connection::open(&path).unwrap();
    operator.busy_timeout(Duration::from_secs(10)).unwrap();
    operator.execute_batch(FAIL).unwrap();
    let error = store.commit(Batch { puts: vec![new("c", "3")], ..events(["v", "w"]) }).await.unwrap_err();
    assert!(!error.is_history_lost(), "{error}");
    // A transaction that changes nothing succeeds on a disk that cannot be written to.
    assert!(store.claim(at(9), at(99), 9).await.unwrap().is_empty());
    operator.execute_batch("DROP TRIGGER fails").unwrap();
    store.commit(Batch { puts: vec![new("d", "4")], ..events(["u"]) }).await.unwrap();
    assert_eq!(bodies(&whole_log(&store, 9).await), ["x", "y", "z", "u"]);
}

#[tokio::test]
async fn a_reader_of_a_rolled_back_file_notices_it_in_the_log() {
    let (store, _folder, path, saved) = file_with_a_past().await;
    let mut doorbell = store.head();
    doorbell.mark_unchanged();
    set_file_back(&path, saved);
    assert_says_what_to_do(&store.events(saved, 9).await.unwrap_err());
    assert!(doorbell.has_changed().unwrap(), "whoever follows the log is not woken");
    refuses_everything(&store).await;
}

#[tokio::test]
async fn a_failed_transaction_is_not_taken_for_a_rollback_of_the_database() {
    let (store, _folder, path, _) = file_with_a_past().await;
    let operator = Connection::open(&path).unwrap();
    operator.execute_batch("CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT raise(FAIL, 'no'); END").unwrap();
    store.commit(puts([new("c", "")])).await.unwrap_err();
    operator.execute_batch("DROP TRIGGER no").unwrap();
    store.commit(puts([new("c", "")])).await.unwrap();
    assert_eq!(body_of(&store, "c").await.as_deref(), Some(""));
}

#[tokio::test]
async fn a_database_that_is_restored_in_place_stops_its_replicas_until_it_has_a_new_epoch() {
    let url = shared().fresh().await;
    let (idle, busy) = (open_postgres(&url).await, open_postgres(&url).await);
    busy.commit(Batch { puts: vec![new("a", "1")], ..events(["x"]) }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    server::give_away(folder.path());
    let dump = folder.path().join("dump").display().to_string();
    let database = url.parse::<tokio_postgres::Config>().unwrap().get_dbname().unwrap().to_owned();
    shared().run("pg_dump", &["-Fc", "-f", &dump, &database]);
    let seen = busy.commit(Batch { puts: vec![new("b", "2")], ..events(["y", "z"]) }).await.unwrap();
    let mut head = idle.head();
    head.wait_for(|head| *head >= seen).await.unwrap();
    shared().run("pg_restore", &["--clean", "--if-exists", "--single-transaction", "-d", &database, &dump]);
    // The writer notices it at once, the other one by polling.
    assert_says_what_to_do(&busy.commit(events(["w"])).await.unwrap_err());
    assert_says_what_to_do(&until_refused(&idle).await);
    refuses_everything(&busy).await;
    refuses_everything(&idle).await;
    Postgres::renew_epoch(url.parse().unwrap(), StoreOptions::default()).await.unwrap();
    let again = open_postgres(&url).await;
    assert_eq!(bodies(&whole_log(&again, 9).await), ["x"], "the old replicas wrote nothing after the restore");
    again.commit(events(["later"])).await.unwrap();
}

#[tokio::test]
async fn a_claim_on_a_rolled_back_database_takes_nothing() {
    let url = shared().fresh().await;
    let store = open_postgres(&url).await;
    store.commit(puts([Put { due: Some(at(5)), ..new("a", "1") }])).await.unwrap();
    store.commit(events(["x", "y", "z"])).await.unwrap();
    let operator = server::connect(&url).await;
    operator.batch_execute("DELETE FROM commits WHERE head > 1; DELETE FROM events").await.unwrap();
    assert_says_what_to_do(&store.claim(at(9), at(99), 9).await.unwrap_err());
    let due: i64 = operator.query_one("SELECT due FROM records", &[]).await.unwrap().get(0);
    assert_eq!(due, 5);
}

/// A counter of revisions that somebody changed while nobody had the file open.
#[tokio::test]
async fn a_file_whose_counter_was_changed_is_refused_until_it_has_a_new_epoch() {
    for head in
        ["9223372036854775807", "9223372036854775800", "4611686018427387904", "-5", "-9223372036854775808", "0", "2"]
    {
        let (store, _folder, path, _) = file_with_a_past().await;
        let (before, last) = (store.epoch().await.unwrap(), *store.head().borrow());
        drop(store);
        Connection::open(&path).unwrap().execute_batch(&format!("UPDATE meta SET head = {head}")).unwrap();
        let error = loop {
            // A program that another test starts holds the lock for a moment.
            match Sqlite::open(&path, SqliteOptions::default()).unwrap_err() {
                StoreError::Unavailable(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                error => break error.to_string(),
            }
        };
        assert!(error.contains(&format!("it says {head}, and the log of events ends at {last}")), "{error}");
        assert!(error.contains("certmint new-epoch"), "{error}");
        let epoch = loop {
            match Sqlite::renew_epoch(&path, SqliteOptions::default()) {
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                renewed => break renewed.unwrap(),
            }
        };
        assert_ne!(epoch, before);
        let store = open(&path);
        assert_eq!(*store.head().borrow(), last, "{head}");
        assert_eq!(store.commit(events(["w"])).await.unwrap(), last + 1);
        assert_eq!(bodies(&whole_log(&store, 9).await), ["x", "y", "z", "w"]);
    }
}

#[tokio::test]
async fn revisions_end_before_the_numbers_do() {
    let (store, _folder, path, _) = file_with_a_past().await;
    drop(store);
    let last = i64::MAX / 2 - 2;
    Connection::open(&path).unwrap().execute_batch(&format!("UPDATE meta SET head = {last}")).unwrap();
    let store = open(&path);
    assert_eq!(store.commit(events(["v"])).await.unwrap(), u64::try_from(last).unwrap() + 1);
    for _ in 0..2 {
        let error = store.commit(events(["w"])).await.unwrap_err();
        assert!(matches!(error, StoreError::Broken(_)), "{error}");
    }
    store.commit(Batch { puts: vec![Put { due: Some(at(1)), ..new("c", "") }], ..Batch::default() }).await.unwrap_err();
    assert_eq!(bodies(&whole_log(&store, 9).await), ["x", "y", "z", "v"]);
}

#[tokio::test]
async fn a_database_whose_counter_was_changed_is_refused_until_it_has_a_new_epoch() {
    let now = "gen_random_uuid()";
    for (change, says) in [
        ("DELETE FROM commits".to_owned(), "it is missing"),
        ("DELETE FROM commits WHERE head > 1".to_owned(), "it says"),
        (
            format!("INSERT INTO commits (head, token) VALUES (9223372036854775807, {now})"),
            "it says 9223372036854775807",
        ),
        (format!("DELETE FROM commits; INSERT INTO commits (head, token) VALUES (-7, {now})"), "it says -7"),
    ] {
        let url = shared().fresh().await;
        let store = open_postgres(&url).await;
        let last = store.commit(Batch { puts: vec![new("a", "1")], ..events(["x", "y"]) }).await.unwrap();
        drop(store);
        server::connect(&url).await.batch_execute(&change).await.unwrap();
        let error = open_with(&url, StoreOptions::default()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Broken(_)) && text.contains(says), "{change}: {text}");
        assert!(text.contains(&format!("the log of events ends at {last}")), "{change}: {text}");
        Postgres::renew_epoch(url.parse().unwrap(), StoreOptions::default()).await.unwrap();
        let store = open_postgres(&url).await;
        assert_eq!(store.commit(events(["z"])).await.unwrap(), last + 1, "{change}");
        assert_eq!(bodies(&whole_log(&store, 9).await), ["x", "y", "z"]);
    }
}
