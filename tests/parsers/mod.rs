//! Untrusted input, parsed as the server does: every stored input, and many mutations of each. `make fuzz` runs the
//! same functions for longer, guided by coverage.

use certmint::fuzzing::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// No input takes longer, in a build without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Changed inputs of each kind.
const CASES: u32 = 300;

/// What was found by fuzzing need not be a good input.
fn is_found(name: &str) -> bool {
    name.starts_with("found-")
}

fn read_soon(target: Target, input: &[u8]) -> (bool, Duration) {
    let begun = Instant::now();
    ((target.read)(input), begun.elapsed())
}

#[test]
fn every_seed_is_read_in_time_by_the_reader_of_its_kind() {
    for target in TARGETS {
        let all = crate::seeds::all(target.name);
        assert!(all.iter().any(|(name, _)| !is_found(name)), "no seeds of {}", target.name);
        for (name, bytes) in all {
            let (read, took) = read_soon(target, &bytes);
            assert!(read || is_found(&name), "{}/{name} is not read", target.name);
            assert!(took < PATIENCE, "{}/{name}: {took:?}", target.name);
        }
    }
}

#[test]
fn each_folder_of_seeds_has_a_reader() {
    let folders = fs::read_dir(crate::seeds::folder("")).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let kinds: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, kinds);
}

/// A workspace of its own, which this one does not build: at least its targets are those of the library.
#[test]
fn each_reader_has_a_fuzz_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let mut targets = BTreeSet::new();
    for entry in fs::read_dir(folder.join("targets")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("certmint::fuzzing::{name}(")), "{}", file.display());
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"targets/{name}.rs\"")), "{name}");
        targets.insert(name);
    }
    let kinds: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets, kinds);
}

#[test]
fn changed_inputs_never_panic_and_never_take_long() {
    for target in TARGETS {
        let all: Vec<Vec<u8>> = crate::seeds::all(target.name).into_iter().map(|(_, bytes)| bytes).collect();
        let cases = (0..all.len(), crate::mutation::changes());
        let config = Config { cases: CASES, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&cases, |(seed, changes)| {
            let changed = crate::mutation::apply(all[seed].clone(), &changes);
            let (_, took) = read_soon(target, &changed);
            prop_assert!(took < PATIENCE, "{took:?}");
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

/// Inputs of one kind in the place of another, and nothing at all.
#[test]
fn inputs_of_another_kind_are_answered_too() {
    for target in TARGETS {
        for other in TARGETS {
            for (name, bytes) in crate::seeds::all(other.name) {
                let (_, took) = read_soon(target, &bytes);
                assert!(took < PATIENCE, "{}: {}/{name} took {took:?}", target.name, other.name);
            }
        }
        assert!(!(target.read)(b""), "{}: nothing is no input", target.name);
    }
}
