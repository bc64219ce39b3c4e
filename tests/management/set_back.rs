//! A database that is rolled back under a running server: the server is not ready, and refuses earlier tokens.

use crate::management::harness::{Harness, create, service_with};
use crate::permit::{ask, permit};
use certmint::clock::ManualClock;
use certmint::domain::{Reason, Timestamp};
use certmint::service::watch::{Subscriber, WatchItem, WatchRequest};
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn watch(resume_token: &str) -> WatchRequest {
    WatchRequest {
        resume_token: resume_token.to_owned(),
        snapshot: Some(certmint::service::watch::Snapshot::None),
        ..WatchRequest::default()
    }
}

async fn open(store: Arc<dyn Store>) -> Service {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    service_with(store, clock, ServiceOptions::default(), |issuers| issuers).await
}

#[tokio::test]
async fn a_server_whose_database_was_rolled_back_is_not_ready_and_ends_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certmint.db");
    let store = Arc::new(Sqlite::open(&path, SqliteOptions::default()).unwrap());
    let service = open(store.clone()).await;
    let stop = CancellationToken::new();
    let tail = tokio::spawn({
        let (service, stop) = (service.clone(), stop.clone());
        async move { service.watch().tail(stop).await }
    });
    ask!(service, creations.create(create("kept", "Unknown"))).unwrap();
    let saved = *store.head().borrow();
    let lost = ask!(service, creations.create(create("lost", "Unknown"))).unwrap();
    let who = Subscriber { principal: "a".into(), connection: 1 };
    let mut stream = service
        .watch()
        .open(permit(&service, watch(&lost.resume_token)).await, &who, CancellationToken::new())
        .await
        .unwrap();
    assert!(matches!(stream.next().await, Some(Ok(WatchItem::Bookmark { .. }))));

    let operator = rusqlite::Connection::open(&path).unwrap();
    operator.busy_timeout(Duration::from_secs(10)).unwrap();
    let sql = format!(
        "BEGIN IMMEDIATE; DELETE FROM records WHERE revision > {saved}; DELETE FROM events WHERE revision > {saved};
         UPDATE meta SET head = {saved}; COMMIT"
    );
    operator.execute_batch(&sql).unwrap();

    let health = service.health(Duration::from_secs(20)).await;
    assert!(health.store.unwrap_err().contains("certmint new-epoch"));
    let end = loop {
        match stream.next().await.expect("the stream ends with an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end.reason, Reason::ResumeTokenExpired);
    let refused =
        service.watch().open(permit(&service, watch(&lost.resume_token)).await, &who, CancellationToken::new()).await;
    assert_eq!(refused.err().map(|error| error.reason), Some(Reason::ResumeTokenExpired));
    stop.cancel();
    tail.await.unwrap();
    drop((stream, service, store));

    // After the command that the message names, and a start.
    Sqlite::renew_epoch(&path, SqliteOptions::default()).unwrap();
    let service = open(Arc::new(Sqlite::open(&path, SqliteOptions::default()).unwrap())).await;
    let refused =
        service.watch().open(permit(&service, watch(&lost.resume_token)).await, &who, CancellationToken::new()).await;
    assert_eq!(refused.err().map(|error| error.reason), Some(Reason::ResumeTokenExpired));
    service.health(Duration::from_secs(20)).await.store.unwrap();
}

#[tokio::test]
async fn a_server_whose_store_is_well_is_ready() {
    Harness::new(ServiceOptions::default()).await.service.health(Duration::from_secs(20)).await.store.unwrap();
}
