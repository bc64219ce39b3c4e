//! A test of the gap test: a store that assigns revisions before it commits must fail it.

use super::*;
use async_trait::async_trait;
use certmint::store::{EventPage, Record, StoreError};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Numbers like a database sequence: taken at the insert, visible after the commit, and commits
/// end in another order than they began.
struct NumbersFirst {
    sequence: AtomicU64,
    visible: Mutex<BTreeMap<Revision, Vec<u8>>>,
    head: watch::Sender<Revision>,
}

#[async_trait]
impl Store for NumbersFirst {
    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        let first = self.sequence.fetch_add(batch.revisions(), Ordering::Relaxed) + 1;
        let last = first + batch.revisions() - 1;
        for _ in 0..(first * 7 % 5) {
            tokio::task::yield_now().await;
        }
        self.visible.lock().unwrap().extend((first..).zip(batch.events));
        self.head.send_replace(last);
        Ok(last)
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        let visible = self.visible.lock().unwrap();
        let events = visible.range(after + 1..).take(limit);
        let events = events.map(|(&revision, body)| Event { revision, body: body.clone() }).collect();
        let head = visible.last_key_value().map_or(0, |(&revision, _)| revision);
        Ok(EventPage { events, trimmed: 0, head })
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    async fn get(&self, _: &str) -> Result<Option<Record>, StoreError> {
        unreachable!("the gap test reads no records")
    }

    async fn get_many(&self, _: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        unreachable!("the gap test reads no records")
    }

    async fn list(&self, _: &str, _: &str, _: usize) -> Result<Vec<Record>, StoreError> {
        unreachable!("the gap test lists nothing")
    }

    async fn claim(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<Vec<Record>, StoreError> {
        unreachable!("the gap test claims nothing")
    }

    async fn trim(&self, _: Timestamp, _: u64, _: usize) -> Result<u64, StoreError> {
        unreachable!("the gap test trims nothing")
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        unreachable!("the gap test has one epoch")
    }
}

#[tokio::test]
#[should_panic(expected = "the tailing reader missed")]
async fn the_gap_test_catches_a_store_that_numbers_before_it_commits() {
    let store = NumbersFirst { sequence: AtomicU64::new(0), visible: Mutex::default(), head: watch::Sender::new(0) };
    race::a_tailing_reader_misses_nothing_and_sees_commit_order(&store).await;
}
