//! What the PostgreSQL store promises of its database: whose it is, its versions, its views, its log, its address.

use super::server::{self, PASSWORD, Postgres as Server};
use super::*;
use certmint::store::StoreError;
use certmint::store::StoreOptions;
use certmint::store::postgres::{DatabaseUrl, Postgres};
use futures_util::future::join_all;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_postgres::Client;

/// One server for all tests that do it no harm.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

pub(crate) async fn open(url: &str) -> Postgres {
    open_with(url, StoreOptions::default()).await.unwrap()
}

pub(crate) async fn open_with(url: &str, options: StoreOptions) -> Result<Postgres, StoreError> {
    Postgres::open(url.parse().unwrap(), options).await
}

async fn refusal(url: &str) -> StoreError {
    open_with(url, StoreOptions::default()).await.unwrap_err()
}

/// A store with an operator beside it.
pub(crate) async fn store_and_operator() -> (Postgres, Client, String) {
    let url = shared().fresh().await;
    (open(&url).await, server::connect(&url).await, url)
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let (store, _, url) = store_and_operator().await;
    let kept = store
        .commit(Batch { puts: vec![Put { due: Some(at(5)), ..new("a", "1") }], ..events(["x", "y", "z"]) })
        .await
        .unwrap();
    store.trim(at(i64::MAX), 0, 1).await.unwrap();
    let held = store.claim(at(9), at(50), 9).await.unwrap().remove(0);
    let epoch = store.epoch().await.unwrap();
    drop(store);
    let store = open(&url).await;
    assert_eq!(store.get("a").await.unwrap(), Some(held.clone()));
    let page = store.events(0, 9).await.unwrap();
    assert_eq!(bodies(&page.events), ["y", "z"]);
    assert_eq!((page.trimmed, page.head), (kept - 2, held.revision));
    assert_eq!(*store.head().borrow(), held.revision);
    assert_eq!(store.epoch().await.unwrap(), epoch);
    assert!(create(&store, "b", "").await > held.revision);
}

#[tokio::test]
async fn a_revision_does_not_come_back_when_its_record_is_gone() {
    let (store, operator, url) = store_and_operator().await;
    let made = create(&store, "a", "").await;
    let last = store.commit(Batch { deletes: vec![delete("a", made)], ..events(["x"]) }).await.unwrap();
    // As if all of it were long ago.
    operator.execute("UPDATE commits SET at = at - interval '1 day'", &[]).await.unwrap();
    assert_eq!(store.trim(at(i64::MAX), 0, 9).await.unwrap(), 1);
    let rows: i64 = operator.query_one("SELECT count(*) FROM commits", &[]).await.unwrap().get(0);
    assert_eq!(rows, 1, "the row of the head stays, the older ones go");
    drop(store);
    assert!(create(&open(&url).await, "b", "").await > last);
}

#[tokio::test]
async fn two_databases_have_two_epochs_and_a_restored_one_gets_another() {
    let (one, _, url) = store_and_operator().await;
    let (two, _, _) = store_and_operator().await;
    let before = one.epoch().await.unwrap();
    assert_ne!(before, two.epoch().await.unwrap());
    let renewed = Postgres::renew_epoch(url.parse().unwrap(), StoreOptions::default()).await.unwrap();
    assert!(renewed.len() == 32 && renewed != before, "{renewed}");
    // A replica that was left running does not mix the two histories.
    let error = one.commit(events(["x"])).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable(_)) && error.to_string().contains("epoch of the database has changed"),
        "{error}"
    );
    assert!(one.get("a").await.unwrap_err().to_string().contains("epoch of the database has changed"));
    let again = open(&url).await;
    assert_eq!(again.epoch().await.unwrap(), renewed);
    assert_eq!(whole_log(&again, 9).await, []);
}

fn database_of(url: &str) -> String {
    url.parse::<tokio_postgres::Config>().unwrap().get_dbname().unwrap().to_owned()
}

