//! Verifies lines of the ledger, wherever they come from: that each chain is whole, and that its checkpoints are signed.

use super::line::{Checkpoint, Line, LineKind, NOTHING_BEFORE, Removed, Unwritten, hash_of};
use crate::domain::Timestamp;
use crate::keys::{audit_key_id, verify_audit_signature};
use std::collections::BTreeMap;

/// Problems that are told; more are counted.
const MAX_TOLD: usize = 100;
/// Milliseconds within which lines are signed: many times what a server takes.
const SIGNED_WITHIN: i64 = 10 * 60 * 1000;

/// Takes lines, those of each writer in their order, and reports when all are there.
#[derive(Debug, Default)]
pub struct Verifier {
    /// SubjectPublicKeyInfo (DER) by id.
    keys: BTreeMap<String, Vec<u8>>,
    writers: BTreeMap<String, Writer>,
    /// Up to where the lines of a writer were removed, as lines say.
    removed: BTreeMap<String, Removed>,
    /// Checkpoints that stand in the chain of another writer.
    elsewhere: Vec<(String, Checkpoint)>,
    partial: bool,
    report: Report,
}

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    pub lines: u64,
    pub writers: usize,
    /// Checkpoints whose signatures are right.
    pub verified: u64,
    /// Checkpoints whose keys were not given.
    pub unchecked: u64,
    /// What shows that the ledger was changed, or that a part of it is missing.
    pub problems: Vec<String>,
    /// Further problems, which are not told.
    pub more: u64,
    /// What is in order, and worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing shows a change.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_TOLD {
            self.problems.push(text);
        } else {
            self.more += 1;
        }
    }
}

/// The chain of one writer as far as it was seen.
#[derive(Debug)]
struct Writer {
    first: u64,
    before_first: String,
    last: u64,
    hash: String,
    ended: bool,
    gaps: Vec<Gap>,
    /// What lines say may be missing.
    unwritten: Vec<Unwritten>,
    /// The checkpoints of this chain: line, and hash of the line before.
    signed: BTreeMap<u64, String>,
    /// The first line behind the last signature that is right, and when it was written.
    unsigned: Option<(u64, Timestamp)>,
    /// When the last line was written.
    latest: Timestamp,
}

/// Lines that are not there.
#[derive(Clone, Debug)]
struct Gap {
    from: u64,
    to: u64,
    /// What the line behind it says of the last one.
    hash: String,
}

impl Verifier {
    /// Checks signatures with these keys (SubjectPublicKeyInfo, DER). With `partial`, the lines may begin in the middle.
    pub fn new(keys: Vec<Vec<u8>>, partial: bool) -> Self {
        let keys = keys.into_iter().map(|key| (audit_key_id(&key), key)).collect();
        Self { keys, partial, ..Self::default() }
    }

    /// The next line; `place` says where it stands.
    pub fn line(&mut self, place: &str, text: &[u8]) {
        self.report.lines += 1;
        let line: Line = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                return self.report.problem(format!("{place}: it is no line of the ledger ({line}:{column})"));
            }
        };
        for removed in &line.notes.removed {
            let known = self.removed.entry(removed.writer.clone()).or_insert_with(|| removed.clone());
            if known.seq < removed.seq {
                *known = removed.clone();
            }
        }
        let hash = hash_of(text);
        let mut is_signed = false;
        if let Some(checkpoint) = &line.notes.checkpoint {
            let verified = self.signature(place, checkpoint);
            if checkpoint.writer != line.writer {
                self.elsewhere.push((place.to_owned(), checkpoint.clone()));
            } else if checkpoint.seq != line.seq || checkpoint.prev != line.prev {
                self.report.problem(format!("{place}: its checkpoint is that of another line"));
            } else {
                is_signed = verified;
            }
        }
        let writer = line.writer.clone();
        match self.writers.get_mut(&writer) {
            None => {
                let mut chain = Writer {
                    first: line.seq,
                    before_first: line.prev.clone(),
                    last: line.seq,
                    hash: hash.clone(),
                    ended: false,
                    gaps: Vec::new(),
                    unwritten: Vec::new(),
                    signed: BTreeMap::new(),
                    unsigned: None,
                    latest: line.at(),
                };
                chain.note(&line, hash, is_signed);
                self.writers.insert(writer, chain);
            }
            Some(chain) => match chain.follow(&line) {
                Ok(()) => chain.note(&line, hash, is_signed),
                Err(problem) => {
                    chain.note(&line, hash, is_signed);
                    self.report.problem(format!("{place}: {problem}"));
                }
            },
        }
    }

    /// Whether the signature is right.
    fn signature(&mut self, place: &str, checkpoint: &Checkpoint) -> bool {
        let Checkpoint { writer, seq, prev, key, signature } = checkpoint;
        let Some(public_key) = self.keys.get(key) else {
            self.report.unchecked += 1;
            if !self.keys.is_empty() {
                // Who writes a chain anew signs it with a key of his own.
                self.report.problem(format!("{place}: its checkpoint is of the key {key}, which was not given"));
            }
            return false;
        };
        let message = Checkpoint::message(writer, *seq, prev);
        let signature = from_hex(signature).unwrap_or_default();
        let is_right = verify_audit_signature(public_key, message.as_bytes(), &signature);
        if is_right {
            self.report.verified += 1;
        } else {
            self.report.problem(format!("{place}: the key {key} did not make the signature of its checkpoint"));
        }
        is_right
    }

    /// What all lines together show.
    pub fn finish(self) -> Report {
        let Self { keys, writers, removed, elsewhere, partial, mut report } = self;
        report.writers = writers.len();
        for (name, chain) in &writers {
            chain.check_begin(name, removed.get(name), partial, &mut report);
            chain.check_gaps(name, removed.get(name), &mut report);
            if !keys.is_empty() {
                chain.check_signed(name, &mut report);
            }
            if !chain.ended {
                let last = chain.last;
                report.notes.push(format!(
                    "the writer {name} ends at line {last} without its last line: it still runs, or was killed"
                ));
            }
        }
        for (place, checkpoint) in elsewhere {
            let Checkpoint { writer, seq, prev, .. } = &checkpoint;
            match writers.get(writer) {
                None => {}
                Some(chain) if *seq > chain.last => report.problem(format!(
                    "{place}: it has a checkpoint of the writer {writer} at line {seq}, whose lines end at {}: the end was cut off",
                    chain.last
                )),
                Some(chain) if *seq < chain.first => {}
                Some(chain) if chain.signed.get(seq) != Some(prev) => report.problem(format!(
                    "{place}: it has a checkpoint of the writer {writer} at line {seq}, which is another one there"
                )),
                Some(_) => {}
            }
        }
        if report.unchecked > 0 {
            let count = report.unchecked;
            report
                .notes
                .push(format!("{count} checkpoints were not verified: their keys were not given (certmint audit key)"));
        }
        report
    }
}

