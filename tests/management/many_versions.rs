//! A certificate with hundreds of versions: deleting and recovering are one small commit, and nothing
//! else ever writes more than a bounded number of records at once.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::Reason;
use certmint::service::{ServiceOptions, record_body};
use certmint::store::{Batch, Put, Store};
use std::sync::atomic::Ordering;
use std::time::Duration;

const VERSIONS: usize = 250;
const LARGEST_BATCH: usize = 104;

fn largest(harness: &Harness) -> (usize, usize) {
    (harness.store.commits.load(Ordering::SeqCst), harness.store.largest.load(Ordering::SeqCst))
}

#[tokio::test]
async fn deleting_and_recovering_write_a_handful_of_records() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue_many("web", VERSIONS).await;
    let before = harness.store.keys().await;
    harness.store.reset();
    harness.delete("web").await;
    assert_eq!(largest(&harness), (1, 4));
    assert!(harness.store.read.load(Ordering::SeqCst) < 5);
    harness.store.reset();
    ask!(harness.service, deletions.recover_certificate((vault(), named("web")))).unwrap();
    assert_eq!(largest(&harness), (1, 4));
    assert_eq!(harness.store.keys().await, before);
}

#[tokio::test]
async fn a_purge_goes_in_bounded_steps() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue_many("web", VERSIONS).await;
    harness.delete("web").await;
    harness.store.reset();
    ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap();
    let (commits, largest) = largest(&harness);
    assert!(commits == 4 && largest <= LARGEST_BATCH, "{commits} commits, the largest of {largest} records");
    assert_eq!(harness.store.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_holds_all_versions_and_comes_back_in_bounded_steps() {
    let here = Harness::new(ServiceOptions::default()).await;
    here.issue_many("web", VERSIONS).await;
    let backup = ask!(here.service, certificates.backup_certificate((vault(), named("web")))).unwrap();
    let there = Harness::new(ServiceOptions::default()).await;
    there.store.reset();
    let view = ask!(there.service, certificates.restore_certificate(vault(), backup)).unwrap();
    let (commits, largest) = largest(&there);
    assert!(commits == 5 && largest <= LARGEST_BATCH, "{commits} commits, the largest of {largest} records");
    assert_eq!(view.version, ask!(here.service, certificates.certificate((vault(), named("web")))).unwrap().version);
    let mut expected = here.store.keys().await;
    expected.retain(|key| !key.starts_with("pending/"));
    assert_eq!(there.store.keys().await, expected);
}

/// Wherever the disk fails in a restore, nobody sees a part of it, and the name is free again later.
#[tokio::test]
async fn a_restore_that_is_cut_short_leaves_nothing() {
    let here = Harness::new(ServiceOptions::default()).await;
    here.issue_many("web", 120).await;
    let backup = ask!(here.service, certificates.backup_certificate((vault(), named("web")))).unwrap();
    for commits in 0..4 {
        let there = Harness::new(ServiceOptions::default()).await;
        there.store.fail_after(commits);
        let error = ask!(there.service, certificates.restore_certificate(vault(), backup.clone())).unwrap_err();
        assert_eq!(error.reason, Reason::StoreUnavailable);
        there.store.heal();
        let error = ask!(there.service, certificates.certificate((vault(), named("web")))).unwrap_err();
        assert_eq!(error.reason, Reason::CertificateNotFound);
        if commits > 0 {
            let restore = permit(&there.service, vault()).await;
            let error = there.service.certificates().restore_certificate(restore, backup.clone()).await.unwrap_err();
            assert_eq!(error.reason, Reason::BeingDeleted);
            let words = "Certificate web is currently being restored and cannot be re-created; retry later.";
            assert_eq!(error.message, words);
        }
        there.clock.advance(Duration::from_secs(91));
        there.work().await;
        assert_eq!(there.store.keys().await, Vec::<String>::new(), "after {commits} commits");
        ask!(there.service, certificates.restore_certificate(vault(), backup.clone())).unwrap();
        there.work().await;
        ask!(there.service, certificates.certificate((vault(), named("web")))).unwrap();
    }
}

/// The only process of a store does not wait until the time of the one before it is over.
#[tokio::test]
async fn what_was_cut_short_is_finished_at_the_next_start() {
    let here = Harness::new(ServiceOptions::default()).await;
    here.issue_many("web", 120).await;
    let backup = ask!(here.service, certificates.backup_certificate((vault(), named("web")))).unwrap();
    let there = Harness::new(ServiceOptions::default()).await;
    there.store.fail_after(2);
    ask!(there.service, certificates.restore_certificate(vault(), backup.clone())).unwrap_err();
    there.store.heal();
    there.service.finish_interrupted().await.unwrap();
    there.work().await;
    ask!(there.service, certificates.restore_certificate(vault(), backup)).unwrap();

    ask!(there.service, deletions.delete_certificate((vault(), named("web")))).unwrap();
    there.store.fail_after(1);
    ask!(there.service, deletions.purge_certificate((vault(), named("web")))).unwrap_err();
    there.store.heal();
    let error = ask!(there.service, creations.create(create("web", "Self"))).unwrap_err();
    assert_eq!(error.message, "Certificate web is currently being deleted and cannot be re-created; retry later.");
    there.service.finish_interrupted().await.unwrap();
    there.work().await;
    assert_eq!(there.store.keys().await, Vec::<String>::new());
}

/// A request ends in bounded time; what is left is gone when the worker has been there.
#[tokio::test]
async fn a_purge_of_very_many_versions_continues_in_the_background() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    let versions = harness.store.list("versions/", "", 9).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&versions[0].body).unwrap();
    for part in 0..20 {
        let copy = |number: usize| {
            let key = format!("versions/default/web/{number:032x}");
            let mut value = body["value"].clone();
            value["version"] = format!("{number:032x}").into();
            Put { expected: None, body: record_body(&harness.sealer, &key, &value), due: None, key }
        };
        let puts = (part * 60..part * 60 + 60).map(copy).collect();
        harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }
    harness.delete("web").await;
    harness.store.reset();
    ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap();
    let (commits, largest) = largest(&harness);
    assert!(commits <= 6 && largest <= LARGEST_BATCH, "{commits} commits, the largest of {largest} records");
    let again = ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap_err();
    assert_eq!(again.reason, Reason::BeingDeleted);
    harness.work().await;
    assert_eq!(harness.store.keys().await, Vec::<String>::new());
    harness.issue("web").await;
}
