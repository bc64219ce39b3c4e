//! Promises about records: conflicts, atomic batches, bodies, lists.

use super::*;
use certmint::store::StoreError;

pub(crate) async fn creating_twice_conflicts(s: &dyn Store) {
    create(s, "a", "1").await;
    assert!(matches!(s.commit(puts([new("a", "2")])).await, Err(StoreError::Conflict(key)) if key == "a"));
    assert_eq!(body_of(s, "a").await.as_deref(), Some("1"));
}

pub(crate) async fn a_stale_writer_conflicts(s: &dyn Store) {
    let first = create(s, "a", "1").await;
    let second = s.commit(puts([change("a", first, "2")])).await.unwrap();
    assert!(second > first);
    assert!(matches!(s.commit(puts([change("a", first, "3")])).await, Err(StoreError::Conflict(key)) if key == "a"));
    let record = s.get("a").await.unwrap().unwrap();
    assert_eq!((record.revision, record.body.as_slice()), (second, &b"2"[..]));
}

pub(crate) async fn changing_what_does_not_exist_conflicts(s: &dyn Store) {
    assert!(matches!(s.commit(puts([change("a", 1, "1")])).await, Err(StoreError::Conflict(key)) if key == "a"));
    assert_eq!(s.get("a").await.unwrap(), None);
}

pub(crate) async fn a_refused_batch_leaves_nothing(s: &dyn Store) {
    let stays = create(s, "stays", "1").await;
    create(s, "in the way", "1").await;
    let batch = Batch {
        puts: vec![new("a", "1"), new("in the way", "2"), new("b", "1")],
        deletes: vec![delete("stays", stays)],
        events: vec![b"event".to_vec()],
    };
    assert!(matches!(s.commit(batch).await, Err(StoreError::Conflict(key)) if key == "in the way"));
    let late = Batch {
        puts: vec![new("a", "1")],
        deletes: vec![delete("stays", stays), delete("in the way", 999)],
        events: vec![b"event".to_vec()],
    };
    assert!(matches!(s.commit(late).await, Err(StoreError::Conflict(key)) if key == "in the way"));
    let keys: Vec<_> = s.list("", "", 9).await.unwrap().into_iter().map(|r| (r.key, r.body)).collect();
    assert_eq!(keys, [("in the way".into(), b"1".to_vec()), ("stays".into(), b"1".to_vec())]);
    assert_eq!(s.events(0, 9).await.unwrap().events, []);
}

pub(crate) async fn a_batch_writes_all_of_it(s: &dyn Store) {
    let (old, gone) = (create(s, "old", "1").await, create(s, "gone", "1").await);
    let batch = Batch {
        puts: vec![new("new", "1"), change("old", old, "2")],
        deletes: vec![delete("gone", gone)],
        events: vec![b"x".to_vec(), b"y".to_vec()],
    };
    s.commit(batch).await.unwrap();
    assert_eq!(body_of(s, "new").await.as_deref(), Some("1"));
    assert_eq!(body_of(s, "old").await.as_deref(), Some("2"));
    assert_eq!(body_of(s, "gone").await, None);
    assert_eq!(bodies(&whole_log(s, 9).await), ["x", "y"]);
}

pub(crate) async fn a_delete_needs_the_revision_that_was_read(s: &dyn Store) {
    let first = create(s, "a", "1").await;
    let second = s.commit(puts([change("a", first, "2")])).await.unwrap();
    let only = |revision| Batch { deletes: vec![delete("a", revision)], ..Batch::default() };
    assert!(matches!(s.commit(only(first)).await, Err(StoreError::Conflict(key)) if key == "a"));
    assert_eq!(body_of(s, "a").await.as_deref(), Some("2"));
    s.commit(only(second)).await.unwrap();
    assert_eq!(body_of(s, "a").await, None);
    assert!(matches!(s.commit(only(second)).await, Err(StoreError::Conflict(_))), "it was deleted twice");
}