impl Writer {
    /// Whether the line is the next one; lines that are missing before it are noted.
    fn follow(&mut self, line: &Line) -> Result<(), String> {
        let Line { seq, prev, .. } = line;
        if self.ended {
            return Err(format!("the writer {} had ended with line {}", line.writer, self.last));
        }
        if *seq <= self.last {
            return Err(format!("line {seq} of the writer {} stands behind line {}", line.writer, self.last));
        }
        if *seq > self.last + 1 {
            self.gaps.push(Gap { from: self.last + 1, to: seq - 1, hash: prev.clone() });
            return Ok(());
        }
        if *prev == self.hash {
            return Ok(());
        }
        Err(format!("line {} of the writer {} was changed: line {seq} has another hash of it", self.last, line.writer))
    }

    fn note(&mut self, line: &Line, hash: String, is_signed: bool) {
        (self.last, self.hash, self.latest) = (self.last.max(line.seq), hash, line.at());
        if is_signed {
            self.unsigned = None;
        } else if line.notes.checkpoint.is_none() && self.unsigned.is_none() {
            // The checkpoint of another chain alone is signed when there is more.
            self.unsigned = Some((line.seq, line.at()));
        }
        self.ended |= line.kind == LineKind::Stop;
        self.unwritten.extend_from_slice(&line.notes.unwritten);
        if line.notes.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.writer == line.writer) {
            self.signed.insert(line.seq, line.prev.clone());
        }
    }

    fn check_begin(&self, name: &str, removed: Option<&Removed>, partial: bool, report: &mut Report) {
        let (base, hash) = removed.map_or((0, NOTHING_BEFORE), |removed| (removed.seq, removed.sha256.as_str()));
        if self.first <= base || (self.first == base + 1 && self.before_first == hash) {
            return;
        }
        if self.first == base + 1 {
            return report.problem(format!("the first line of the writer {name} does not follow what was before it"));
        }
        let gap = Gap { from: base + 1, to: self.first - 1, hash: self.before_first.clone() };
        if self.explains(&gap) {
            return;
        }
        let text = format!("the lines of the writer {name} begin at {}", self.first);
        if partial {
            report.notes.push(text);
        } else {
            report.problem(format!("{text}: what was before is missing (give the older files, too, or --partial)"));
        }
    }

    fn check_gaps(&self, name: &str, removed: Option<&Removed>, report: &mut Report) {
        let signed = self.signed.last_key_value().map_or(0, |(seq, _)| *seq);
        // A line whose commit took long may have come in behind the retention, which removed its neighbours.
        let base = removed.map_or(0, |removed| removed.seq);
        for gap in self.gaps.iter().filter(|gap| gap.to > base && !self.explains(gap)) {
            let Gap { from, to, .. } = gap;
            let text = format!("the lines {from} to {to} of the writer {name} are missing");
            if *from > signed && !self.ended {
                report.notes.push(format!("{text}: they are behind its last checkpoint, as after a crash"));
            } else {
                report.problem(text);
            }
        }
    }

    /// A chain that somebody wrote has no signatures, and one from which they were taken neither.
    fn check_signed(&self, name: &str, report: &mut Report) {
        let Some((from, since)) = self.unsigned else { return };
        if self.latest.0.saturating_sub(since.0) > SIGNED_WITHIN {
            let last = self.last;
            report.problem(format!(
                "the lines {from} to {last} of the writer {name} have no signature, which is due every minute"
            ));
        }
    }

    /// Whether lines say of all of the gap that it may be there.
    fn explains(&self, gap: &Gap) -> bool {
        let mut next = gap.from;
        while next <= gap.to {
            let Some(run) = self.unwritten.iter().find(|run| run.from <= next && next <= run.to) else { return false };
            // Where the run ends here, its hash is that of the last line. One that goes on says nothing of it.
            if run.to == gap.to && run.sha256 != gap.hash {
                return false;
            }
            next = run.to + 1;
        }
        true
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.remainder().is_empty().then_some(())?;
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
