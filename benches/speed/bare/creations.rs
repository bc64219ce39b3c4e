//! What a creation cannot do without: a key and a request, and one row that is on the disk; or an RSA key.

use crate::support::{Failure, Run, own_cpu};
use aws_lc_rs::rsa::{KeyPair as RsaKey, KeySize};
use rcgen::{CertificateParams, DnType, KeyPair};
use rusqlite::{Connection, params};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(super) fn run(kind: &str, callers: usize, time: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    tell(|| match kind {
        "create" => rows_of(callers, time, key_and_request),
        "rsa" => Ok(on_every_core(|_| begun.elapsed() < time, Instant::now, rsa_key)),
        // All were asked for at the beginning.
        "rsa-burst" => Ok(on_every_core(|made| made < callers, || begun, rsa_key)),
        other => Err(format!("bare: there is no {other}").into()),
    })
}

/// Does it, and writes one line: elapsed and CPU time, then every latency, in nanoseconds.
pub(super) fn tell(work: impl FnOnce() -> Result<Vec<Duration>, Failure>) -> Result<(), Failure> {
    let (cpu, begun) = (own_cpu()?, Instant::now());
    let latencies = work()?;
    let (elapsed, cpu) = (begun.elapsed(), own_cpu()? - cpu);
    tell_of(&Run { elapsed, cpu, latencies })
}

/// Writes that line.
pub(super) fn tell_of(run: &Run) -> Result<(), Failure> {
    println!("{}", run.line()?);
    Ok(())
}

type Row = (String, Vec<u8>, Vec<u8>, oneshot::Sender<()>);

const INSERT: &str = "-- insert\nINSERT INTO rows (name, key, request) VALUES (?1, ?2, ?3)";

/// Callers that make something (a key and a request) and wait for their row, all rows of a moment in one transaction.
pub(super) fn rows_of(
    callers: usize,
    time: Duration,
    make: impl Fn() -> Result<(Vec<u8>, Vec<u8>), Failure> + Clone + Send + Sync + 'static,
) -> Result<Vec<Duration>, Failure> {
    let folder = TempDir::new()?;
    let connection = Connection::open(folder.path().join("rows.db"))?;
    connection.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE rows (name TEXT NOT NULL PRIMARY KEY, key BLOB NOT NULL, request BLOB NOT NULL) STRICT;",
    )?;
    let (rows, queue) = mpsc::channel::<Row>();
    let writer = thread::spawn(move || write_groups(&connection, &queue));
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let latencies = runtime.block_on(async {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let (rows, make) = (rows.clone(), make.clone());
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    let (key, request) = make()?;
                    let (written, done) = oneshot::channel();
                    rows.send((format!("{caller}-{}", latencies.len()), key, request, written))?;
                    done.await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, Failure>(latencies)
            });
        }
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            all.extend(done??);
        }
        Ok::<_, Failure>(all)
    })?;
    drop(rows);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(latencies)
}

fn key_and_request() -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "bare.example");
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_der(), request.der().to_vec()))
}

fn write_groups(connection: &Connection, queue: &mpsc::Receiver<Row>) -> Result<(), rusqlite::Error> {
    while let Ok(first) = queue.recv() {
        let group: Vec<Row> = std::iter::once(first).chain(queue.try_iter().take(255)).collect();
        connection.execute_batch("-- begin\nBEGIN IMMEDIATE")?;
        let mut insert = connection.prepare_cached(INSERT)?;
        for (name, key, request, _) in &group {
            insert.execute(params![name, key, request])?;
        }
        connection.execute_batch("-- commit\nCOMMIT")?;
        for (.., written) in group {
            // The caller may be at its end.
            let _ = written.send(());
        }
    }
    Ok(())
}

fn rsa_key() -> bool {
    RsaKey::generate(KeySize::Rsa2048).is_ok()
}

/// One piece of work after the other on every core, while `more` says so of the count of those begun; `asked` is when
/// the next one was asked for. What `work` refuses is not counted.
pub(super) fn on_every_core(
    more: impl Fn(usize) -> bool + Sync,
    asked: impl Fn() -> Instant + Sync,
    work: impl Fn() -> bool + Sync,
) -> Vec<Duration> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut latencies = Vec::new();
                    while more(begun.fetch_add(1, Ordering::Relaxed)) {
                        let asked = asked();
                        if work() {
                            latencies.push(asked.elapsed());
                        }
                    }
                    latencies
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}
