//! The chain of one writer: each line holds the hash of the one before. A line is made before its commit, which may fail:
//! the chain goes on behind it, and a later line says which ones may be missing.

use super::facts::Facts;
use super::line::{Checkpoint, Line, LineKind, NOTHING_BEFORE, Notes, Unwritten};
use crate::domain::text::hex;
use crate::domain::{Result, Timestamp};
use crate::keys::AuditKey;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The chain of this process.
#[derive(Debug)]
pub(super) struct Chain {
    writer: String,
    head: Mutex<Head>,
}

#[derive(Debug)]
struct Head {
    /// Of the line that was made last.
    seq: u64,
    hash: String,
    at: Timestamp,
    /// Lines since the last checkpoint, beside checkpoints.
    unsigned: u64,
    /// What may be missing and was not said yet, in order.
    unwritten: Vec<Unwritten>,
}

impl Chain {
    pub(super) fn new(writer: String) -> Self {
        let hash = NOTHING_BEFORE.to_owned();
        Self { writer, head: Mutex::new(Head { seq: 0, hash, at: Timestamp(0), unsigned: 0, unwritten: Vec::new() }) }
    }

    /// Whose chain it is.
    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    /// Lines since the last checkpoint.
    pub(super) fn unsigned(&self) -> u64 {
        self.lock().unsigned
    }

    /// The next line.
    pub(super) fn next(&self, now: Timestamp, kind: LineKind, facts: Facts, notes: Notes) -> Result<Made<'_>> {
        self.make(now, kind, facts, |_, _| Ok(notes))
    }

    /// The next line, which signs where the chain is.
    pub(super) fn checkpoint(&self, now: Timestamp, kind: LineKind, key: &AuditKey) -> Result<Made<'_>> {
        self.make(now, kind, Facts::default(), |seq, prev| {
            let signature = key.sign(Checkpoint::message(&self.writer, seq, prev).as_bytes())?;
            let (writer, key) = (self.writer.clone(), key.id().to_owned());
            let checkpoint = Checkpoint { writer, seq, prev: prev.to_owned(), key, signature: hex(&signature) };
            Ok(Notes { checkpoint: Some(checkpoint), ..Notes::default() })
        })
    }

    fn make(
        &self,
        now: Timestamp,
        kind: LineKind,
        facts: Facts,
        notes: impl FnOnce(u64, &str) -> Result<Notes>,
    ) -> Result<Made<'_>> {
        let mut head = self.lock();
        let (seq, at) = (head.seq + 1, now.max(head.at));
        let mut line = Line::new(seq, at, &self.writer, &head.hash, kind, facts);
        line.notes = notes(seq, &head.hash)?;
        line.notes.unwritten.clone_from(&head.unwritten);
        let (text, hash) = line.written()?;
        let said = mem::take(&mut head.unwritten);
        let unsigned = match &line.notes.checkpoint {
            Some(own) if own.writer == self.writer => 0,
            Some(_) => head.unsigned,
            None => head.unsigned + 1,
        };
        *head = Head { seq, hash: hash.clone(), at, unsigned, unwritten: Vec::new() };
        drop(head);
        Ok(Made { chain: self, seq, at, text, hash, said, checkpoint: line.notes.checkpoint })
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        // Whole values are put in.
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line that was made. Unless [`Made::written`] is told, a later line says that it may be missing: where its commit
/// fails, and where nobody waits for its end.
#[must_use]
#[derive(Debug)]
pub(super) struct Made<'a> {
    chain: &'a Chain,
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) text: String,
    hash: String,
    /// What this line says of others, which is to be said again if it is missing itself.
    said: Vec<Unwritten>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Made<'_> {
    pub(super) fn writer(&self) -> &str {
        &self.chain.writer
    }

    /// It is stored.
    pub(super) fn written(mut self) {
        self.seq = 0;
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if self.seq == 0 {
            return;
        }
        let own = Unwritten { from: self.seq, to: self.seq, sha256: mem::take(&mut self.hash) };
        let mut head = self.chain.lock();
        let mut all = mem::take(&mut head.unwritten);
        all.append(&mut self.said);
        all.push(own);
        head.unwritten = joined(all);
        // A checkpoint that failed began the count anew: the next one is due all the same.
        head.unsigned += 1;
    }
}

