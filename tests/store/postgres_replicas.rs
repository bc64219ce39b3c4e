//! Several stores on one PostgreSQL database, as replicas are; and TLS to the database.

use super::postgres::{open, open_with, shared};
use super::server::{self, Postgres as Server, give_away};
use super::*;
use certmint::store::StoreOptions;
use certmint::store::postgres::Postgres;
use futures_util::future::{join, join_all};
use std::collections::HashSet;
use std::time::Duration;

/// Only a hang reaches it: how busy the machine is does not decide what a test says.
const HANG: Duration = Duration::from_secs(120);

/// Waits until so many replicas listen.
async fn listening(url: &str, replicas: i64) {
    let operator = server::connect(url).await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'certmint: listener'
               AND datname = current_database() AND state = 'idle' AND query ~ '^-- (listen|look|poke)'";
    let listen = async {
        while operator.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < replicas {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANG, listen).await.expect("nobody listens");
}

/// The head watch of one replica is notified after a commit of another.
async fn news(one: &Postgres, other: &Postgres, body: &str) {
    let mut bell = other.head();
    bell.mark_unchanged();
    let revision = one.commit(events([body])).await.unwrap();
    while *bell.borrow_and_update() < revision {
        tokio::time::timeout(HANG, bell.changed()).await.expect("nobody told").unwrap();
    }
    assert!(other.events(revision - 1, 1).await.unwrap().head >= revision, "told before it could be seen");
}

fn slow_to_look() -> StoreOptions {
    StoreOptions { poll: Duration::from_secs(3600), ..StoreOptions::default() }
}

#[tokio::test]
async fn a_commit_of_one_replica_notifies_the_others_at_once() {
    let url = shared().fresh().await;
    // Without the look every now and then, so that it is the note that is tested.
    let one = open_with(&url, slow_to_look()).await.unwrap();
    let other = open_with(&url, slow_to_look()).await.unwrap();
    listening(&url, 2).await;
    for i in 0..20 {
        news(&one, &other, &i.to_string()).await;
        news(&other, &one, &i.to_string()).await;
    }
}

#[tokio::test]
async fn a_note_that_is_lost_costs_only_the_time_to_the_next_look() {
    let url = shared().fresh().await;
    // Nobody pokes more than once in an hour: after the first, all notes are as good as lost.
    let options = StoreOptions { poke: Duration::from_secs(3600), ..StoreOptions::default() };
    let (one, other) = (open_with(&url, options.clone()).await.unwrap(), open_with(&url, options).await.unwrap());
    for i in 0..5 {
        news(&one, &other, &i.to_string()).await;
    }
}

#[tokio::test]
async fn a_listener_that_is_cut_off_connects_again() {
    let url = shared().fresh().await;
    let (one, other) = (open(&url).await, open_with(&url, slow_to_look()).await.unwrap());
    let operator = server::connect(&url).await;
    listening(&url, 2).await;
    news(&one, &other, "before").await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'certmint: listener' AND datname = current_database()";
    assert_eq!(operator.execute(sql, &[]).await.unwrap(), 2);
    // Committed while nobody listens.
    let revision = one.commit(events(["meanwhile"])).await.unwrap();
    let mut bell = other.head();
    while *bell.borrow_and_update() < revision {
        tokio::time::timeout(HANG, bell.changed()).await.expect("it stays deaf").unwrap();
    }
    listening(&url, 2).await;
    news(&one, &other, "after").await;
}

#[tokio::test]
async fn a_follower_on_one_replica_sees_what_three_write_in_order_and_without_a_gap() {
    const EACH: usize = 60;
    let url = shared().fresh().await;
    let replicas = join_all((0..3).map(|_| open(&url))).await;
    let writer = async |number: usize| {
        let mut made = Vec::new();
        for i in 0..EACH {
            let name = format!("{number}/{i}");
            made.push((replicas[number % 3].commit(events([name.as_str()])).await.unwrap(), name));
        }
        made
    };
    let follower = async {
        let mut seen: Vec<(Revision, String)> = Vec::new();
        let mut bell = replicas[0].head();
        while seen.len() < 12 * EACH {
            bell.mark_unchanged();
            let head = *bell.borrow();
            let page = replicas[0].events(seen.last().map_or(0, |(last, _)| *last), 7).await.unwrap();
            assert!(page.head >= head, "the doorbell was ahead of what can be read");
            let got = page.events.len();
            for event in page.events {
                assert!(seen.last().is_none_or(|(last, _)| *last < event.revision), "revisions went back");
                seen.push((event.revision, String::from_utf8(event.body).unwrap()));
            }
            if got == 0 {
                tokio::time::timeout(HANG, bell.changed()).await.expect("something is missing").unwrap();
            }
        }
        seen
    };
    let (made, seen) = join(join_all((0..12).map(writer)), follower).await;
    let mut made = made.concat();
    made.sort();
    assert_eq!(made, seen);
}

#[tokio::test]
async fn one_replica_reads_at_once_what_another_acknowledged() {
    let url = shared().fresh().await;
    let (one, other) = (open(&url).await, open(&url).await);
    let mut revision = create(&one, "a", "0").await;
    for i in 1..50 {
        let (writes, reads) = if i % 2 == 0 { (&one, &other) } else { (&other, &one) };
        revision = writes.commit(puts([change("a", revision, &i.to_string())])).await.unwrap();
        assert_eq!(reads.get("a").await.unwrap().unwrap().revision, revision);
    }
}

#[tokio::test]
async fn of_writers_on_three_replicas_exactly_one_wins() {
    let url = shared().fresh().await;
    let replicas = join_all((0..3).map(|_| open(&url))).await;
    let mut revision = create(&replicas[0], "k", "").await;
    for round in 0..30 {
        let change = |i: usize| replicas[i].commit(puts([change("k", revision, &i.to_string())]));
        let make = |i: usize| replicas[i].commit(puts([new(&format!("n{round}"), &i.to_string())]));
        let (changed, made) = join(join_all((0..3).map(change)), join_all((0..3).map(make))).await;
        assert_eq!(made.iter().filter(|one| one.is_ok()).count(), 1, "{made:?}");
        let won: Vec<_> = changed.iter().filter_map(|one| one.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{changed:?}");
        revision = *won[0];
    }
}

#[tokio::test]
async fn writers_that_want_the_same_records_in_other_orders_do_not_block_each_other() {
    let url = shared().fresh().await;
    let replicas = join_all((0..3).map(|_| open(&url))).await;
    let (mut a, mut b) = (create(&replicas[0], "a", "").await, create(&replicas[0], "b", "").await);
    for round in 0..40 {
        let attempts = (0..3).map(|i| {
            let (x, y) = (change("a", a, "x"), change("b", b, "y"));
            let order = if (round + i) % 2 == 0 { [x, y] } else { [y, x] };
            replicas[i].commit(puts(order))
        });
        let answers = join_all(attempts).await;
        let won = answers.iter().find_map(|one| one.as_ref().ok()).copied();
        a = won.unwrap_or_else(|| panic!("nobody got through: {answers:?}"));
        b = a;
    }
}

#[tokio::test]
async fn workers_on_two_replicas_never_hold_the_same_record() {
    let url = shared().fresh().await;
    let replicas = [open(&url).await, open(&url).await];
    let all: Vec<_> = (0..300).map(|i| Put { due: Some(at(i)), ..new(&format!("k{i:03}"), "") }).collect();
    replicas[0].commit(puts(all)).await.unwrap();
    let worker = async |replica: &Postgres| {
        let (mut held, mut idle) = (Vec::new(), 0);
        while idle < 3 {
            let some = replica.claim(at(999), at(5000), 7).await.unwrap();
            idle = if some.is_empty() { idle + 1 } else { 0 };
            for record in some {
                // The lease is the revision: its holder commits, whoever else has the name does not.
                let done = Put { due: None, ..change(&record.key, record.revision, "done") };
                replica.commit(puts([done])).await.unwrap();
                held.push(record.key);
            }
        }
        held
    };
    let held: Vec<String> = join_all(replicas.iter().chain(&replicas).map(worker)).await.concat();
    assert_eq!(held.len(), 300);
    assert_eq!(held.into_iter().collect::<HashSet<_>>().len(), 300);
}

#[tokio::test]
async fn the_lease_of_a_replica_that_stalls_ends_and_its_late_commit_is_refused() {
    let url = shared().fresh().await;
    let (stalled, other) = (open(&url).await, open(&url).await);
    stalled.commit(puts([Put { due: Some(at(10)), ..new("a", "") }])).await.unwrap();
    let late = stalled.claim(at(20), at(30), 1).await.unwrap().remove(0);
    // A clock that is an hour ahead takes it early; that is rude, but both cannot commit.
    let early = other.claim(at(3_600_000), at(3_700_000), 1).await.unwrap().remove(0);
    stalled.commit(puts([change("a", late.revision, "late")])).await.unwrap_err();
    other.commit(puts([change("a", early.revision, "done")])).await.unwrap();
    assert_eq!(body_of(&stalled, "a").await.as_deref(), Some("done"));
}

/// A server that speaks TLS with a certificate for `name`, and the file of its authority.
fn tls_server(name: &str) -> (Server, std::path::PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut server = Server::start();
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(params, authority_key)).unwrap();
    let place = |file: &str, text: String| {
        let path = server.folder().join(file);
        std::fs::write(&path, text).unwrap();
        give_away(&path);
        path
    };
    let (certificate, key) = (place("server.pem", leaf.pem()), place("server-key.pem", key.serialize_pem()));
    let root = place("root.pem", authority.pem());
    let hba = "hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n";
    place("pg_hba.conf", hba.to_owned());
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
        format!("hba_file={}", server.folder().join("pg_hba.conf").display()),
    ];
    server.set(&settings.each_ref().map(String::as_str));
    server.restart();
    (server, root)
}

