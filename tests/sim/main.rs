//! Deterministic simulation: replicas of the real service, worker and watch on the real engine of
//! the embedded store, on one thread, in simulated time, with every choice drawn from a seed. How
//! and why: `docs/decisions/0008-simulation.md`.
//!
//! `SIM_SEED=7 cargo test --test sim -- --nocapture` repeats one run and prints its trace;
//! `SIM_SEEDS=100000` (with `SIM_FIRST=…`) makes a long one.

#[path = "../support/around.rs"]
mod around;
mod authority;
mod caller;
mod coverage;
#[path = "../watch/dice.rs"]
mod dice;
#[path = "../support/false_provider.rs"]
mod false_provider;
mod harness;
mod link;
mod mutant;
mod mutants;
mod oracle;
#[path = "../support/permit.rs"]
mod permit;
mod profile;
mod regressions;
mod replica;
mod run;
mod server;
mod watcher;
mod year;

use coverage::Coverage;
use run::{Outcome, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Runs of the short test.
const SEEDS: u64 = 150;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn nothing_is_lost_duplicated_or_reordered_whatever_breaks() {
    if let Some(seed) = setting("SIM_SEED") {
        let outcome = run(seed, None);
        println!("{}", outcome.trace.join("\n"));
        return assert_whole(&outcome);
    }
    let (first, seeds) = (setting("SIM_FIRST").unwrap_or(0), setting("SIM_SEEDS").unwrap_or(SEEDS));
    println!("seeds {first} to {}", first + seeds - 1);
    let begun = Instant::now();
    let (next, sum) = (AtomicU64::new(first), Mutex::new((Coverage::default(), Vec::new())));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let outcome = run(seed, None);
            let (met, failed) = &mut *sum.lock().unwrap();
            met.count(&outcome.trace);
            if !outcome.broken.is_empty() {
                println!("{}", tell(&outcome));
                failed.push(seed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (met, failed) = sum.into_inner().unwrap();
    println!("{:.1} seeds/s; {met:?}", seeds as f64 / begun.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "of {seeds} seeds from {first} on, {} failed: {failed:?}", failed.len());
    met.assert_all(seeds);
}

fn assert_whole(outcome: &Outcome) {
    assert!(outcome.broken.is_empty(), "{}", tell(outcome));
}

fn tell(outcome: &Outcome) -> String {
    let Outcome { seed, broken, trace: _ } = outcome;
    let again = format!("SIM_SEED={seed} cargo test --test sim whatever_breaks -- --nocapture");
    format!("seed {seed}:\n  {}\n  repeat it: {again}", broken.join("\n  "))
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..10 {
        let (one, two) = (run(seed, None), run(seed, None));
        let differs = one.trace.iter().zip(&two.trace).position(|(one, two)| one != two);
        if let Some(line) = differs {
            panic!("seed {seed} went another way at line {line}: {:?}, {:?}", one.trace[line], two.trace[line]);
        }
        assert_eq!(one.trace.len(), two.trace.len(), "seed {seed}");
    }
}
