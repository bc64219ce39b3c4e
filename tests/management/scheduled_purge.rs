//! Deleted certificates are purged automatically, and interrupted purges are finished.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::ask;
use certmint::domain::{Reason, RetentionDays};
use certmint::service::{ServiceOptions, VaultOptions};
use std::time::Duration;

fn retention(days: u32, purge_protection: bool) -> ServiceOptions {
    let (on_demand, retention_days) = (Some(true), RetentionDays::new(days).unwrap());
    let vaults = VaultOptions { on_demand, retention_days, purge_protection, ..VaultOptions::default() };
    ServiceOptions { vaults, ..ServiceOptions::default() }
}

#[tokio::test]
async fn it_is_purged_when_the_retention_is_over_and_not_before() {
    for protected in [false, true] {
        let harness = Harness::new(retention(7, protected)).await;
        harness.issue_many("web", 2).await;
        harness.delete("web").await;
        harness.later(6).await;
        let deleted = ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap();
        assert_eq!(deleted.purge.0 - deleted.deleted.0, 7 * 86_400_000);
        harness.later(1).await;
        let error = ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap_err();
        assert_eq!(error.reason, Reason::CertificateNotFound);
        assert_eq!(harness.store.keys().await, Vec::<String>::new(), "nothing is left behind");
        harness.issue("web").await;
    }
}

#[tokio::test]
async fn a_recovered_certificate_is_not_purged() {
    let harness = Harness::new(retention(7, false)).await;
    harness.issue("web").await;
    harness.delete("web").await;
    harness.later(6).await;
    ask!(harness.service, deletions.recover_certificate((vault(), named("web")))).unwrap();
    harness.later(100).await;
    ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
}

#[tokio::test]
async fn a_second_deletion_has_its_own_retention() {
    let harness = Harness::new(retention(7, false)).await;
    harness.issue("web").await;
    harness.delete("web").await;
    harness.later(6).await;
    ask!(harness.service, deletions.recover_certificate((vault(), named("web")))).unwrap();
    harness.delete("web").await;
    harness.later(6).await;
    ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap();
    harness.later(1).await;
    ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap_err();
}

#[tokio::test]
async fn a_suspended_request_is_purged_with_its_certificate() {
    let harness = Harness::new(retention(7, false)).await;
    ask!(harness.service, creations.create(create("web", "Unknown"))).unwrap();
    harness.delete("web").await;
    harness.later(7).await;
    assert_eq!(harness.store.keys().await, Vec::<String>::new());
}

/// Wherever the disk fails in a purge of several commits, the worker finishes it later.
#[tokio::test]
async fn a_purge_that_is_cut_short_is_finished_by_the_worker() {
    for commits in 0..4 {
        let harness = Harness::new(ServiceOptions::default()).await;
        harness.issue_many("web", 210).await;
        harness.delete("web").await;
        harness.store.fail_after(commits);
        let error = ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap_err();
        assert_eq!(error.reason, Reason::StoreUnavailable);
        harness.store.heal();
        if commits == 0 {
            ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap();
            continue;
        }
        // Half gone is gone to everybody, and the name is not free yet.
        let error = ask!(harness.service, deletions.deleted_certificate((vault(), named("web")))).unwrap_err();
        assert_eq!(error.reason, Reason::CertificateNotFound);
        let error = ask!(harness.service, deletions.recover_certificate((vault(), named("web")))).unwrap_err();
        assert_eq!(error.message, "Certificate is currently being deleted.");
        let error = ask!(harness.service, creations.create(create("web", "Self"))).unwrap_err();
        assert_eq!((error.reason, error.retry_after), (Reason::BeingDeleted, Some(Duration::from_secs(1))));
        assert_eq!(error.message, "Certificate web is currently being deleted and cannot be re-created; retry later.");
        harness.clock.advance(Duration::from_secs(91));
        harness.work().await;
        assert_eq!(harness.store.keys().await, Vec::<String>::new(), "after {commits} commits");
        harness.issue("web").await;
    }
}
