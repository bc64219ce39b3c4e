//! What somebody does to a certificate while the key of its renewal is made.

use super::asked_for::wanted;
use super::{auto_renew, request, start};
use crate::management::harness::{Harness, create, named, vault};
use crate::permit::ask;
use certmint::domain::{PolicyInput, Status};
use certmint::service::{CreateRequest, RenewalState, Service, ServiceOptions, UpdateRequest};
use std::time::Duration;

/// A certificate that is due now, and a change of it that takes place between the decision of the next operation of its
/// name and the commit of that.
async fn due_with<F: Future<Output = ()> + Send + 'static>(change: impl FnOnce(Service) -> F) -> Harness {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.clock.advance(Duration::from_secs(293 * 86_400));
    harness.store.before_commit_of("pending/default/web", change(harness.service.clone()));
    harness
}

fn update(policy: Option<PolicyInput>, enabled: Option<bool>) -> UpdateRequest {
    UpdateRequest { vault: vault(), name: named("web"), version: None, policy, enabled, tags: None }
}

/// Six months, and a subject of its own.
async fn other_policy(service: Service) {
    let policy = PolicyInput { subject: Some("CN=changed".into()), validity_months: Some(6), ..PolicyInput::default() };
    ask!(service, certificates.update_certificate(update(Some(policy), None))).unwrap();
}

async fn has_the_other_policy(harness: &Harness) {
    assert!(harness.store.took_place());
    let view = harness.certificate("web").await;
    let stored = view.entry.unwrap().policy.x509;
    assert_eq!((stored.subject.as_str(), stored.validity_months), ("CN=changed", 6));
    let issued = view.issued.unwrap();
    let life = (issued.expires.0 - issued.not_before.0) / 86_400_000;
    assert!((180..186).contains(&life), "the version is of the policy that is stored: {life} days");
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_policy_that_is_changed_meanwhile_stays_and_the_renewal_is_of_it() {
    let harness = due_with(other_policy).await;
    harness.work().await;
    has_the_other_policy(&harness).await;
}

#[tokio::test]
async fn a_renewal_on_request_is_of_the_policy_that_is_there_when_it_begins() {
    let harness = due_with(other_policy).await;
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    has_the_other_policy(&harness).await;
}

#[tokio::test]
async fn a_creation_that_leaves_the_policy_to_the_certificate_undoes_no_change_of_it() {
    let harness = due_with(other_policy).await;
    ask!(harness.service, creations.create(CreateRequest { policy: None, ..create("web", "Self") })).unwrap();
    harness.work().await;
    has_the_other_policy(&harness).await;
}

#[tokio::test]
async fn a_renewal_that_is_stopped_meanwhile_does_not_begin() {
    let paused = due_with(|service| async move {
        ask!(service, renewals.pause((vault(), named("web")), "moves")).unwrap();
    })
    .await;
    paused.work().await;
    assert!(matches!(paused.renewal("web").await.state, RenewalState::Paused(_)));
    let disabled = due_with(|service| async move {
        ask!(service, certificates.update_certificate(update(None, Some(false)))).unwrap();
    })
    .await;
    disabled.work().await;
    let mailed = due_with(|service| async move {
        let mut mails = auto_renew(80);
        mails.lifetime_actions.as_mut().unwrap()[0].action = Some("EmailContacts".into());
        ask!(service, certificates.update_certificate(update(Some(mails), None))).unwrap();
    })
    .await;
    mailed.work().await;
    for harness in [paused, disabled, mailed] {
        assert!(harness.store.took_place());
        assert_eq!((harness.versions("web").await, harness.due("web").await), (1, None));
        assert!(harness.pending("web").await.renews.is_none());
    }
}

/// The other one is faster, and its renewal fails before this one has its key.
#[tokio::test]
async fn a_renewal_that_another_replica_began_meanwhile_is_not_begun_once_more() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("fail").await;
    harness.clock.advance(Duration::from_secs(293 * 86_400));
    let late = harness.service.jobs().claim(9).await.unwrap();
    let (faster, clock) = (harness.neighbour(ServiceOptions::default()).await, harness.clock.clone());
    harness.store.before_commit_of("pending/default/web", async move {
        clock.advance(Duration::from_secs(91));
        loop {
            let due = faster.jobs().claim(9).await.unwrap();
            if due.is_empty() {
                return;
            }
            for due in due {
                faster.jobs().step(due).await.unwrap();
            }
        }
    });
    for due in late.into_iter().filter(|due| due.key() == "certificates/default/web") {
        harness.service.jobs().step(due).await.unwrap();
    }
    assert!(harness.store.took_place());
    assert_eq!(harness.pending("web").await.status(), Status::Failed);
    assert_eq!(harness.renewal("web").await.renewal.tries.count, 1);
}

/// Where many keys are made, one may take longer than the lease, and the certificate is claimed once more meanwhile. If
/// that stopped the renewal, none would ever begin.
#[tokio::test]
async fn a_renewal_whose_key_takes_longer_than_the_lease_begins_all_the_same() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.clock.advance(Duration::from_secs(293 * 86_400));
    let slow = harness.service.jobs().claim(9).await.unwrap();
    let (other, clock) = (harness.service.clone(), harness.clock.clone());
    harness.store.before_commit_of("pending/default/web", async move {
        clock.advance(Duration::from_secs(91));
        let again = other.jobs().claim(9).await.unwrap();
        assert!(again.iter().any(|due| due.key() == "certificates/default/web"), "{again:?}");
        for due in again {
            other.jobs().step(due).await.unwrap();
        }
    });
    for due in slow.into_iter().filter(|due| due.key() == "certificates/default/web") {
        harness.service.jobs().step(due).await.unwrap();
    }
    assert!(harness.store.took_place());
    assert!(harness.pending("web").await.renews.is_some());
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}
