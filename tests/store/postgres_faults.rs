//! What the PostgreSQL store does when connections are lost, the server dies, somebody holds a lock, or a COMMIT fails.

use super::postgres::{open, open_with, shared, store_and_operator};
use super::proxy::{Fault, Proxy};
use super::server::{self, Postgres as Server};
use super::*;
use certmint::store::StoreError;
use certmint::store::StoreOptions;
use certmint::store::postgres::Postgres;
use futures_util::future::{join, join_all};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Answers within a fraction of a second where the defaults take their time.
fn impatient() -> StoreOptions {
    StoreOptions {
        answer_timeout: Duration::from_millis(500),
        lock_timeout: Duration::from_millis(300),
        statement_timeout: Duration::from_millis(400),
        ..StoreOptions::default()
    }
}

async fn through_a_proxy(options: StoreOptions) -> (Postgres, Proxy, Client) {
    let url = shared().fresh().await;
    // So that the tables are there, and the only COMMITs are those of the test.
    drop(open(&url).await);
    let proxy = Proxy::start(shared().port()).await;
    let through = url.replace(&format!(":{}/", shared().port()), &format!(":{}/", proxy.port));
    (open_with(&through, options).await.unwrap(), proxy, server::connect(&url).await)
}

#[tokio::test]
async fn a_commit_whose_connection_breaks_is_acknowledged_and_there_once() {
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::SilentBefore, Fault::SilentAfter] {
        let (store, proxy, _operator) = through_a_proxy(impatient()).await;
        let first = create(&store, "before", "").await;
        let mut bell = store.head();
        proxy.break_next_commit(fault);
        let batch = Batch { puts: vec![new("a", "1")], ..events(["once"]) };
        let revision = store.commit(batch).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(proxy.hits(), 1, "{fault:?}: the fault did not happen");
        assert!(revision > first && *bell.borrow_and_update() >= revision, "{fault:?}");
        assert_eq!(store.get("a").await.unwrap().unwrap().revision, revision, "{fault:?}");
        assert_eq!(bodies(&whole_log(&store, 9).await), ["once"], "{fault:?}");
    }
}

#[tokio::test]
async fn batches_in_a_commit_that_breaks_get_their_own_answers() {
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        let (store, proxy, _operator) = through_a_proxy(impatient()).await;
        create(&store, "taken", "").await;
        proxy.break_next_commit(fault);
        let keys = ["a", "taken", "b"];
        let answers = join_all(keys.map(|key| store.commit(Batch { puts: vec![new(key, "")], ..events([key]) }))).await;
        assert_eq!(proxy.hits(), 1);
        for (key, answer) in keys.into_iter().zip(answers) {
            match (key, answer) {
                ("taken", Err(StoreError::Conflict(key))) => assert_eq!(key, "taken"),
                (key, Ok(revision)) => assert_eq!(store.get(key).await.unwrap().unwrap().revision, revision),
                (key, other) => panic!("{fault:?} {key}: {other:?}"),
            }
        }
        assert_eq!(whole_log(&store, 9).await.len(), 2);
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_queried_is_reported_as_unknown() {
    let mut own = Server::start();
    let url = own.fresh().await;
    drop(open(&url).await);
    let proxy = Proxy::start(own.port()).await;
    let through = url.replace(&format!(":{}/", own.port()), &format!(":{}/", proxy.port));
    let options = StoreOptions { retry_for: Duration::from_millis(600), ..impatient() };
    let store = open_with(&through, options).await.unwrap();
    create(&store, "before", "").await;
    proxy.break_next_commit(Fault::SilentAfter);
    let stopping = async {
        while proxy.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        own.kill9();
    };
    let (answer, ()) = join(store.commit(events(["unknown"])), stopping).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("may or may not be committed"), "{error}");
    own.restart();
    let (key, revision) = created_again(&store).await;
    assert_eq!(store.get(&key).await.unwrap().unwrap().revision, revision);
    assert!(whole_log(&store, 9).await.len() <= 1);
}

#[tokio::test]
async fn a_commit_that_never_gets_through_is_given_up_in_time_and_not_there() {
    let options = StoreOptions { retry_for: Duration::from_millis(600), ..impatient() };
    let (store, proxy, operator) = through_a_proxy(options).await;
    proxy.break_every_commit(Fault::CutBefore);
    let answer = tokio::time::timeout(Duration::from_secs(120), store.commit(puts([new("a", "")])));
    let error = answer.await.expect("it is tried for ever").unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && error.to_string().contains("nothing is written"), "{error}");
    assert!(proxy.hits() > 1, "it was not tried again");
    let there: i64 = operator.query_one("SELECT count(*) FROM records", &[]).await.unwrap().get(0);
    assert_eq!(there, 0);
}

