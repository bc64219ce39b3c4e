//! Clocks that are wrong: they jump, or differ between replicas.

use crate::cluster::{CONFIG, Cluster, set_issuer};
use crate::dice::{Dice, rounds};
use crate::harness::{Harness, turn};
use crate::load::request;
use crate::postgres::{Postgres, connect, give_away};
use crate::replicas::ends_completed;
use certmint::clock::{Clock, SystemClock};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment in which a process is told the time that stands in `file`, from its next look on. Its steady
/// clock, by which it measures durations, is left alone, as when an operator sets the clock.
fn told_by(file: &Path) -> Vec<(String, String)> {
    let library = library().expect("libfaketime is not installed; scripts/debian-packages.sh does it");
    let pairs = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whole at once: a process that looks at an empty file ends.
fn set(clock: &Path, away: &str) {
    let part = clock.with_extension("new");
    fs::write(&part, away).unwrap();
    give_away(&part);
    fs::rename(&part, clock).unwrap();
}

/// In the folder of the machine's architecture.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_an_hour_forward_and_back_holds_nothing_up() {
    let turn = turn().await;
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set(&clock, "+0");
    let cluster = Cluster::start(1, None, CONFIG, |_| told_by(&clock)).await;
    let harness = Harness::on(cluster, None, turn).await;
    let mut operator = harness.cluster.caller("operator", 1);
    let mut dice = Dice::of("clock", 0);
    for round in 0..rounds(1) {
        harness.work(500 + dice.below(500)).await;
        set(&clock, "+3600");
        // Waits for an answer that does not come, is cut, and is to be asked again in the wrong time.
        let name = format!("waits-{round}");
        let waits = operator.create_certificate(request(&name, "", "sticks")).await.unwrap().operation.unwrap();
        harness.work(4_000).await;
        set(&clock, "+0");
        set_issuer(&mut operator, "sticks", "Test", "complete").await;
        ends_completed(&mut operator, &name, &waits.request_id, Duration::from_secs(120)).await;
        set_issuer(&mut operator, "sticks", "Test", "stuck").await;
    }
    harness.finish("a clock that jumps").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_skewed_clocks_are_safe_and_succeed_each_other() {
    let folder = tempfile::tempdir().unwrap();
    // As far as their own TLS certificates, which begin ten minutes before they are made, let clients in.
    let skews = ["-480", "+480"];
    let clocks: Vec<PathBuf> = (0..2).map(|number| folder.path().join(format!("clock-{number}"))).collect();
    for (clock, skew) in clocks.iter().zip(skews) {
        set(clock, skew);
    }
    let mut harness = Harness::skewed(2, |number| told_by(&clocks[number])).await;
    let mut dice = Dice::of("skew", 0);
    for round in 0..rounds(2) {
        harness.work(500 + dice.below(700)).await;
        let (victim, survivor) = if round % 2 == 0 { (1, 0) } else { (0, 1) };
        // Waits for an answer, in the lease and by the clock of the one that dies.
        let name = format!("waits-{round}");
        let mut asked = harness.cluster.fleet.only(&[victim]).caller(Dice::of("victim", round));
        let waits = asked.create_certificate(request(&name, "", "sticks")).await.unwrap().operation.unwrap();
        harness.work(500).await;
        harness.cluster.replicas[victim].server.kill9();
        let mut survivor = harness.cluster.fleet.only(&[survivor]).caller(Dice::of("survivor", round));
        set_issuer(&mut survivor, "sticks", "Test", "complete").await;
        ends_completed(&mut survivor, &name, &waits.request_id, Duration::from_secs(120)).await;
        set_issuer(&mut survivor, "sticks", "Test", "stuck").await;
        harness.cluster.replicas[victim].server.start();
        harness.cluster.all_ready().await;
    }
    harness.finish("skewed clocks").await;
}

/// The clock of the database is the one that counts, and those of the replicas must not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_of_database_and_replicas_that_jump_an_hour_hold_nothing_up() {
    let turn = turn().await;
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start();
    let mut clocks: Vec<PathBuf> = (0..2).map(|number| folder.path().join(format!("clock-{number}"))).collect();
    clocks.push(postgres.folder().join("clock"));
    for clock in &clocks {
        set(clock, "+0");
    }
    postgres.set_environment(told_by(&clocks[2]));
    postgres.restart();
    let url = postgres.fresh().await;
    let cluster = Cluster::start(2, Some(url), CONFIG, |number| told_by(&clocks[number])).await;
    let operator = connect(cluster.url.as_ref().unwrap()).await;
    let harness = Harness::on(cluster, Some(postgres), turn).await;
    let mut caller = harness.cluster.caller("operator", 1);
    let mut dice = Dice::of("clocks", 0);
    for round in 0..rounds(2) {
        harness.work(400 + dice.below(600)).await;
        // The database in the first round, and then whoever the dice say.
        let hit: Vec<&PathBuf> = clocks.iter().skip(if round == 0 { 2 } else { dice.index(3) }).collect();
        let jump = if dice.percent(50) { "+3600" } else { "-3600" };
        for clock in &hit {
            set(clock, jump);
        }
        let name = format!("waits-{round}");
        let waits = caller.create_certificate(request(&name, "", "sticks")).await.unwrap().operation.unwrap();
        harness.work(1_000 + dice.below(3_000)).await;
        // It does stand in the wrong time.
        let away: f64 = operator.query_one(AWAY, &[&(SystemClock.now().0 as f64)]).await.unwrap().get(0);
        let expected = if hit.contains(&&clocks[2]) { jump.parse::<f64>().unwrap() } else { 0.0 };
        assert!((away - expected).abs() < 60.0, "the clock of the database is away by {away} s, not {expected}");
        for clock in hit {
            set(clock, "+0");
        }
        set_issuer(&mut caller, "sticks", "Test", "complete").await;
        ends_completed(&mut caller, &name, &waits.request_id, Duration::from_secs(120)).await;
        set_issuer(&mut caller, "sticks", "Test", "stuck").await;
    }
    harness.finish("clocks of database and replicas that jump").await;
}

/// Seconds between the clock of the database and the given one, in milliseconds.
const AWAY: &str = "SELECT extract(epoch FROM clock_timestamp())::float8 - $1::float8 / 1000";
