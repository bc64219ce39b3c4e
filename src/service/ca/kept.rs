//! What is kept in memory of what CAs publish: bounded in bytes, however many lists there are and whatever strangers ask.

use crate::domain::Timestamp;
use crate::domain::text::hex;
use crate::keys::digest;
use crate::keys::ocsp::Status;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A list is believed for so long.
const LIST: Duration = Duration::from_secs(1);
/// Bytes of lists.
const LISTS: usize = 64 << 20;
/// An OCSP answer without a nonce is used again for so long, if the status is still the same.
const ANSWER: Duration = Duration::from_secs(600);
/// OCSP answers: some twenty megabytes, with those of long certificates of responders.
const ANSWERS: usize = 10_000;
/// Longest question whose answer is kept. One certificate takes about 100 bytes; a stranger may ask for 32, with
/// parameters of any length, and the answer repeats them.
const QUESTION: usize = 256;

/// A file, or an answer, with what HTTP says of it.
#[derive(Clone, Debug)]
pub struct Published {
    pub bytes: Arc<Vec<u8>>,
    pub modified: Timestamp,
    /// When the next one is due; `None` for what does not change.
    pub expires: Option<Timestamp>,
    /// SHA-256 of the bytes, in hex.
    pub tag: String,
}

/// Where a list belongs: the authority and the shard.
pub(super) type ListPlace = (String, u32);

/// A list as it was read.
pub(super) struct Kept {
    at: Instant,
    pub(super) file: Option<Published>,
}

impl Published {
    pub(super) fn new(bytes: Vec<u8>, modified: Timestamp, expires: Option<Timestamp>) -> Self {
        let tag = hex(&digest::fingerprint(&bytes));
        Self { bytes: Arc::new(bytes), modified, expires, tag }
    }
}

/// Revocation lists as they were last read; `None` where there was none.
#[derive(Default)]
pub(super) struct Lists(HashMap<ListPlace, Kept>);

impl Lists {
    /// A list that needs not be read again yet.
    pub(super) fn young(&self, place: &ListPlace) -> Option<&Kept> {
        self.0.get(place).filter(|kept| kept.at.elapsed() < LIST)
    }

    /// Keeps what was read.
    pub(super) fn keep(&mut self, place: ListPlace, file: Option<Published>) {
        self.0.remove(&place);
        let bytes = |file: &Option<Published>| file.as_ref().map_or(0, |file| file.bytes.len());
        let kept: usize = self.0.values().map(|kept| bytes(&kept.file)).sum();
        if kept.saturating_add(bytes(&file)) > LISTS {
            // They are read again when somebody asks.
            self.0.clear();
        }
        self.0.insert(place, Kept { at: Instant::now(), file });
    }

    /// The list as it was, where it cannot be read now: it is good until its end. Nobody tries again for a while.
    pub(super) fn meanwhile(&mut self, place: &ListPlace) -> Option<Published> {
        let now = Instant::now();
        for kept in self.0.values_mut() {
            kept.at = now;
        }
        self.0.get(place)?.file.clone()
    }
}

struct Signed {
    at: Instant,
    statuses: Vec<Status>,
    answer: Published,
}

/// OCSP answers, by what was asked.
#[derive(Default)]
pub(super) struct Answers(HashMap<Vec<u8>, Signed>);

impl Answers {
    /// The answer to a question, if the statuses are still those.
    pub(super) fn known(&self, question: &[u8], statuses: &[Status]) -> Option<Published> {
        let known = self.0.get(question)?;
        (known.at.elapsed() < ANSWER && known.statuses == statuses).then(|| known.answer.clone())
    }

    /// Keeps an answer, if its question is not too long.
    pub(super) fn keep(&mut self, question: Vec<u8>, statuses: Vec<Status>, answer: Published) {
        if question.len() > QUESTION {
            return;
        }
        if self.0.len() >= ANSWERS {
            self.0.clear();
        }
        self.0.insert(question, Signed { at: Instant::now(), statuses, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(length: usize) -> Published {
        Published { bytes: Arc::new(vec![0; length]), modified: Timestamp(0), expires: None, tag: String::new() }
    }

    #[test]
    fn lists_are_bounded_in_bytes_and_outlive_a_store_that_is_down() {
        let mut lists = Lists::default();
        let place = |shard: u32| ("a".to_owned(), shard);
        for shard in 0..5 {
            lists.keep(place(shard), Some(published(LISTS / 4)));
        }
        let kept: Vec<u32> = (0..5).filter(|shard| lists.young(&place(*shard)).is_some()).collect();
        assert_eq!(kept, [4]);
        // A list that is read again does not count twice.
        for _ in 0..8 {
            lists.keep(place(4), Some(published(LISTS / 4)));
        }
        lists.keep(place(5), None);
        assert!(lists.young(&place(4)).is_some() && lists.young(&place(5)).is_some_and(|kept| kept.file.is_none()));
        for kept in lists.0.values_mut() {
            kept.at -= LIST;
        }
        assert!(lists.young(&place(4)).is_none());
        assert_eq!(lists.meanwhile(&place(4)).map(|file| file.bytes.len()), Some(LISTS / 4));
        assert!(lists.young(&place(4)).is_some() && lists.meanwhile(&place(6)).is_none());
    }

    #[test]
    fn answers_to_long_questions_are_not_kept() {
        let mut answers = Answers::default();
        for length in [QUESTION, QUESTION + 1] {
            answers.keep(vec![1; length], vec![Status::Good], published(1));
        }
        assert!(answers.known(&[1; QUESTION], &[Status::Good]).is_some());
        assert!(answers.known(&[1; QUESTION], &[Status::Unknown]).is_none());
        assert!(answers.known(&[1; QUESTION + 1], &[Status::Good]).is_none());
    }
}
