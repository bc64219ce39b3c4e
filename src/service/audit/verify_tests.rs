//! What a verification finds, and what it does not take for a change.

use super::super::chain::{Chain, Made};
use super::super::facts::Facts;
use super::super::line::Notes;
use super::*;
use crate::keys::AuditKey;

fn made<'a>(chain: &'a Chain, name: &str) -> Made<'a> {
    let facts = Facts { name: name.to_owned(), ..Facts::default() };
    chain.next(Timestamp(5), LineKind::Request, facts, Notes::default()).unwrap()
}

fn written(chain: &Chain, name: &str) -> String {
    let made = made(chain, name);
    let text = made.text.clone();
    made.written();
    text
}

fn signed(chain: &Chain, kind: LineKind, key: &AuditKey) -> String {
    let made = chain.checkpoint(Timestamp(6), kind, key).unwrap();
    let text = made.text.clone();
    made.written();
    text
}

/// Lines of one writer from its start to its end, with two checkpoints.
fn chain(key: &AuditKey) -> Vec<String> {
    let chain = Chain::new("w".into());
    let mut lines: Vec<String> = ["a", "b", "c"].iter().map(|name| written(&chain, name)).collect();
    lines.push(signed(&chain, LineKind::Checkpoint, key));
    lines.extend(["d", "e"].iter().map(|name| written(&chain, name)));
    lines.push(signed(&chain, LineKind::Stop, key));
    lines
}

fn report(key: &AuditKey, lines: &[String]) -> Report {
    let mut verifier = Verifier::new(vec![key.public_key()], false);
    for (number, line) in (1..).zip(lines) {
        verifier.line(&format!("line {number}"), line.as_bytes());
    }
    verifier.finish()
}

#[test]
fn a_whole_chain_is_whole() {
    let key = AuditKey::generate().unwrap();
    let report = report(&key, &chain(&key));
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.lines, report.writers, report.verified, report.notes.len()), (7, 1, 2, 0));
}

#[test]
fn a_change_of_any_line_is_found_and_so_is_one_that_is_missing_added_or_moved() {
    let key = AuditKey::generate().unwrap();
    let lines = chain(&key);
    for at in 0..lines.len() - 1 {
        let mut changed = lines.clone();
        changed[at] = changed[at].replace("\"time\":\"1970-", "\"time\":\"1971-");
        assert!(!report(&key, &changed).is_whole(), "line {at} was changed");
        let mut missing = lines.clone();
        missing.remove(at);
        assert!(!report(&key, &missing).is_whole(), "line {at} is missing");
        let mut twice = lines.clone();
        twice.insert(at, lines[at].clone());
        assert!(!report(&key, &twice).is_whole(), "line {at} is there twice");
        let mut moved = lines.clone();
        moved.swap(at, at + 1);
        assert!(!report(&key, &moved).is_whole(), "line {at} was moved");
    }
    // Of the last line the signature shows a change.
    let mut changed = lines.clone();
    let last = changed.len() - 1;
    changed[last] = changed[last].replace("\"signature\":\"30", "\"signature\":\"31");
    assert!(!report(&key, &changed).is_whole());
}

#[test]
fn a_chain_that_was_written_anew_has_no_signature_of_the_key() {
    let (key, other) = (AuditKey::generate().unwrap(), AuditKey::generate().unwrap());
    let anew = chain(&other);
    let forged = report(&key, &anew);
    assert_eq!((forged.verified, forged.unchecked, forged.problems.len()), (0, 2, 2));
    assert!(forged.problems[0].contains("which was not given"), "{forged:?}");
    let mut without = Verifier::new(Vec::new(), false);
    for line in &anew {
        without.line("line", line.as_bytes());
    }
    let unchecked = without.finish();
    assert!(unchecked.is_whole(), "{unchecked:?}");
    assert!(unchecked.notes[0].starts_with("2 checkpoints were not verified"), "{unchecked:?}");
}

#[test]
fn lines_are_without_a_signature_for_minutes_only() {
    let (key, chain) = (AuditKey::generate().unwrap(), Chain::new("w".into()));
    let at = |minute: i64| {
        let at = Timestamp(minute * 60_000);
        let made = chain.next(at, LineKind::Request, Facts::default(), Notes::default()).unwrap();
        let text = made.text.clone();
        made.written();
        text
    };
    let mut lines = vec![at(0), at(9)];
    assert!(report(&key, &lines).is_whole());
    lines.push(at(11));
    let late = report(&key, &lines);
    assert!(late.problems[0].contains("1 to 3 of the writer w have no signature"), "{late:?}");
    lines.push(signed(&chain, LineKind::Checkpoint, &key));
    lines.push(at(30));
    assert!(report(&key, &lines).is_whole());
}