#[tokio::test]
async fn a_dump_comes_back_and_gets_a_new_epoch() {
    let (store, _, url) = store_and_operator().await;
    let kept = create(&store, "a", "1").await;
    store.commit(events(["x"])).await.unwrap();
    let dump = shared().folder().join("dump");
    let dump = dump.to_str().unwrap();
    shared().run("pg_dump", &["--format=custom", "--file", dump, &database_of(&url)]);
    let lost = store.commit(events(["after the backup"])).await.unwrap();
    let empty = shared().fresh().await;
    shared().run("pg_restore", &["--exit-on-error", "--dbname", &database_of(&empty), dump]);
    let before = store.epoch().await.unwrap();
    Postgres::renew_epoch(empty.parse().unwrap(), StoreOptions::default()).await.unwrap();
    let restored = open(&empty).await;
    assert_ne!(restored.epoch().await.unwrap(), before);
    assert_eq!(restored.get("a").await.unwrap().unwrap().revision, kept);
    assert_eq!(bodies(&whole_log(&restored, 9).await), ["x"]);
    // Why it needs one: the same revision means something else now.
    assert_eq!(restored.commit(events(["another history"])).await.unwrap(), lost);
}

#[tokio::test]
async fn no_statement_walks_over_a_table() {
    let (store, operator, url) = store_and_operator().await;
    let walks = async || -> i64 {
        let sql =
            "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname IN ('records', 'events', 'commits')";
        operator.query_one(sql, &[]).await.unwrap().get(0)
    };
    // Sessions tell their counts when they end.
    let settled = async |store: Postgres| {
        drop(store);
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'certmint%'";
        while operator.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        walks().await
    };
    let before = settled(store).await;
    let store = open(&url).await;
    for i in 0..30 {
        let key = format!("k{i:02}");
        let put = Put { due: Some(at(i)), ..new(&key, "") };
        let made = store.commit(Batch { events: vec![b"x".to_vec()], ..puts([put]) }).await.unwrap();
        store.get(&key).await.unwrap();
        store.list("k", &key, 5).await.unwrap();
        store.list("", "", 5).await.unwrap();
        store.events(made / 2, 5).await.unwrap();
        store.claim(at(i - 5), at(1000), 1).await.unwrap();
        store.trim(at(i64::MAX), 5, 2).await.unwrap();
        if i % 3 == 0 {
            let held = store.get(&key).await.unwrap().unwrap().revision;
            let gone = Batch { deletes: vec![delete(&key, held)], ..Batch::default() };
            store.commit(gone).await.unwrap();
        }
    }
    assert_eq!(settled(store).await, before);
    operator.query_one("SELECT count(*) FROM records WHERE body = 'x'", &[]).await.unwrap();
    drop(operator);
    let operator = server::connect(&url).await;
    let sql = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'records'";
    assert!(operator.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0, "the measure itself does not work");
}

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let url = shared().fresh().await;
    let stores = join_all((0..6).map(|_| open(&url))).await;
    let mut epochs: Vec<String> = Vec::new();
    for (number, store) in stores.iter().enumerate() {
        create(store, &format!("k{number}"), "").await;
        epochs.push(store.epoch().await.unwrap());
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1);
    assert_eq!(stores[0].list("k", "", 9).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_database_that_needs_a_newer_program_is_refused_and_left_alone() {
    let (store, operator, url) = store_and_operator().await;
    operator.execute("UPDATE certmint SET version = 99, needs = 98", &[]).await.unwrap();
    let error = refusal(&url).await;
    assert!(matches!(error, StoreError::Broken(_)), "{error}");
    assert!(
        error.to_string().contains("newer certmint (schema 99 needs a program that knows 98, this one knows up to 1)")
    );
    let version: i32 = operator.query_one("SELECT version FROM certmint", &[]).await.unwrap().get(0);
    assert_eq!(version, 99);
    // Replicas of before go on beside a schema that only adds something, and may start again.
    operator.execute("UPDATE certmint SET needs = 1", &[]).await.unwrap();
    create(&store, "old", "").await;
    create(&open(&url).await, "new", "").await;
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let url = shared().fresh().await;
    let operator = server::connect(&url).await;
    operator.batch_execute("CREATE TABLE theirs (a int); CREATE TABLE records (b int)").await.unwrap();
    let error = refusal(&url).await;
    assert!(matches!(error, StoreError::Broken(_)), "{error}");
    assert!(error.to_string().contains("not one of certmint: it holds records, theirs"), "{error}");
    let tables: i64 =
        operator.query_one("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", &[]).await.unwrap().get(0);
    assert_eq!(tables, 2);
}

#[tokio::test]
async fn an_old_schema_is_named_where_migrating_is_switched_off() {
    let url = shared().fresh().await;
    let options = StoreOptions { migrate: false, ..StoreOptions::default() };
    let error = open_with(&url, options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("has schema 0, this certmint needs 1: run `certmint migrate`"), "{error}");
    assert_eq!(Postgres::migrate(url.parse().unwrap(), options.clone()).await.unwrap(), 1);
    create(&open_with(&url, options).await.unwrap(), "a", "").await;
}

#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_is_enough_after_migrating() {
    let (owner, operator, url) = store_and_operator().await;
    let grants = "
        DO $$ BEGIN
            CREATE ROLE worker LOGIN PASSWORD 'w';
        END $$;
        GRANT SELECT, INSERT, UPDATE, DELETE ON records, events, commits, certmint TO worker;";
    operator.batch_execute(grants).await.unwrap();
    let parsed: tokio_postgres::Config = url.parse().unwrap();
    let url = format!(
        "postgres://worker:w@127.0.0.1:{}/{}?sslmode=disable",
        parsed.get_ports()[0],
        parsed.get_dbname().unwrap()
    );
    let store = open(&url).await;
    store.commit(Batch { puts: vec![Put { due: Some(at(1)), ..new("a", "1") }], ..events(["x"]) }).await.unwrap();
    assert_eq!(store.claim(at(2), at(3), 1).await.unwrap().len(), 1);
    assert_eq!(store.trim(at(i64::MAX), 0, 9).await.unwrap(), 1);
    assert_eq!(owner.epoch().await.unwrap(), store.epoch().await.unwrap());
}

