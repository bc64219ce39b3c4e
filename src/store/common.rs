//! Common to both stores: the key range of a list, the storage of revisions, checks before a database call, and whether
//! the database is still the one that this process started with.

use super::{Batch, HistoryLost, MAX_KEYS, Record, Revision, StoreError};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::thread;
use tokio_util::sync::CancellationToken;

/// What can be refused without asking the database. Waiting does not help.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the body of {key} has {size} bytes, the limit is {limit}")]
    BodyTooLarge { key: String, size: usize, limit: usize },
    #[error("{0} appears twice in one batch")]
    KeyTwice(String),
    #[error("{asked} records were asked for at once, the limit is {MAX_KEYS}")]
    TooManyKeys { asked: usize },
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::Broken(Box::new(refusal))
    }
}

/// Refuses a batch with a body above `limit` bytes, or with a key that stands in it twice.
pub(super) fn check_batch(batch: &Batch, limit: usize) -> Result<(), Refusal> {
    let Batch { puts, deletes: _, events } = batch;
    let bodies = puts.iter().map(|put| (put.key.as_str(), &put.body));
    for (key, body) in bodies.chain(events.iter().map(|body| ("an event", body))) {
        if body.len() > limit {
            return Err(Refusal::BodyTooLarge { key: key.to_owned(), size: body.len(), limit });
        }
    }
    match batch.repeated_key() {
        Some(key) => Err(Refusal::KeyTwice(key.to_owned())),
        None => Ok(()),
    }
}

/// Refuses to read more than [`MAX_KEYS`] records at once.
pub(super) fn check_keys(keys: &[String]) -> Result<(), Refusal> {
    if keys.len() > MAX_KEYS { Err(Refusal::TooManyKeys { asked: keys.len() }) } else { Ok(()) }
}

/// The records in the order in which they were asked for, each as often.
pub(super) fn in_order(keys: &[String], found: Vec<Record>) -> Vec<Option<Record>> {
    let by_key: HashMap<&str, &Record> = found.iter().map(|record| (record.key.as_str(), record)).collect();
    keys.iter().map(|key| by_key.get(key.as_str()).map(|record| (*record).clone())).collect()
}

/// Databases count with a sign. No revision and no count of ours reaches the end of that.
pub(super) fn integer(unsigned: impl TryInto<i64>) -> i64 {
    unsigned.try_into().unwrap_or(i64::MAX)
}

pub(super) fn revision(stored: i64) -> Revision {
    stored.max(0).unsigned_abs()
}

/// The first key that a list after `after` may show. One lower bound, not two: a database would use one for the
/// index and walk over the other. `after` with a zero character is the first key behind `after`.
pub(super) fn first_of_list(prefix: &str, after: &str) -> String {
    if after >= prefix { format!("{after}\0") } else { prefix.to_owned() }
}

/// The smallest text that is greater than every text with this prefix; none if there is no such text.
pub(super) fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // UTF-8 orders as the characters do. The range steps over the surrogates and ends at U+10FFFF.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Whether the database still holds the history that this process began with. Once lost, it stays lost: what this
/// process knows and has sent of the log no longer matches the database.
#[derive(Debug, Default)]
pub(super) struct History(OnceLock<HistoryLost>);

impl History {
    pub(super) fn check(&self) -> Result<(), HistoryLost> {
        self.0.get().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// Says so in the log, the first time. True if it was the first time.
    pub(super) fn lose(&self, lost: HistoryLost) -> bool {
        let first = self.0.set(lost.clone()).is_ok();
        if first {
            tracing::error!("{lost}");
        }
        first
    }
}

/// Held by a thread or task that the store cannot do without: says so when it panics.
pub(super) struct Alarm(pub(super) CancellationToken);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        let cases = [
            ("a", Some("b")),
            ("a/", Some("a0")),
            ("\u{7f}", Some("\u{80}")),
            ("\u{ff}", Some("\u{100}")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("a\u{10ffff}\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ];
        for (prefix, end) in cases {
            assert_eq!(end_of_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }

    #[test]
    fn revisions_beyond_the_sign_are_the_greatest_one() {
        assert_eq!((integer(7_u64), integer(u64::MAX)), (7, i64::MAX));
        assert_eq!((revision(7), revision(-7)), (7, 0));
    }

    #[test]
    fn a_history_is_lost_once_and_for_the_first_reason() {
        let history = History::default();
        history.check().unwrap();
        let back = HistoryLost::SetBack { found: 3, seen: 9 };
        assert!(history.lose(back.clone()) && !history.lose(HistoryLost::OtherEpoch));
        assert_eq!(history.check(), Err(back));
    }
}