#[test]
fn the_end_that_was_cut_off_shows_by_a_checkpoint_elsewhere() {
    let key = AuditKey::generate().unwrap();
    let lines = chain(&key);
    let stop: Line = serde_json::from_str(&lines[6]).unwrap();
    let other = Chain::new("x".into());
    let notes = Notes { checkpoint: stop.notes.checkpoint, ..Notes::default() };
    let made = other.next(Timestamp(7), LineKind::Checkpoint, Facts::default(), notes).unwrap();
    let copy = made.text.clone();
    made.written();
    let with = |kept: usize| [&lines[..kept], std::slice::from_ref(&copy)].concat();
    assert!(report(&key, &with(7)).is_whole());
    let cut = report(&key, &with(5));
    assert!(cut.problems[0].contains("the end was cut off"), "{cut:?}");
    let alone = report(&key, &lines[..5]);
    assert!(alone.is_whole() && alone.notes.len() == 1, "{alone:?}");
}

#[test]
fn what_a_later_line_says_may_be_missing_may_be_there_or_not_and_nothing_else() {
    let key = AuditKey::generate().unwrap();
    let chain = Chain::new("w".into());
    let first = written(&chain, "a");
    let (lost, also_lost) = (made(&chain, "b"), made(&chain, "c"));
    let texts = [lost.text.clone(), also_lost.text.clone()];
    let between = written(&chain, "d");
    drop((lost, also_lost));
    let says = written(&chain, "e");
    let end = signed(&chain, LineKind::Stop, &key);
    let whole = |lines: &[&String]| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).clone()).collect();
        report(&key, &lines)
    };
    for lines in [
        vec![&first, &between, &says, &end],
        vec![&first, &texts[0], &between, &says, &end],
        vec![&first, &texts[1], &between, &says, &end],
        vec![&first, &texts[0], &texts[1], &between, &says, &end],
    ] {
        let report = whole(&lines);
        assert!(report.is_whole(), "{report:?}");
    }
    assert!(!whole(&[&first, &says, &end]).is_whole(), "the line between is missing");
    assert!(!whole(&[&between, &says, &end]).is_whole(), "the first line is missing");
}

#[test]
fn lines_that_the_retention_removed_are_missed_only_up_to_the_last_of_them() {
    let key = AuditKey::generate().unwrap();
    let lines = chain(&key);
    let trimmer = Chain::new("t".into());
    let removed = Removed { writer: "w".into(), seq: 2, sha256: hash_of(lines[1].as_bytes()) };
    let notes = Notes { removed: vec![removed], ..Notes::default() };
    let made = trimmer.next(Timestamp(9), LineKind::Trim, Facts::default(), notes).unwrap();
    let trim = made.text.clone();
    made.written();
    let with = |from: usize| [&lines[from..], std::slice::from_ref(&trim)].concat();
    assert!(report(&key, &with(2)).is_whole());
    assert!(!report(&key, &with(3)).is_whole(), "one more is missing");
    let late = [&lines[..1], &with(2)[..]].concat();
    assert!(report(&key, &late).is_whole(), "one of them came in later");
    assert!(!report(&key, &lines[2..]).is_whole(), "nothing says that they were removed");
}

#[test]
fn lines_behind_the_last_checkpoint_of_a_writer_that_did_not_end_may_be_missing() {
    let key = AuditKey::generate().unwrap();
    let chain = Chain::new("w".into());
    let mut lines = vec![written(&chain, "a"), signed(&chain, LineKind::Checkpoint, &key)];
    written(&chain, "under way");
    lines.push(written(&chain, "b"));
    let report = report(&key, &lines);
    assert!(report.is_whole() && report.notes[0].contains("as after a crash"), "{report:?}");
}

#[test]
fn what_is_no_line_is_a_problem_of_its_place() {
    let mut verifier = Verifier::new(Vec::new(), false);
    verifier.line("audit.log:1", b"{\"v\":1}");
    assert!(verifier.finish().problems[0].starts_with("audit.log:1: it is no line"));
}
