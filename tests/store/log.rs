//! Promises about the log: revisions, pages, the head watch, trimming.

use super::*;

pub(crate) async fn every_event_has_its_own_revision(s: &dyn Store) {
    s.commit(events(["a", "b", "c"])).await.unwrap();
    s.commit(events(["d"])).await.unwrap();
    let log = whole_log(s, 99).await;
    assert_eq!(bodies(&log), ["a", "b", "c", "d"]);
    assert!(log.windows(2).all(|pair| pair[0].revision < pair[1].revision), "{log:?}");
}

pub(crate) async fn the_records_get_the_last_revision_of_the_batch(s: &dyn Store) {
    let revision = s.commit(Batch { puts: vec![new("r", "1")], ..events(["a", "b"]) }).await.unwrap();
    let log = whole_log(s, 99).await;
    assert_eq!(log.iter().map(|event| event.revision).collect::<Vec<_>>(), [revision - 1, revision]);
    assert_eq!(s.get("r").await.unwrap().unwrap().revision, revision);
}

pub(crate) async fn a_batch_without_events_takes_a_revision(s: &dyn Store) {
    let first = create(s, "a", "").await;
    let second = create(s, "b", "").await;
    assert!(first > 0 && second > first);
}

pub(crate) async fn an_empty_batch_takes_a_revision_and_leaves_nothing(s: &dyn Store) {
    let before = create(s, "a", "").await;
    let empty = s.commit(Batch::default()).await.unwrap();
    assert!(empty > before);
    let page = s.events(0, 9).await.unwrap();
    assert_eq!((page.events, page.head), (vec![], empty));
    assert_eq!(s.list("", "", 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_page_can_end_inside_a_batch(s: &dyn Store) {
    s.commit(events(["0", "1", "2"])).await.unwrap();
    s.commit(events(["3", "4"])).await.unwrap();
    for page in 1..6 {
        let log = whole_log(s, page).await;
        assert_eq!(bodies(&log), ["0", "1", "2", "3", "4"], "pages of {page}");
    }
    assert_eq!(s.events(0, 2).await.unwrap().events.len(), 2);
    assert_eq!(s.events(0, 0).await.unwrap().events, []);
}

pub(crate) async fn a_page_says_what_the_log_reaches(s: &dyn Store) {
    let empty = s.events(0, 9).await.unwrap();
    assert_eq!((empty.trimmed, empty.head), (0, 0));
    let head = s.commit(events(["a", "b"])).await.unwrap();
    let page = s.events(0, 1).await.unwrap();
    assert_eq!((page.events.len(), page.trimmed, page.head), (1, 0, head));
}

pub(crate) async fn a_cursor_at_or_beyond_the_head_gets_nothing(s: &dyn Store) {
    let head = s.commit(events(["a"])).await.unwrap();
    for cursor in [head, head + 1, u64::MAX] {
        let page = s.events(cursor, 9).await.unwrap();
        assert_eq!((page.events, page.head), (vec![], head));
    }
}

pub(crate) async fn the_head_is_notified_after_commit(s: &dyn Store) {
    let mut head = s.head();
    assert!(!head.has_changed().unwrap(), "it rang for nothing");
    let revision = s.commit(events(["a", "b"])).await.unwrap();
    head.changed().await.unwrap();
    // Who wakes up finds what it rang for.
    let rung = *head.borrow_and_update();
    assert_eq!(rung, revision);
    assert_eq!(s.events(0, 9).await.unwrap().head, revision);
    assert!(!s.head().has_changed().unwrap(), "it rang for a commit before the visitor came");
    assert_eq!(*s.head().borrow(), revision);
}

pub(crate) async fn the_head_is_not_notified_for_a_refusal(s: &dyn Store) {
    create(s, "a", "").await;
    let mut head = s.head();
    head.mark_unchanged();
    s.commit(Batch { puts: vec![new("a", "")], ..events(["x"]) }).await.unwrap_err();
    assert!(!head.has_changed().unwrap());
}

async fn log_of(s: &dyn Store, count: usize) -> Vec<Revision> {
    for i in 0..count {
        // Every second one with a record alone before it, so that revisions are not the count.
        if i % 2 == 1 {
            create(s, &format!("r{i}"), "").await;
        }
        s.commit(events([i.to_string().as_str()])).await.unwrap();
    }
    whole_log(s, 99).await.iter().map(|event| event.revision).collect()
}

const LATE: Timestamp = Timestamp(i64::MAX);

pub(crate) async fn trimming_takes_the_oldest_and_says_so(s: &dyn Store) {
    let revisions = log_of(s, 6).await;
    assert_eq!(s.trim(LATE, 0, 2).await.unwrap(), 2);
    // A cursor below `trimmed` is told by the number; one at it goes on.
    for cursor in [0, revisions[0], revisions[1]] {
        let page = s.events(cursor, 99).await.unwrap();
        assert_eq!(page.trimmed, revisions[1]);
        assert_eq!(bodies(&page.events), ["2", "3", "4", "5"]);
    }
    assert_eq!(s.trim(LATE, 0, 99).await.unwrap(), 4);
    let page = s.events(0, 99).await.unwrap();
    assert_eq!((page.events, page.trimmed), (vec![], revisions[5]));
}

pub(crate) async fn trimming_goes_in_steps(s: &dyn Store) {
    log_of(s, 7).await;
    let mut steps = Vec::new();
    loop {
        steps.push(s.trim(LATE, 1, 3).await.unwrap());
        if *steps.last().unwrap() < 3 {
            break;
        }
    }
    assert_eq!(steps, [3, 3, 0]);
    assert_eq!(s.trim(LATE, 0, 0).await.unwrap(), 0);
    assert_eq!(bodies(&whole_log(s, 9).await), ["6"]);
}

pub(crate) async fn trimming_keeps_at_least_what_was_asked(s: &dyn Store) {
    log_of(s, 5).await;
    assert_eq!(s.trim(LATE, u64::MAX, 99).await.unwrap(), 0);
    assert_eq!(s.trim(LATE, 5, 99).await.unwrap(), 0);
    assert_eq!(s.trim(LATE, 3, 99).await.unwrap(), 2);
    assert_eq!(s.trim(LATE, 3, 99).await.unwrap(), 0);
    assert_eq!(bodies(&whole_log(s, 9).await), ["2", "3", "4"]);
}

pub(crate) async fn trimming_spares_what_is_too_young(s: &dyn Store) {
    log_of(s, 3).await;
    // Whatever clock a store has, it is past 1970.
    assert_eq!(s.trim(at(0), 0, 99).await.unwrap(), 0);
    let page = s.events(0, 99).await.unwrap();
    assert_eq!((page.events.len(), page.trimmed), (3, 0));
}

pub(crate) async fn trimming_counts_only_what_was_written(s: &dyn Store) {
    create(s, "taken", "").await;
    log_of(s, 2).await;
    for _ in 0..3 {
        s.commit(Batch { puts: vec![new("taken", "")], ..events(["refused"]) }).await.unwrap_err();
    }
    assert_eq!(s.trim(LATE, 2, 99).await.unwrap(), 0);
    assert_eq!(bodies(&whole_log(s, 9).await), ["0", "1"]);
}

pub(crate) async fn trimming_leaves_records_and_the_head_alone(s: &dyn Store) {
    let first = s.commit(Batch { puts: vec![new("a", "1")], ..events(["x"]) }).await.unwrap();
    let mut bell = s.head();
    assert_eq!(s.trim(LATE, 0, 9).await.unwrap(), 1);
    assert_eq!(s.events(0, 9).await.unwrap().head, first);
    assert!(!bell.has_changed().unwrap());
    assert_eq!(s.get("a").await.unwrap().unwrap().revision, first);
    let second = s.commit(events(["y"])).await.unwrap();
    assert!(second > first, "a revision that was trimmed came back");
    assert_eq!(*bell.borrow_and_update(), second);
}

pub(crate) async fn the_epoch_is_32_hex_digits_and_stays(s: &dyn Store) {
    let epoch = s.epoch().await.unwrap();
    assert!(epoch.len() == 32 && epoch.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{epoch}");
    s.commit(events(["x"])).await.unwrap();
    assert_eq!(s.epoch().await.unwrap(), epoch);
}
