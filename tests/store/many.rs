//! Reading many records with one call.

use super::*;
use certmint::store::{MAX_KEYS, StoreError};

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn many(s: &dyn Store, names: &[&str]) -> Vec<Option<String>> {
    let found = s.get_many(&named(names)).await.unwrap();
    found.into_iter().map(|record| record.map(|record| record.key)).collect()
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    named(names).into_iter().map(Some).collect()
}

pub(crate) async fn many_come_back_in_the_order_in_which_they_were_asked_for(s: &dyn Store) {
    s.commit(puts(["c", "a\0", "é", "b", "a"].map(|key| new(key, key)))).await.unwrap();
    assert_eq!(many(s, &["é", "a", "c", "a\0", "b"]).await, some(&["é", "a", "c", "a\0", "b"]));
    let records = s.get_many(&named(&["b", "c"])).await.unwrap();
    for (key, record) in ["b", "c"].into_iter().zip(records) {
        assert_eq!(record, s.get(key).await.unwrap(), "{key}");
    }
}

pub(crate) async fn what_is_not_there_is_none_in_its_place(s: &dyn Store) {
    s.commit(puts(["a", "c"].map(|key| new(key, key)))).await.unwrap();
    let expected = [None, Some("a".to_owned()), None, Some("c".to_owned()), None];
    assert_eq!(many(s, &["", "a", "b", "c", "A"]).await, expected);
    let revision = s.get("a").await.unwrap().unwrap().revision;
    s.commit(Batch { deletes: vec![delete("a", revision)], ..Batch::default() }).await.unwrap();
    assert_eq!(many(s, &["a", "c"]).await, [None, Some("c".to_owned())]);
}

pub(crate) async fn a_key_that_is_asked_for_twice_comes_twice(s: &dyn Store) {
    s.commit(puts(["a", "b"].map(|key| new(key, key)))).await.unwrap();
    assert_eq!(many(s, &["b", "a", "b", "x", "x"]).await[..3], some(&["b", "a", "b"]));
}

pub(crate) async fn asking_for_none_answers_none(s: &dyn Store) {
    assert_eq!(s.get_many(&[]).await.unwrap(), []);
}

pub(crate) async fn as_many_as_the_limit_can_be_read_at_once_and_no_more(s: &dyn Store) {
    let keys: Vec<String> = (0..=MAX_KEYS).map(|number| format!("k{number:05}")).collect();
    for part in keys.chunks(500) {
        s.commit(puts(part.iter().map(|key| new(key, "x")).collect::<Vec<_>>())).await.unwrap();
    }
    let found = s.get_many(&keys[1..]).await.unwrap();
    assert!(found.len() == MAX_KEYS && found.iter().all(Option::is_some));
    let error = s.get_many(&keys).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)) && error.to_string().contains("the limit is 1000"), "{error}");
}

pub(crate) async fn many_are_of_one_moment_that_is_not_too_early(s: &dyn Store) {
    let mut revision = s.commit(puts([new("a", "0"), new("b", "0")])).await.unwrap();
    for number in 1..100 {
        let body = number.to_string();
        revision = s.commit(puts([change("a", revision, &body), change("b", revision, &body)])).await.unwrap();
        let found = s.get_many(&named(&["a", "b"])).await.unwrap();
        for record in found.into_iter().flatten() {
            assert_eq!((record.revision, record.body), (revision, body.clone().into_bytes()));
        }
    }
}
