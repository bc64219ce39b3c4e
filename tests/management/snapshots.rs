//! The snapshot of a watch: however many operations there are, a page of them is held, and no more are read than the
//! client takes.

use crate::management::harness::{Harness, create, vault};
use crate::permit::permit;
use certmint::domain::VaultName;
use certmint::service::ServiceOptions;
use certmint::service::watch::{Bookmark, Subscriber, WatchItem, WatchRequest, WatchStream};
use certmint::store::{Batch, Store};
use futures_util::StreamExt;
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

/// What a stream takes out of the store at a time.
const PAGE: usize = 32;
const OPERATIONS: usize = 200;

async fn watched(harness: &Harness, vault: Option<VaultName>) -> WatchStream {
    let request = WatchRequest { vault, ..WatchRequest::default() };
    let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
    let request = permit(&harness.service, request).await;
    harness.service.watch().open(request, &who, CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_watch_reads_no_more_pending_records_than_its_client_takes() {
    let harness = Harness::new(ServiceOptions::default()).await;
    for number in 0..OPERATIONS {
        let request = permit(&harness.service, create(&format!("a{number}"), "Unknown")).await;
        harness.service.creations().create(request).await.unwrap();
    }
    harness.store.reset();
    let read = || harness.store.read.load(Ordering::SeqCst);
    let mut stream = watched(&harness, None).await;
    assert_eq!(read(), 0, "nothing is read before the client takes something");
    for taken in 1..=OPERATIONS {
        assert!(matches!(stream.next().await, Some(Ok(WatchItem::Snapshot(_)))));
        assert!(read() <= taken.div_ceil(PAGE) * PAGE, "{} records read for {taken}", read());
    }
    assert!(matches!(stream.next().await, Some(Ok(WatchItem::Bookmark { kind: Bookmark::CaughtUp, .. }))));
}

#[tokio::test]
async fn operations_that_ended_are_passed_over_in_pages() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    let ended = harness.store.body("pending/default/web").await.unwrap();
    let copy = |number| harness.copy("pending", &ended, &["operation", "certificate"], &format!("a{number:05}"));
    harness.store.commit(Batch { puts: (0..10_000).map(copy).collect(), ..Batch::default() }).await.unwrap();
    harness.store.reset();
    let mut stream = watched(&harness, Some(vault())).await;
    assert!(matches!(stream.next().await, Some(Ok(WatchItem::Bookmark { .. }))));
    let largest = harness.store.largest_list.load(Ordering::SeqCst);
    assert!(largest <= PAGE, "{largest} records in one page");
}