#[tokio::test]
async fn a_database_with_another_encoding_is_refused() {
    let admin = shared().admin("postgres").await;
    let sql = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0";
    admin.batch_execute(sql).await.unwrap();
    let error = refusal(&shared().url("latin")).await;
    assert!(error.to_string().contains("has the encoding LATIN1; create it with ENCODING 'UTF8'"), "{error}");
}

#[tokio::test]
#[ignore = "needs the programs of PostgreSQL 14: make test-postgres"]
async fn a_server_before_15_is_refused_and_left_alone() {
    let server = Server::start();
    let url = server.url("postgres");
    let said = refusal(&url).await.to_string();
    assert!(said.contains("14.") && said.contains("15"), "{said}");
    let operator = server::connect(&url).await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(operator.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_without_the_password() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = refusal(&format!("postgres://u:hunter2@127.0.0.1:{port}/c")).await;
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(error.to_string().contains(&format!("postgres://u@127.0.0.1:{port}/c cannot be reached")), "{error}");
    let wrong = shared().url("postgres").replace("c0rrect", "wrong");
    let error = refusal(&wrong).await;
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    let missing = refusal(&shared().url("nowhere")).await;
    assert!(missing.to_string().contains("database \"nowhere\" does not exist"), "{missing}");
    for error in [error, missing] {
        assert!(!format!("{error:?} {error}").contains("horse"));
    }
}

#[tokio::test]
async fn the_password_may_come_from_a_file_that_is_read_again() {
    let url = shared().fresh().await;
    let bare = url.replace(":c0rrect%20horse%2F%40@", "@");
    assert!(!bare.contains("horse"));
    let folder = tempfile::tempdir().unwrap();
    let password_file = Some(folder.path().join("password"));
    let options = StoreOptions { password_file, ..StoreOptions::default() };
    let error = open_with(&bare, options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("with the password of the database cannot be read"), "{error}");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let waiting = StoreOptions { password_file: Some(pipe), ..StoreOptions::default() };
    let error = open_with(&bare, waiting).await.unwrap_err();
    assert!(error.to_string().contains("it is not a regular file"), "{error}");
    std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    let store = open_with(&bare, options).await.unwrap();
    create(&store, "a", "").await;
    assert!(!format!("{store:?}").contains("horse"), "{store:?}");
    let mut named: DatabaseUrl = bare.parse().unwrap();
    named.set_password(PASSWORD);
    Postgres::open(named, StoreOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let url = shared().fresh().await;
    let database = database_of(&url);
    let folder = shared().folder().display().to_string().replace('/', "%2F");
    let store = open(&format!("postgres://{}@{folder}:{}/{database}", server::USER, shared().port())).await;
    assert_eq!(create(&store, "a", "").await, 1);
}

#[tokio::test]
async fn an_operator_can_query_json_while_the_server_runs() {
    let (store, operator, _) = store_and_operator().await;
    create(&store, "c/web", r#"{"issuer": {"name": "Self"}}"#).await;
    store
        .commit(Batch { puts: vec![Put { body: vec![0xff], ..new("c/binary", "") }], ..events([r#"{"n": 7}"#]) })
        .await
        .unwrap();
    let sql = "SELECT key FROM readable_records WHERE body -> 'issuer' ->> 'name' = 'Self'";
    assert_eq!(operator.query_one(sql, &[]).await.unwrap().get::<_, String>(0), "c/web");
    let sql = "SELECT body ->> 'n' FROM readable_events";
    assert_eq!(operator.query_one(sql, &[]).await.unwrap().get::<_, String>(0), "7");
}

#[tokio::test]
async fn a_claim_of_nothing_and_a_refusal_leave_no_row() {
    let (store, operator, _) = store_and_operator().await;
    store.commit(puts([Put { due: Some(at(100)), ..new("a", "") }])).await.unwrap();
    let rows = async || -> i64 { operator.query_one("SELECT count(*) FROM commits", &[]).await.unwrap().get(0) };
    let before = rows().await;
    for _ in 0..5 {
        assert_eq!(store.claim(at(99), at(200), 9).await.unwrap(), []);
        store.commit(puts([new("a", "")])).await.unwrap_err();
    }
    assert_eq!(rows().await, before);
    assert_eq!(store.claim(at(100), at(200), 9).await.unwrap().len(), 1);
    assert_eq!(rows().await, before + 1, "the measure itself does not work");
}

#[tokio::test]
async fn many_commits_share_a_transaction_and_refusals_stay_apart() {
    let (store, operator, _) = store_and_operator().await;
    create(&store, "taken", "").await;
    let batches = (0..200).map(|i| {
        let mut batch = Batch { events: vec![format!("e{i}").into()], ..puts([new(&format!("k{i}"), "x")]) };
        if i % 4 == 0 {
            // Beside a record that is in the way there is one that is not.
            batch.puts.push(new("taken", ""));
        }
        store.commit(batch)
    });
    let answers = join_all(batches).await;
    let refused = answers.iter().filter(|one| matches!(one, Err(StoreError::Conflict(key)) if key == "taken")).count();
    assert_eq!((refused, answers.iter().filter(|one| one.is_ok()).count()), (50, 150));
    assert_eq!(store.list("k", "", 999).await.unwrap().len(), 150);
    assert_eq!(whole_log(&store, 999).await.len(), 150);
    let transactions: i64 = operator.query_one("SELECT count(*) FROM commits", &[]).await.unwrap().get(0);
    assert!(transactions < 100, "{transactions} transactions for 150 commits that waited together");
}

#[tokio::test]
async fn trimming_goes_by_the_time_of_the_commit() {
    let (store, operator, _) = store_and_operator().await;
    for (time, body) in [(1000_i64, "a"), (2000, "b"), (3000, "c"), (1500, "clock set back"), (4000, "e")] {
        let revision = store.commit(events([body])).await.unwrap() as i64;
        operator.execute("UPDATE events SET at = $2 WHERE revision = $1", &[&revision, &time]).await.unwrap();
    }
    assert_eq!(store.trim(at(1000), 0, 9).await.unwrap(), 0);
    assert_eq!(store.trim(at(2001), 0, 9).await.unwrap(), 2);
    assert_eq!(bodies(&whole_log(&store, 9).await), ["c", "clock set back", "e"], "no hole in the log");
    assert_eq!(store.trim(at(4000), 0, 9).await.unwrap(), 2);
    assert_eq!(bodies(&whole_log(&store, 9).await), ["e"]);
}

#[tokio::test]
async fn limits_on_bodies_and_keys_are_reported() {
    let url = shared().fresh().await;
    let store = open_with(&url, StoreOptions { max_body: 10, ..StoreOptions::default() }).await.unwrap();
    create(&store, "fits", "0123456789").await;
    for batch in [puts([new("a", "0123456789a")]), events(["0123456789a"])] {
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error, StoreError::Broken(_)) && error.to_string().contains("limit is 10"), "{error}");
    }
    create(&store, &"k".repeat(2000), "").await;
    let error = store.commit(puts([new(&"é".repeat(1001), "")])).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)) && error.to_string().contains("limit is 2000"), "{error}");
    assert_eq!(store.get(&"k".repeat(5000)).await.unwrap(), None);
}

#[tokio::test]
async fn small_queues_only_slow_down() {
    let url = shared().fresh().await;
    let options =
        StoreOptions { readers: 0, read_queue: 0, write_queue: 0, group: 0, group_bytes: 0, ..StoreOptions::default() };
    let store = open_with(&url, options).await.unwrap();
    let keys: Vec<_> = (0..50).map(|i| format!("k{i}")).collect();
    join_all(keys.iter().map(|key| create(&store, key, ""))).await;
    let found = join_all(keys.iter().map(|key| store.get(key))).await;
    assert_eq!(found.into_iter().filter_map(|record| record.unwrap()).count(), 50);
}

#[tokio::test]
async fn what_is_queued_is_written_when_caller_and_store_are_gone() {
    let (store, _, url) = store_and_operator().await;
    let store = Arc::new(store);
    for i in 0..30 {
        let _ = tokio::time::timeout(Duration::ZERO, store.commit(events([i.to_string().as_str()]))).await;
    }
    drop(store);
    let other = open(&url).await;
    let mut head = other.head();
    while whole_log(&other, 99).await.len() < 30 {
        tokio::time::timeout(Duration::from_secs(120), head.changed()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_sessions_are_set_up_as_the_decision_says() {
    let url = shared().fresh().await;
    let operator = server::connect(&url).await;
    let database = database_of(&url);
    operator
        .batch_execute(&format!(
            "ALTER DATABASE {database} SET synchronous_commit = off;
             ALTER DATABASE {database} SET default_transaction_isolation = serializable;
             CREATE SCHEMA theirs;
             CREATE TABLE theirs.seen (degree text, isolation text, statement text, lock text, idle text);
             CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO theirs.seen VALUES (current_setting('synchronous_commit'), current_setting('transaction_isolation'),
                    current_setting('statement_timeout'), current_setting('lock_timeout'),
                    current_setting('idle_in_transaction_session_timeout'));
                RETURN NEW;
             END $$"
        ))
        .await
        .unwrap();
    let store = open(&url).await;
    operator
        .batch_execute("CREATE TRIGGER watch AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION watch()")
        .await
        .unwrap();
    create(&store, "a", "").await;
    let row =
        operator.query_one("SELECT degree, isolation, statement, lock, idle FROM theirs.seen", &[]).await.unwrap();
    let found: Vec<String> = (0..5).map(|column| row.get(column)).collect();
    assert_eq!(found, ["on", "read committed", "10s", "5s", "5s"]);
}
