//! Promises about due work: leases, their order, and what they cost.

use super::*;
use certmint::store::{Record, StoreError};
use futures_util::future::join_all;
use std::collections::HashSet;

async fn due(s: &dyn Store, key: &str, when: i64) -> Revision {
    s.commit(puts([Put { due: Some(at(when)), ..new(key, key) }])).await.unwrap()
}

async fn claim(s: &dyn Store, now: i64, until: i64, limit: usize) -> Vec<Record> {
    s.claim(at(now), at(until), limit).await.unwrap()
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.as_str()).collect()
}

pub(crate) async fn a_claim_is_exclusive_until_it_expires(s: &dyn Store) {
    for (key, when) in [("a", 10), ("b", 11), ("c", 99)] {
        due(s, key, when).await;
    }
    assert_eq!(keys(&claim(s, 20, 50, 1).await), ["a"]);
    assert_eq!(keys(&claim(s, 20, 50, 9).await), ["b"]);
    assert_eq!(claim(s, 49, 80, 9).await, []);
    let mut again = claim(s, 50, 80, 9).await;
    again.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(keys(&again), ["a", "b"]);
}

pub(crate) async fn a_claim_takes_the_soonest_first(s: &dyn Store) {
    for (key, when) in [("c", 30), ("z", -5), ("a", 40), ("b", 20), ("y", 0)] {
        due(s, key, when).await;
    }
    assert_eq!(keys(&claim(s, 100, 200, 3).await), ["z", "y", "b"]);
    assert_eq!(keys(&claim(s, 100, 200, 3).await), ["c", "a"]);
}

pub(crate) async fn a_claim_gives_a_new_revision_and_the_lease_as_due_time(s: &dyn Store) {
    let written = due(s, "a", 10).await;
    let held = claim(s, 10, 50, 1).await.remove(0);
    assert!(held.revision > written);
    assert_eq!((held.body.as_slice(), held.due), (&b"a"[..], Some(at(50))));
    assert_eq!(s.get("a").await.unwrap(), Some(held));
}

pub(crate) async fn a_late_holder_conflicts(s: &dyn Store) {
    due(s, "a", 10).await;
    let late = claim(s, 20, 30, 1).await.remove(0);
    let holder = claim(s, 30, 40, 1).await.remove(0);
    assert!(matches!(s.commit(puts([change("a", late.revision, "late")])).await, Err(StoreError::Conflict(_))));
    s.commit(puts([change("a", holder.revision, "done")])).await.unwrap();
    assert_eq!(body_of(s, "a").await.as_deref(), Some("done"));
}

pub(crate) async fn a_holder_in_time_commits(s: &dyn Store) {
    due(s, "a", 10).await;
    let held = claim(s, 20, 30, 1).await.remove(0);
    let next = Put { due: Some(at(25)), ..change("a", held.revision, "step 2") };
    s.commit(puts([next])).await.unwrap();
    assert_eq!(keys(&claim(s, 25, 60, 9).await), ["a"], "the due time of the holder holds, not the lease");
}

pub(crate) async fn who_read_before_the_claim_conflicts(s: &dyn Store) {
    let read = due(s, "a", 10).await;
    claim(s, 20, 30, 1).await;
    assert!(matches!(s.commit(puts([change("a", read, "x")])).await, Err(StoreError::Conflict(_))));
}

pub(crate) async fn what_is_never_due_is_never_claimed(s: &dyn Store) {
    create(s, "never", "").await;
    assert_eq!(claim(s, i64::MAX, i64::MAX, 9).await, []);
    due(s, "once", 10).await;
    let held = claim(s, 20, 30, 9).await.remove(0);
    s.commit(puts([change("once", held.revision, "done")])).await.unwrap();
    assert_eq!(claim(s, i64::MAX, i64::MAX, 9).await, []);
}

pub(crate) async fn what_is_due_later_is_not_claimed(s: &dyn Store) {
    due(s, "a", 10).await;
    assert_eq!(claim(s, 9, 50, 9).await, []);
    assert_eq!(keys(&claim(s, 10, 50, 9).await), ["a"]);
}

pub(crate) async fn a_claim_of_nothing_writes_nothing(s: &dyn Store) {
    let written = due(s, "a", 10).await;
    let bell = s.head();
    assert_eq!(claim(s, 9, 50, 9).await, []);
    assert_eq!(claim(s, 99, 150, 0).await, []);
    assert_eq!(s.events(0, 1).await.unwrap().head, written);
    assert_eq!(s.get("a").await.unwrap().unwrap().revision, written);
    assert!(!bell.has_changed().unwrap());
}

pub(crate) async fn a_claim_leaves_no_event(s: &dyn Store) {
    due(s, "a", 10).await;
    let held = claim(s, 20, 30, 9).await.remove(0);
    let page = s.events(0, 9).await.unwrap();
    assert_eq!((page.events, page.head), (vec![], held.revision));
}

pub(crate) async fn two_workers_never_hold_the_same_record(s: &dyn Store) {
    let all: Vec<_> = (0..200).map(|i| format!("k{i:03}")).collect();
    s.commit(puts(all.iter().map(|key| Put { due: Some(at(1)), ..new(key, "") }).collect::<Vec<_>>())).await.unwrap();
    let worker = async || {
        let mut held = Vec::new();
        loop {
            let some = claim(s, 10, 99, 7).await;
            if some.is_empty() {
                return held;
            }
            held.extend(some.into_iter().map(|record| record.key));
        }
    };
    let held: Vec<String> = join_all((0..8).map(|_| worker())).await.concat();
    assert_eq!(held.len(), 200);
    assert_eq!(held.into_iter().collect::<HashSet<_>>().len(), 200);
}