#[tokio::test]
async fn tls_to_the_database_is_as_strict_as_its_mode_says() {
    let (server, root) = tls_server("localhost");
    let (mine, root) = (tempfile::tempdir().unwrap(), root.display().to_string());
    let stranger = mine.path().join("stranger.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "stranger");
    std::fs::write(&stranger, params.self_signed(&key).unwrap().pem()).unwrap();
    let stranger = stranger.display();
    let url =
        |host: &str, query: &str| server.url("postgres").replace("127.0.0.1", host).replace("sslmode=disable", query);
    let trusted = format!("sslrootcert={root}");
    for (host, query, refused) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), Some("no pg_hba.conf entry")),
        ("127.0.0.1", "sslmode=prefer".to_owned(), None),
        ("127.0.0.1", "sslmode=require".to_owned(), None),
        ("127.0.0.1", "sslmode=require&channel_binding=require".to_owned(), None),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={stranger}"), Some("UnknownIssuer")),
        ("127.0.0.1", format!("sslmode=verify-ca&{trusted}"), None),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={stranger}"), Some("UnknownIssuer")),
        ("127.0.0.1", format!("sslmode=verify-full&{trusted}"), Some("not valid for name")),
        ("localhost", format!("sslmode=verify-full&{trusted}"), None),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(), Some("/nowhere.pem")),
    ] {
        let opened = open_with(&url(host, &query), StoreOptions::default()).await;
        match (opened, refused) {
            (Ok(store), None) => assert!(store.events(0, 1).await.is_ok()),
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{query}: {error}"),
            (opened, _) => panic!("{query}: {opened:?}"),
        }
    }
    let store = open(&url("localhost", &format!("sslmode=verify-full&{trusted}"))).await;
    create(&store, "over TLS", "").await;
}