pub(crate) async fn a_deleted_key_can_be_created_again(s: &dyn Store) {
    let first = create(s, "a", "1").await;
    s.commit(Batch { deletes: vec![delete("a", first)], ..Batch::default() }).await.unwrap();
    create(s, "a", "2").await;
    assert_eq!(body_of(s, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn an_old_revision_does_not_fit_the_key_created_again(s: &dyn Store) {
    let first = create(s, "a", "1").await;
    s.commit(Batch { deletes: vec![delete("a", first)], ..Batch::default() }).await.unwrap();
    create(s, "a", "2").await;
    assert!(matches!(s.commit(puts([change("a", first, "3")])).await, Err(StoreError::Conflict(_))));
}

pub(crate) async fn a_key_twice_in_a_batch_is_refused(s: &dyn Store) {
    let there = create(s, "there", "1").await;
    let twice_put = puts([new("a", "1"), new("a", "2")]);
    let twice_deleted =
        Batch { deletes: vec![delete("there", there), delete("there", there)], ..puts([new("b", "1")]) };
    let put_and_deleted = Batch { deletes: vec![delete("there", there)], ..puts([change("there", there, "2")]) };
    for batch in [twice_put, twice_deleted, put_and_deleted] {
        s.commit(batch).await.unwrap_err();
    }
    let all: Vec<_> = s.list("", "", 9).await.unwrap().into_iter().map(|r| (r.key, r.revision)).collect();
    assert_eq!(all, [("there".to_owned(), there)]);
}

pub(crate) async fn an_impossible_revision_conflicts(s: &dyn Store) {
    create(s, "a", "1").await;
    for revision in [0, u64::MAX, u64::MAX / 2 + 1] {
        assert!(matches!(s.commit(puts([change("a", revision, "2")])).await, Err(StoreError::Conflict(_))));
        let only = Batch { deletes: vec![delete("a", revision)], ..Batch::default() };
        assert!(matches!(s.commit(only).await, Err(StoreError::Conflict(_))));
    }
    assert_eq!(body_of(s, "a").await.as_deref(), Some("1"));
}

pub(crate) async fn a_reader_sees_what_was_acknowledged(s: &dyn Store) {
    let mut revision = create(s, "a", "0").await;
    for i in 1..200 {
        let body = i.to_string();
        revision = s.commit(puts([change("a", revision, &body)])).await.unwrap();
        // Several at once, to meet more than one connection.
        let (get, list, again) = tokio::join!(s.get("a"), s.list("a", "", 1), s.get("a"));
        for record in [get.unwrap().unwrap(), list.unwrap().remove(0), again.unwrap().unwrap()] {
            assert_eq!((record.revision, record.body.as_slice()), (revision, body.as_bytes()));
        }
    }
}

pub(crate) async fn a_body_comes_back_byte_for_byte(s: &dyn Store) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let cases: [&[u8]; 8] =
        [b"", b"{\"a\": 1}", b"123", b"1.50", b"a\0b", b"\xff\xfe", "\u{10ffff}é".as_bytes(), &every_byte];
    for (i, body) in cases.into_iter().enumerate() {
        let key = i.to_string();
        let put = Put { body: body.to_vec(), ..new(&key, "") };
        let revision = s.commit(Batch { events: vec![body.to_vec()], ..puts([put]) }).await.unwrap();
        assert_eq!(s.get(&key).await.unwrap().unwrap().body, body);
        assert_eq!(s.events(revision - 1, 1).await.unwrap().events[0].body, body);
    }
}

pub(crate) async fn a_large_body_comes_back(s: &dyn Store) {
    let text = "0123456789abcdef".repeat(1 << 16);
    let mut binary: Vec<u8> = text.bytes().rev().collect();
    binary[77_777] = 0xff;
    s.commit(puts([new("text", &text), Put { body: binary.clone(), ..new("binary", "") }])).await.unwrap();
    assert!(s.get("text").await.unwrap().unwrap().body == text.as_bytes());
    assert!(s.get("binary").await.unwrap().unwrap().body == binary);
}

pub(crate) async fn a_due_time_comes_back(s: &dyn Store) {
    for (key, due) in [("never", None), ("past", Some(at(-1))), ("far", Some(at(i64::MAX)))] {
        s.commit(puts([Put { due, ..new(key, "") }])).await.unwrap();
        assert_eq!(s.get(key).await.unwrap().unwrap().due, due);
    }
}

async fn keys(s: &dyn Store, prefix: &str, after: &str, limit: usize) -> Vec<String> {
    s.list(prefix, after, limit).await.unwrap().into_iter().map(|record| record.key).collect()
}

async fn create_all(s: &dyn Store, keys: &[&str]) {
    s.commit(puts(keys.iter().map(|key| new(key, "")).collect::<Vec<_>>())).await.unwrap();
}

pub(crate) async fn a_list_is_in_byte_order(s: &dyn Store) {
    // No collation of any language, and not the order of UTF-16 either: U+FF5E is before U+1F512.
    let sorted = ["", "A", "Z", "Zebra", "_", "a", "a\0", "a b", "a-b", "aa", "b", "z", "é", "ß", "\u{ff5e}", "🔒"];
    let mut sorted = sorted.to_vec();
    sorted.sort_unstable();
    let mut shuffled = sorted.clone();
    shuffled.reverse();
    shuffled.swap(2, 9);
    create_all(s, &shuffled).await;
    // `after` is exclusive, so the empty key is the one that no list from the beginning shows.
    assert_eq!(keys(s, "", "", 99).await, sorted[1..]);
}

pub(crate) async fn a_list_pages_with_after_and_limit(s: &dyn Store) {
    create_all(s, &["k/1", "k/2", "k/3", "k/4", "k/5", "l"]).await;
    assert_eq!(keys(s, "k/", "", 2).await, ["k/1", "k/2"]);
    assert_eq!(keys(s, "k/", "k/2", 2).await, ["k/3", "k/4"]);
    assert_eq!(keys(s, "k/", "k/4", 2).await, ["k/5"]);
    assert_eq!(keys(s, "k/", "k/5", 2).await, [""; 0]);
    assert_eq!(keys(s, "k/", "k/3x", usize::MAX).await, ["k/4", "k/5"], "`after` need not exist");
    assert_eq!(keys(s, "k/", "k/3", 0).await, [""; 0]);
}

pub(crate) async fn a_prefix_is_taken_literally(s: &dyn Store) {
    create_all(s, &["a%", "a%b", "ab", "a_", "a_c", "axc", "A%b", "a*", "a?", "a[b]", "é/1", "é/2", "e/1", "a\\%"])
        .await;
    assert_eq!(keys(s, "a%", "", 9).await, ["a%", "a%b"]);
    assert_eq!(keys(s, "a_", "", 9).await, ["a_", "a_c"]);
    assert_eq!(keys(s, "a*", "", 9).await, ["a*"]);
    assert_eq!(keys(s, "a?", "", 9).await, ["a?"]);
    assert_eq!(keys(s, "a[", "", 9).await, ["a[b]"]);
    assert_eq!(keys(s, "a\\", "", 9).await, ["a\\%"]);
    assert_eq!(keys(s, "é/", "", 9).await, ["é/1", "é/2"]);
    assert_eq!(keys(s, "é/", "é/1", 9).await, ["é/2"]);
    assert_eq!(keys(s, "A", "", 9).await, ["A%b"], "case matters");
    assert_eq!(keys(s, "a'; --", "", 9).await, [""; 0]);
}

pub(crate) async fn a_prefix_may_end_with_the_greatest_character(s: &dyn Store) {
    let all =
        ["a", "a\u{d7ff}", "a\u{d7ff}x", "a\u{e000}", "a\u{10ffff}", "a\u{10ffff}x", "b", "\u{10ffff}", "ÿ", "ÿ1", "Ā"];
    create_all(s, &all).await;
    assert_eq!(keys(s, "a\u{10ffff}", "", 9).await, ["a\u{10ffff}", "a\u{10ffff}x"]);
    assert_eq!(keys(s, "a\u{d7ff}", "", 9).await, ["a\u{d7ff}", "a\u{d7ff}x"]);
    assert_eq!(keys(s, "\u{10ffff}", "", 9).await, ["\u{10ffff}"]);
    assert_eq!(keys(s, "ÿ", "", 9).await, ["ÿ", "ÿ1"]);
    assert_eq!(keys(s, "a", "", 99).await.len(), 6);
}

pub(crate) async fn an_after_outside_of_the_prefix_is_no_trap(s: &dyn Store) {
    create_all(s, &["a/1", "b/1", "b/2", "c/1"]).await;
    assert_eq!(keys(s, "b/", "a/1", 9).await, ["b/1", "b/2"]);
    assert_eq!(keys(s, "b/", "b", 9).await, ["b/1", "b/2"]);
    assert_eq!(keys(s, "b/", "c", 9).await, [""; 0]);
}

pub(crate) async fn a_list_of_nothing_is_empty(s: &dyn Store) {
    assert_eq!(s.list("", "", 9).await.unwrap(), []);
    create(s, "a", "").await;
    assert_eq!(s.list("b", "", 9).await.unwrap(), []);
}
