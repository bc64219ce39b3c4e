//! Values that somebody puts into the embedded store and certmint never writes there: they harm their own row alone.

use super::sqlite::{open, place};
use super::*;
use certmint::store::Record;
use futures_util::future::join;
use rusqlite::Connection;

/// A store with three due records and two events, of which `sql` changed something.
async fn changed(sql: &str) -> (tempfile::TempDir, Sqlite) {
    let (folder, path) = place();
    let store = open(&path);
    for key in ["k/a", "k/b", "k/c"] {
        store.commit(puts([Put { due: Some(at(5)), ..new(key, key) }])).await.unwrap();
    }
    store.commit(events(["x", "y"])).await.unwrap();
    drop(store);
    assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1, "{sql}");
    (folder, open(&path))
}

fn found(records: Vec<Record>) -> Vec<(String, String)> {
    records.into_iter().map(|record| (record.key, String::from_utf8(record.body).unwrap())).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(key, body)| (key.to_owned(), body.to_owned())).to_vec()
}

#[tokio::test]
async fn a_body_that_is_a_number_is_an_empty_one() {
    for value in ["7", "7.5"] {
        let (_folder, store) = changed(&format!("UPDATE records SET body = {value} WHERE key = 'k/b'")).await;
        let all = pairs([("k/a", "k/a"), ("k/b", ""), ("k/c", "k/c")]);
        assert_eq!(found(store.list("k/", "", 9).await.unwrap()), all);
        assert_eq!(body_of(&store, "k/b").await.as_deref(), Some(""));
        let many = store.get_many(&["k/b".to_owned(), "k/c".to_owned()]).await.unwrap();
        assert_eq!(found(many.into_iter().flatten().collect()), all[1..]);
        // In one transaction with a neighbour.
        let (claimed, neighbour) = join(store.claim(at(9), at(99), 9), store.commit(events(["z"]))).await;
        assert_eq!(found(claimed.unwrap()), all);
        neighbour.unwrap();
    }
}

#[tokio::test]
async fn an_event_that_is_a_number_is_an_empty_one() {
    let (_folder, store) = changed("UPDATE events SET body = 7 WHERE body = 'x'").await;
    assert_eq!(bodies(&whole_log(&store, 9).await), ["", "y"]);
}

#[tokio::test]
async fn a_key_that_is_no_text_is_passed_over() {
    let (_folder, store) = changed("UPDATE records SET key = CAST(x'6b2fff' AS TEXT), due = 1 WHERE key = 'k/b'").await;
    let others = pairs([("k/a", "k/a"), ("k/c", "k/c")]);
    assert_eq!(found(store.list("k/", "", 2).await.unwrap()), others);
    assert_eq!(found(store.list("k/", "k/c", 2).await.unwrap()), []);
    assert_eq!(found(store.claim(at(9), at(99), 2).await.unwrap()), others);
}