#[tokio::test]
async fn a_connection_to_a_server_that_takes_no_writes_any_more_is_not_used_again() {
    let own = Server::start();
    let url = own.fresh().await;
    let options = StoreOptions { retry_for: Duration::from_millis(300), ..StoreOptions::default() };
    let store = open_with(&url, options).await.unwrap();
    create(&store, "before", "").await;
    let operator = server::connect(&url).await;
    let writers = async || {
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'certmint: writer'";
        let rows = operator.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()
    };
    let first = writers().await;
    let read_only = async |value: &str| {
        operator.batch_execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await.unwrap();
        operator.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    };
    read_only("on").await;
    // The server tells its processes one after the other.
    let error = tokio::time::timeout(Duration::from_secs(120), async {
        for number in 0.. {
            if let Err(error) = store.commit(puts([new(&format!("k{number}"), "")])).await {
                return error;
            }
        }
        unreachable!()
    });
    let error = error.await.expect("the server goes on to take writes");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    operator.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    read_only("off").await;
    tokio::time::timeout(Duration::from_secs(120), async {
        while store.commit(puts([new("after", "")])).await.is_err() {}
    })
    .await
    .expect("it does not connect again");
    let now = writers().await;
    assert!(first.len() == 1 && now.len() == 1 && first != now, "{first:?} {now:?}");
}

/// Writes a record, as soon as a store that gives up early is connected again on a busy machine.
async fn created_again(store: &Postgres) -> (String, Revision) {
    let soon = Instant::now() + Duration::from_secs(120);
    for number in 0.. {
        let key = format!("after-{number}");
        match store.commit(puts([new(&key, "")])).await {
            Ok(revision) => return (key, revision),
            Err(error) => assert!(Instant::now() < soon && matches!(error, StoreError::Unavailable(_)), "{error}"),
        }
    }
    unreachable!()
}

/// Ends the connections of a job, as an administrator or a broken network would.
async fn end_connections(operator: &Client, job: &str) -> u64 {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = $1 AND datname = current_database()";
    operator.execute(sql, &[&job]).await.unwrap()
}

