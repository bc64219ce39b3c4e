//! kill -9 in the middle of the work: what was acknowledged is there.

use super::*;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Set for the child: the database that it writes to until it is killed.
const DATABASE: &str = "CERTMINT_TEST_CRASH_DATABASE";
const ROUNDS: u64 = 8;

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(path) = std::env::var_os(DATABASE) {
        runtime.block_on(write_until_killed(Path::new(&path)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certmint.db");
    let mut acknowledged: BTreeMap<Revision, String> = BTreeMap::new();
    for round in 0..ROUNDS {
        let newest = acknowledged.last_key_value().map_or(0, |(revision, _)| *revision);
        // Another instant in every round, as far as the child has come.
        let lines = run_and_kill(&path, 12 + 9 * round);
        for (revision, key) in lines {
            assert!(revision > newest, "revision {revision} came back after a restart");
            assert_eq!(acknowledged.insert(revision, key), None, "revision {revision} was given out twice");
        }
        runtime.block_on(check(&path, &acknowledged));
    }
    assert!(acknowledged.len() as u64 > ROUNDS * 10, "only {} commits: too few to say anything", acknowledged.len());
}

/// Eight writers that tell each acknowledgement on a line of its own.
async fn write_until_killed(path: &Path) {
    let store = super::sqlite::open(path);
    let writer = async |name: usize| {
        for i in 0_u64.. {
            let key = format!("{}/{name}/{i}", std::process::id());
            let batch = Batch { puts: vec![new(&key, &key)], ..events([key.as_str(), "second"]) };
            let revision = store.commit(batch).await.unwrap();
            let mut out = std::io::stdout().lock();
            writeln!(out, "ack {revision} {key}").unwrap();
            out.flush().unwrap();
        }
    };
    join_all((0..8).map(writer)).await;
}

/// Lets the child work until it has told so many acknowledgements, kills it, and answers all that it acknowledged.
fn run_and_kill(path: &Path, least: u64) -> Vec<(Revision, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::what_was_acknowledged_survives_kill_9", "--exact", "--nocapture", "--test-threads=1"])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    // Read all the time, or the child would wait for room in the pipe instead of writing.
    let reader = thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for line in whole_lines(out) {
            let Some((_, told)) = line.split_once("ack ") else { continue };
            let (revision, key) = told.split_once(' ').unwrap();
            acknowledged.push((revision.parse().unwrap(), key.to_owned()));
            let _ = tell.send(());
        }
        acknowledged
    });
    for _ in 0..least {
        told.recv_timeout(Duration::from_secs(60)).expect("the child does not work");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// A line without its end was cut off by the kill: it was not acknowledged.
fn whole_lines(mut out: impl BufRead) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    })
}

async fn check(path: &Path, acknowledged: &BTreeMap<Revision, String>) {
    let store = super::sqlite::open(path);
    let log: BTreeMap<_, _> = whole_log(&store, 1000).await.into_iter().map(|e| (e.revision, e.body)).collect();
    for (revision, key) in acknowledged {
        let record = store.get(key).await.unwrap().unwrap_or_else(|| panic!("{key} was acknowledged and is gone"));
        assert_eq!((record.revision, record.body.as_slice()), (*revision, key.as_bytes()));
        assert_eq!(log.get(&(revision - 1)).map(Vec::as_slice), Some(key.as_bytes()));
        assert_eq!(log.get(revision).map(Vec::as_slice), Some(&b"second"[..]));
    }
    // What was not acknowledged may be there, but then whole.
    let records = store.list("", "", usize::MAX).await.unwrap();
    assert_eq!(records.len() * 2, log.len());
}