/// Runs of lines as one, so that an outage is one run.
fn joined(mut runs: Vec<Unwritten>) -> Vec<Unwritten> {
    runs.sort_by_key(|run| run.from);
    let mut joined: Vec<Unwritten> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if run.from <= last.to.saturating_add(1) => {
                if run.to >= last.to {
                    (last.to, last.sha256) = (run.to, run.sha256);
                }
            }
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(chain: &Chain) -> Made<'_> {
        chain.next(Timestamp(5), LineKind::Service, Facts::default(), Notes::default()).unwrap()
    }

    fn read(made: &Made<'_>) -> Line {
        serde_json::from_str(&made.text).unwrap()
    }

    #[test]
    fn each_line_holds_the_hash_of_the_one_before() {
        let chain = Chain::new("w".into());
        let first = line(&chain);
        let second = line(&chain);
        assert_eq!((read(&first).prev.as_str(), read(&first).seq), (NOTHING_BEFORE, 1));
        assert_eq!((read(&second).prev, read(&second).seq), (first.hash.clone(), 2));
        first.written();
        second.written();
        assert!(read(&line(&chain)).notes.unwritten.is_empty());
    }

    #[test]
    fn what_may_be_missing_is_said_until_a_line_that_says_so_is_there() {
        let chain = Chain::new("w".into());
        let (first, second, third) = (line(&chain), line(&chain), line(&chain));
        let hash = second.hash.clone();
        third.written();
        drop(first);
        drop(second);
        let says = line(&chain);
        assert_eq!(read(&says).notes.unwritten, [Unwritten { from: 1, to: 2, sha256: hash }]);
        let meanwhile = line(&chain);
        assert!(read(&meanwhile).notes.unwritten.is_empty());
        drop(says);
        meanwhile.written();
        let again = line(&chain);
        let runs: Vec<_> = read(&again).notes.unwritten.iter().map(|run| (run.from, run.to)).collect();
        assert_eq!(runs, [(1, 2), (4, 4)]);
    }

    #[test]
    fn an_outage_is_one_run() {
        let chain = Chain::new("w".into());
        for _ in 0..1000 {
            drop(line(&chain));
        }
        assert_eq!(read(&line(&chain)).notes.unwritten.len(), 1);
    }

    #[test]
    fn time_never_goes_back_within_a_chain() {
        let chain = Chain::new("w".into());
        line(&chain).written();
        let made = chain.next(Timestamp(3), LineKind::Service, Facts::default(), Notes::default()).unwrap();
        assert_eq!(made.at, Timestamp(5));
        made.written();
    }

    #[test]
    fn a_checkpoint_signs_the_place_and_begins_the_count_anew() {
        let (chain, key) = (Chain::new("w".into()), AuditKey::generate().unwrap());
        line(&chain).written();
        assert_eq!(chain.unsigned(), 1);
        let made = chain.checkpoint(Timestamp(9), LineKind::Checkpoint, &key).unwrap();
        let checkpoint = made.checkpoint.clone().unwrap();
        assert_eq!((checkpoint.seq, checkpoint.prev.clone()), (2, read(&made).prev));
        assert_eq!(read(&made).notes.checkpoint, Some(checkpoint));
        made.written();
        assert_eq!(chain.unsigned(), 0);
        line(&chain).written();
        drop(chain.checkpoint(Timestamp(9), LineKind::Checkpoint, &key).unwrap());
        assert!(chain.unsigned() > 0, "the next one is due");
    }
}