#[tokio::test]
async fn nothing_is_lost_or_duplicated_while_connections_are_killed() {
    let (store, operator, _) = store_and_operator().await;
    let begun = Instant::now();
    let (killed, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Three seconds, or as long as a busy machine needs to see enough.
    let enough = || {
        let seen = killed.load(Relaxed) > 5 && answered.load(Relaxed) > 20;
        begun.elapsed() > Duration::from_secs(if seen { 3 } else { 60 })
    };
    let writer = async |name: usize| {
        let mut acknowledged = Vec::new();
        for i in 0.. {
            if enough() {
                break;
            }
            let key = format!("{name}/{i}");
            match store.commit(Batch { puts: vec![new(&key, "")], ..events([key.as_str()]) }).await {
                Ok(revision) => {
                    acknowledged.push((revision, key));
                    answered.fetch_add(1, Relaxed);
                }
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        acknowledged
    };
    let killer = async {
        while !enough() {
            let ended = end_connections(&operator, "certmint: writer").await;
            killed.fetch_add(usize::try_from(ended).unwrap(), Relaxed);
            end_connections(&operator, "certmint: reader").await;
            tokio::time::sleep(Duration::from_millis(61)).await;
        }
    };
    let (acknowledged, ()) = join(join_all((0..8).map(writer)), killer).await;
    let mut acknowledged = acknowledged.concat();
    acknowledged.sort();
    let killed = killed.into_inner();
    assert!(killed > 5 && acknowledged.len() > 20, "{killed} killed, {} acknowledged", acknowledged.len());
    let log = whole_log(&store, 1000).await;
    let mut seen = std::collections::HashSet::new();
    assert!(log.iter().all(|event| seen.insert(event.body.clone())), "something was written twice");
    let log: Vec<_> = log.into_iter().map(|event| (event.revision, String::from_utf8(event.body).unwrap())).collect();
    for one in &acknowledged {
        assert!(log.binary_search(one).is_ok(), "{one:?} was acknowledged and is gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_survive_a_restart_of_the_server_and_writes_go_on() {
    let mut own = Server::start();
    let url = own.fresh().await;
    let store = open(&url).await;
    let first = create(&store, "a", "1").await;
    own.kill9();
    let (back, read) = join(
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| own.restart());
        },
        store.get("a"),
    )
    .await;
    let () = back;
    assert_eq!(read.unwrap().unwrap().revision, first);
    let second = store.commit(puts([change("a", first, "2")])).await.unwrap();
    assert!(second > first);
    assert_eq!(store.claim(at(1), at(2), 1).await.unwrap(), []);
    own.stop();
    let options = StoreOptions { retry_for: Duration::from_millis(200), ..StoreOptions::default() };
    let error = open_with(&url, options).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_after_a_while() {
    let mut own = Server::start();
    let url = own.fresh().await;
    let options = StoreOptions { retry_for: Duration::from_millis(300), ..impatient() };
    let store = open_with(&url, options).await.unwrap();
    create(&store, "a", "").await;
    own.stop();
    let soon = Instant::now() + Duration::from_secs(120);
    for error in [
        store.get("a").await.unwrap_err(),
        store.commit(events(["x"])).await.unwrap_err(),
        store.claim(at(0), at(1), 1).await.unwrap_err(),
        store.trim(at(0), 0, 1).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("horse"), "{error}");
    }
    assert!(Instant::now() < soon);
    own.restart();
    assert!(created_again(&store).await.1 > 1);
    assert_eq!(whole_log(&store, 9).await, []);
}

#[tokio::test]
async fn a_locked_record_does_not_delay_others() {
    let url = shared().fresh().await;
    let wait = Duration::from_secs(10);
    let patient =
        StoreOptions { answer_timeout: wait * 3, lock_timeout: wait, statement_timeout: wait * 2, ..impatient() };
    let (one, two) = (open_with(&url, patient).await.unwrap(), open(&url).await);
    let locked = one.commit(puts([Put { due: Some(at(1)), ..new("locked", "") }])).await.unwrap();
    create(&one, "free", "").await;
    one.commit(puts([Put { due: Some(at(2)), ..new("due", "") }])).await.unwrap();
    let operator = server::connect(&url).await;
    operator.batch_execute("BEGIN; SELECT FROM records WHERE key = 'locked' FOR UPDATE").await.unwrap();
    // A claim passes it by.
    let held = two.claim(at(9), at(99), 9).await.unwrap();
    assert_eq!(held.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), ["due"]);
    // Who wants this very record waits for as long as the limit says; the other replica does not notice.
    let order = std::sync::Mutex::new(Vec::new());
    let (refused, ()) = join(
        async {
            let refused = one.commit(puts([change("locked", locked, "")])).await;
            order.lock().unwrap().push("refused");
            refused
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            create(&two, "made", "").await;
            order.lock().unwrap().push("made");
        },
    )
    .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(order.into_inner().unwrap(), ["made", "refused"], "the other replica waited");
    operator.batch_execute("ROLLBACK").await.unwrap();
    one.commit(puts([change("locked", locked, "")])).await.unwrap();
}

#[tokio::test]
async fn a_long_foreign_transaction_delays_no_reader() {
    let (store, operator, url) = store_and_operator().await;
    operator.batch_execute("CREATE SCHEMA theirs; CREATE TABLE theirs.work (a int)").await.unwrap();
    // It has a transaction id below all that follow, a snapshot, and a note that was never sent.
    let early = "BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO theirs.work VALUES (1); NOTIFY certmint;
                 SELECT count(*) FROM public.records";
    operator.batch_execute(early).await.unwrap();
    let other = open(&url).await;
    tokio::time::timeout(Duration::from_secs(120), race::a_tailing_reader_misses_nothing_and_sees_commit_order(&store))
        .await
        .unwrap();
    // The other replica sees all of it, too, and at once.
    assert_eq!(whole_log(&other, 500).await.len(), 16 * 40 * 2);
    operator.batch_execute("COMMIT").await.unwrap();
}

/// Makes every COMMIT fail that writes the record `poison`: a constraint that is checked late. What writes
/// `sick` fails before.
const POISON: &str = "
    CREATE SCHEMA theirs;
    CREATE TABLE theirs.parent (id int PRIMARY KEY);
    CREATE TABLE theirs.child (id int REFERENCES theirs.parent DEFERRABLE INITIALLY DEFERRED);
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.key = 'sick' THEN RAISE EXCEPTION 'it is sick'; END IF;
        IF new.key = 'poison' THEN INSERT INTO theirs.child VALUES (1); END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER poison AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION poison();
";

#[tokio::test]
async fn only_the_batch_that_the_database_refuses_fails() {
    let (store, operator, _) = store_and_operator().await;
    operator.batch_execute(POISON).await.unwrap();
    for bad in ["poison", "sick"] {
        let before = whole_log(&store, 99).await.len();
        let keys = [format!("{bad}/a"), bad.to_owned(), format!("{bad}/b"), format!("{bad}/c")];
        let batches = keys.iter().map(|key| store.commit(Batch { puts: vec![new(key, "")], ..events([key.as_str()]) }));
        for (key, answer) in keys.iter().zip(join_all(batches).await) {
            if key == bad {
                assert!(matches!(answer, Err(StoreError::Broken(_))), "{answer:?}");
                assert_eq!(store.get(key).await.unwrap(), None);
            } else {
                assert_eq!(store.get(key).await.unwrap().unwrap().revision, answer.unwrap());
            }
        }
        assert_eq!(whole_log(&store, 99).await.len(), before + 3);
    }
}

#[tokio::test]
async fn a_replica_that_stalls_in_a_transaction_holds_the_others_up_for_a_moment_only() {
    let url = shared().fresh().await;
    let store = open(&url).await;
    let stalled = server::connect(&url).await;
    // What the writer of a replica looks like that was stopped between its write and its COMMIT.
    let sql = "SET idle_in_transaction_session_timeout = '1s'; BEGIN; SELECT FROM pg_advisory_xact_lock(1129139796, 1)";
    // Before the transaction begins, whose time runs from then on.
    let begun = Instant::now();
    stalled.batch_execute(sql).await.unwrap();
    create(&store, "a", "").await;
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(60), "{waited:?}");
}
