//! Due records of a kind that this version has no job for, as a newer replica writes them.

use crate::management::harness::Harness;
use certmint::domain::Timestamp;
use certmint::service::{ServiceOptions, record_body};
use certmint::store::{Batch, Put, Record, Store};
use std::time::Duration;

/// A job of a version to come.
const UNKNOWN: &str = "renewals/default/web";
/// A kind that only a version to come makes due.
const READ_ONLY: &str = "contacts/default";
const KNOWN: &str = "repeats/default/1daecc39b26e72afd94bac95d93d274b";

async fn put(harness: &Harness, key: &str, body: Vec<u8>, due: Option<Timestamp>) {
    let puts = vec![Put { key: key.to_owned(), expected: None, body, due }];
    harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
}

async fn record(harness: &Harness, key: &str) -> Option<Record> {
    harness.store.get(key).await.unwrap()
}

/// Does all steps that are due, and answers their keys.
async fn work(harness: &Harness) -> Vec<String> {
    let mut keys = Vec::new();
    for due in harness.service.jobs().claim(99).await.unwrap() {
        keys.push(due.key().to_owned());
        harness.service.jobs().step(due).await.unwrap();
    }
    keys
}

async fn with_unknown_work() -> Harness {
    let harness = Harness::new(ServiceOptions::default()).await;
    for key in [UNKNOWN, READ_ONLY] {
        put(&harness, key, b"{\"of\":\"the future\"}".to_vec(), Some(Timestamp(0))).await;
    }
    harness
}

#[tokio::test]
async fn a_due_record_of_an_unknown_kind_is_tried_once_and_kept_as_it_is() {
    let harness = with_unknown_work().await;
    assert_eq!(work(&harness).await.len(), 2);
    harness.clock.advance(Duration::from_secs(3600));
    assert_eq!(work(&harness).await, Vec::<String>::new());
    for key in [UNKNOWN, READ_ONLY] {
        let kept = record(&harness, key).await.unwrap();
        assert_eq!((kept.body.as_slice(), kept.due), (b"{\"of\":\"the future\"}".as_slice(), None));
    }
}

#[tokio::test]
async fn what_is_parked_is_counted() {
    let harness = with_unknown_work().await;
    work(&harness).await;
    let text = harness.service.metrics().text();
    assert!(text.contains("certmint_worker_records_parked_total 2\n"), "{text}");
}

#[tokio::test]
async fn what_this_version_cannot_work_on_stays_parked() {
    let harness = with_unknown_work().await;
    work(&harness).await;
    harness.service.jobs().resume_parked().await.unwrap();
    assert_eq!(work(&harness).await, Vec::<String>::new());
    assert!(record(&harness, "parked/renewals/default/web").await.is_some());
}

#[tokio::test]
async fn what_an_older_version_parked_is_taken_up_by_one_that_knows_it() {
    let harness = Harness::new(ServiceOptions::default()).await;
    put(&harness, KNOWN, b"{}".to_vec(), None).await;
    let parked = format!("parked/{KNOWN}");
    let value = serde_json::json!({ "key": KNOWN, "since": 0 });
    put(&harness, &parked, record_body(&harness.sealer, &parked, &value), None).await;
    harness.service.jobs().resume_parked().await.unwrap();
    assert_eq!(work(&harness).await, [KNOWN]);
    assert!(record(&harness, &parked).await.is_none());
}
