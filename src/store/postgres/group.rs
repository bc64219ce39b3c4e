//! Groups batches that do not touch the same keys into one transaction, as arrays of one statement.

use super::keys;
use crate::store::common::integer;
use crate::store::{Batch, Delete, Put, Revision, StoreError};
use std::collections::{HashSet, VecDeque};
use tokio::sync::oneshot;

/// A batch with the one who waits for it.
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Revision, StoreError>>,
}

/// Takes from the front what may share a transaction: up to `most` batches and `bytes` of bodies, no key
/// twice, so that one statement can judge all of them by what was there before. Whoever is left waits at
/// the front in the old order.
pub(super) fn take(queue: &mut VecDeque<Waiting>, most: usize, bytes: usize) -> Vec<Waiting> {
    let mut group: Vec<Waiting> = Vec::new();
    let mut left = VecDeque::new();
    let mut taken: HashSet<String> = HashSet::new();
    let mut size = 0;
    while let Some(next) = queue.pop_front() {
        let own = bytes_of(&next.batch);
        let fits = group.is_empty() || (group.len() < most && size + own <= bytes);
        if !fits {
            left.push_back(next);
            break;
        }
        let free = keys_of(&next.batch).all(|key| !taken.contains(key));
        // Also the keys of one that is left: what comes later for them must not overtake it.
        taken.extend(keys_of(&next.batch).map(str::to_owned));
        if free {
            size += own;
            group.push(next);
        } else {
            left.push_back(next);
        }
    }
    left.append(queue);
    *queue = left;
    group
}

fn keys_of(batch: &Batch) -> impl Iterator<Item = &str> {
    let Batch { puts, deletes, events: _ } = batch;
    puts.iter().map(|put| put.key.as_str()).chain(deletes.iter().map(|delete| delete.key.as_str()))
}

fn bytes_of(batch: &Batch) -> usize {
    let Batch { puts, deletes: _, events } = batch;
    puts.iter().map(|put| put.body.len()).chain(events.iter().map(Vec::len)).sum()
}

/// The parameters of the statement that writes a group: arrays of the batches, of the records in them, and of
/// their events.
#[derive(Default)]
pub(super) struct Arrays<'a> {
    /// Revisions that each batch takes.
    pub(super) takes: Vec<i64>,
    /// The batch of each record, counted from one.
    pub(super) of: Vec<i32>,
    pub(super) keys: Vec<String>,
    pub(super) expected: Vec<Option<i64>>,
    pub(super) gone: Vec<bool>,
    pub(super) due: Vec<Option<i64>>,
    pub(super) bodies: Vec<&'a [u8]>,
    /// The batch of each event.
    pub(super) event_of: Vec<i32>,
    /// Its place in its batch, counted from one.
    pub(super) event_place: Vec<i64>,
    pub(super) event_bodies: Vec<&'a [u8]>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(batches: impl Iterator<Item = &'a Batch>) -> Self {
        let mut arrays = Self::default();
        for (number, batch) in (1_i32..).zip(batches) {
            arrays.takes.push(integer(batch.revisions()));
            let Batch { puts, deletes, events } = batch;
            for Put { key, expected, body, due } in puts {
                arrays.record(number, key, expected.map(integer), false);
                arrays.due.push(due.map(|due| due.0));
                arrays.bodies.push(body);
            }
            for Delete { key, expected } in deletes {
                arrays.record(number, key, Some(integer(*expected)), true);
                arrays.due.push(None);
                arrays.bodies.push(&[]);
            }
            for (place, body) in (1_i64..).zip(events) {
                arrays.event_of.push(number);
                arrays.event_place.push(place);
                arrays.event_bodies.push(body);
            }
        }
        arrays
    }

    fn record(&mut self, of: i32, key: &str, expected: Option<i64>, gone: bool) {
        self.of.push(of);
        self.keys.push(keys::stored(key).into_owned());
        self.expected.push(expected);
        self.gone.push(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(keys: &[&str], body: usize) -> Waiting {
        let puts =
            keys.iter().map(|key| Put { key: (*key).to_owned(), expected: None, body: vec![0; body], due: None });
        Waiting { batch: Batch { puts: puts.collect(), ..Batch::default() }, answer: oneshot::channel().0 }
    }

    fn groups(queue: Vec<Waiting>, most: usize, bytes: usize) -> Vec<String> {
        let mut queue = VecDeque::from(queue);
        let mut groups = Vec::new();
        while !queue.is_empty() {
            let group = take(&mut queue, most, bytes);
            let names: Vec<_> = group.iter().map(|one| keys_of(&one.batch).collect::<String>()).collect();
            groups.push(names.join(" "));
        }
        groups
    }

    #[test]
    fn a_key_stands_in_a_group_once_and_nobody_overtakes_for_it() {
        let queue = [&["a", "b"][..], &["b", "c"], &["c"], &["d"], &["a"]];
        let queue = queue.into_iter().map(|keys| waiting(keys, 1)).collect();
        assert_eq!(groups(queue, 99, 99), ["ab d", "bc a", "c"]);
    }

    #[test]
    fn a_group_has_its_limits_and_a_large_batch_goes_alone() {
        let queue = || ["a", "b", "c"].into_iter().map(|key| waiting(&[key], 10)).collect();
        assert_eq!(groups(queue(), 2, 99), ["a b", "c"]);
        assert_eq!(groups(queue(), 99, 20), ["a b", "c"]);
        assert_eq!(groups(queue(), 99, 1), ["a", "b", "c"]);
    }
}
