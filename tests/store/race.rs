//! Promises that only show when many write at once.

use super::*;
use certmint::store::StoreError;
use futures_util::future::{join, join_all};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) async fn of_two_writers_of_one_key_exactly_one_wins(s: &dyn Store) {
    for round in 0..50 {
        let key = format!("k{round}");
        let both = join_all((0..2).map(|i| s.commit(puts([new(&key, &i.to_string())])))).await;
        let winners: Vec<_> = (0..2).filter(|&i| both[i].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{both:?}");
        assert!(both.iter().any(|one| matches!(one, Err(StoreError::Conflict(lost)) if *lost == key)));
        assert_eq!(body_of(s, &key).await, Some(winners[0].to_string()));
    }
    let mut revision = create(s, "changed", "").await;
    for _ in 0..50 {
        let all = join_all((0..4).map(|i| s.commit(puts([change("changed", revision, &i.to_string())])))).await;
        let won: Vec<_> = all.iter().filter_map(|one| one.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{all:?}");
        revision = *won[0];
    }
}

pub(crate) async fn a_refused_batch_does_not_harm_its_neighbours(s: &dyn Store) {
    create(s, "taken", "first").await;
    let batches = (0..60).map(|i| {
        let key = format!("k{i:02}");
        // Refused ones write first, so there is something to take back.
        let mut batch = Batch { events: vec![key.clone().into()], ..puts([new(&key, &key)]) };
        if i % 3 == 0 {
            batch.puts.push(new("taken", "second"));
        }
        s.commit(batch)
    });
    let answers = join_all(batches).await;
    let log = whole_log(s, 7).await;
    let mut in_log = bodies(&log);
    in_log.sort_unstable();
    let mut expected = Vec::new();
    for (i, answer) in answers.iter().enumerate() {
        let key = format!("k{i:02}");
        if i % 3 == 0 {
            assert!(matches!(answer, Err(StoreError::Conflict(key)) if key == "taken"));
            assert_eq!(body_of(s, &key).await, None);
        } else {
            let revision = *answer.as_ref().unwrap();
            assert_eq!(s.get(&key).await.unwrap().unwrap().revision, revision);
            assert!(log.iter().any(|event| event.revision == revision && event.body == key.as_bytes()));
            expected.push(key);
        }
    }
    assert_eq!(in_log, expected);
    assert_eq!(body_of(s, "taken").await.as_deref(), Some("first"));
}

pub(crate) async fn a_chain_of_changes_in_one_burst_holds(s: &dyn Store) {
    // Others keep the groups full, while each writer builds on what it was just told.
    let writer = async |name: usize| {
        let key = format!("w{name}");
        let mut revision = create(s, &key, "0").await;
        for i in 1..40 {
            let next = s.commit(puts([change(&key, revision, &i.to_string())])).await.unwrap();
            assert!(next > revision);
            revision = next;
        }
        assert_eq!(body_of(s, &key).await.as_deref(), Some("39"));
    };
    join_all((0..8).map(writer)).await;
}

/// The gap test: a reader that goes on from the last revision it saw must see every event, though
/// it reads while others commit. A store that numbers events before their commit loses some here
/// (`naive.rs` shows it).
pub(crate) async fn a_tailing_reader_misses_nothing_and_sees_commit_order(s: &dyn Store) {
    const WRITERS: usize = 16;
    const EACH: usize = 40;
    let writing = AtomicUsize::new(WRITERS);
    let writer = async |name: usize| {
        let mut acknowledged = Vec::new();
        for i in 0..EACH {
            let (one, two) = (format!("{name}/{i}/a"), format!("{name}/{i}/b"));
            let batch = events([one.as_str(), two.as_str()]);
            let last = s.commit(batch).await.unwrap();
            acknowledged.push((last - 1, one));
            acknowledged.push((last, two));
        }
        writing.fetch_sub(1, Ordering::SeqCst);
        acknowledged
    };
    let tail = async {
        let mut seen: Vec<(Revision, String)> = Vec::new();
        let mut head = s.head();
        let mut pages = 3;
        while seen.len() < WRITERS * EACH * 2 {
            let cursor = seen.last().map_or(0, |(revision, _)| *revision);
            let all_written = writing.load(Ordering::SeqCst) == 0;
            let page = s.events(cursor, pages).await.unwrap();
            pages = pages % 11 + 1;
            let before = seen.len();
            for event in page.events {
                assert!(seen.last().is_none_or(|(last, _)| *last < event.revision), "revisions went back");
                assert!(event.revision <= page.head);
                seen.push((event.revision, String::from_utf8(event.body).unwrap()));
            }
            if seen.len() == before {
                // What was written before this read is there, or is never seen.
                if all_written {
                    break;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), head.changed()).await;
            }
        }
        seen
    };
    let (acknowledged, seen) = join(join_all((0..WRITERS).map(writer)), tail).await;
    let mut acknowledged = acknowledged.concat();
    acknowledged.sort_unstable();
    let missed = acknowledged.len() - seen.len();
    assert_eq!(missed, 0, "the tailing reader missed {missed} of {} events", acknowledged.len());
    assert_eq!(acknowledged, seen);
}

pub(crate) async fn what_is_acknowledged_is_below_the_head(s: &dyn Store) {
    let bell = s.head();
    let writer = async |name: usize| {
        for i in 0..20 {
            let revision = create(s, &format!("{name}/{i}"), "").await;
            assert!(*bell.borrow() >= revision, "answered before the doorbell rang");
            assert!(s.events(revision, 1).await.unwrap().head >= revision);
        }
    };
    join_all((0..8).map(writer)).await;
}

/// What was read lately may be kept in memory; nobody may notice it.
pub(crate) async fn a_reader_never_sees_less_than_was_acknowledged_or_shown(s: &dyn Store) {
    const CHANGES: u64 = 300;
    let first = create(s, "polled", "0").await;
    let (acknowledged, done) = (AtomicU64::new(first), AtomicBool::new(false));
    let writer = async {
        let mut revision = first;
        for number in 1..=CHANGES {
            let body = number.to_string();
            let mut batch = puts([Put { due: Some(at(1)), ..change("polled", revision, &body) }]);
            batch.events.push(body.into());
            revision = s.commit(batch).await.unwrap();
            acknowledged.store(revision, Ordering::SeqCst);
            if number % 3 == 0 {
                let claimed = s.claim(at(2), at(1), 10).await.unwrap();
                revision = claimed[0].revision;
                acknowledged.store(revision, Ordering::SeqCst);
            }
        }
        done.store(true, Ordering::SeqCst);
    };
    let reader = async |_: usize| {
        let (mut seen, mut cursor) = (0, 0);
        while !done.load(Ordering::SeqCst) {
            let told = acknowledged.load(Ordering::SeqCst);
            let read = s.get("polled").await.unwrap().unwrap().revision;
            assert!(read >= told, "read {read} after {told} was acknowledged");
            assert!(read >= seen, "read {read} after {seen} was shown");
            cursor = s.events(cursor, 1000).await.unwrap().events.last().map_or(cursor, |event| event.revision);
            seen = read.max(cursor);
            tokio::task::yield_now().await;
        }
    };
    join(writer, join_all((0..4).map(reader))).await;
    let last = s.get("polled").await.unwrap().unwrap();
    assert_eq!((last.body, last.revision), (CHANGES.to_string().into_bytes(), acknowledged.into_inner()));
}
