//! What happens to renewals that do not succeed.

use super::{DAY, request, start};
use crate::management::harness::{Harness, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::{IssuerInput, IssuerName, RenewalTrigger, Status};
use certmint::service::{PendingRef, RenewalState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Lets this time pass in small steps; the operations that were begun for a certificate in it.
async fn begun(harness: &Harness, name: &str, time: Duration, step: Duration) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut passed = Duration::ZERO;
    while passed < time {
        harness.clock.advance(step);
        passed += step;
        harness.work().await;
        let operation = harness.pending(name).await;
        if operation.renews.is_some() {
            seen.insert(operation.request_id.to_string());
        }
    }
    seen
}

#[tokio::test]
async fn a_ca_that_fails_is_asked_again_later_and_later_until_it_signs() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("fail").await;
    harness.until_due("web").await;
    let failed = harness.pending("web").await;
    assert_eq!(failed.status(), Status::Failed);
    assert!(harness.note("web").await.contains("The test issuer failed"), "{}", harness.note("web").await);
    let minute = Duration::from_secs(60);
    // After 1 minute, 10 and 100, each ten per cent more or less: three more in the first hours.
    let hours = begun(&harness, "web", 150 * minute, minute).await;
    assert_eq!(hours.into_iter().filter(|id| *id != failed.request_id.to_string()).count(), 3);
    // Then one a day.
    let days = begun(&harness, "web", 10 * DAY, 30 * minute).await;
    assert!((9..=13).contains(&days.len()), "{}", days.len());
    assert_eq!(harness.versions("web").await, 1);
    assert!(harness.renewal("web").await.renewal.tries.count >= 12);
    harness.test_issuer("complete").await;
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
    assert_eq!(harness.renewal("web").await.renewal.tries.count, 0);
}

#[tokio::test]
async fn with_a_twentieth_of_the_life_left_it_is_tried_at_once_and_then_four_times_a_day() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("fail").await;
    let half_hour = Duration::from_secs(1800);
    harness.later(340).await;
    // 346.75 days are 95 % of the life.
    let last = begun(&harness, "web", 8 * DAY, half_hour).await;
    assert!((28..=36).contains(&last.len()), "{}", last.len());
    assert_eq!(harness.pending("web").await.renews.unwrap().trigger, RenewalTrigger::Emergency);
    harness.test_issuer("complete").await;
    begun(&harness, "web", Duration::from_secs(7 * 3600), half_hour).await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn an_expired_certificate_is_still_renewed() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("fail").await;
    harness.later(400).await;
    harness.test_issuer("complete").await;
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_paused_issuer_keeps_renewals_waiting() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    let issuer = (vault(), IssuerName::parse("ca").unwrap());
    let control = harness.service.issuers().control();
    control.pause_issuer(permit(&harness.service, issuer.clone()).await, "the CA moves").await.unwrap();
    harness.later(300).await;
    let view = harness.renewal("web").await;
    assert!(view.renewal.tries.note.contains("is paused: the CA moves"), "{}", view.renewal.tries.note);
    assert_eq!((view.renewal.tries.count, harness.versions("web").await), (0, 1));
    assert!(harness.pending("web").await.renews.is_none());
    control.resume_issuer(permit(&harness.service, issuer).await).await.unwrap();
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn an_issuer_that_is_gone_is_said_and_looked_for_again() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    let issuer = (vault(), IssuerName::parse("ca").unwrap());
    ask!(harness.service, issuers.delete_issuer(issuer)).unwrap();
    harness.until_due("web").await;
    let view = harness.renewal("web").await;
    assert!(view.renewal.tries.note.contains("There is no issuer named ca"), "{}", view.renewal.tries.note);
    assert_eq!((view.renewal.tries.count, view.state), (1, RenewalState::Planned));
    harness.test_issuer("complete").await;
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_renewal_that_somebody_cancelled_is_tried_again_later() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("hold").await;
    harness.later(293).await;
    let wanted = PendingRef { vault: vault(), name: named("web"), request_id: None };
    ask!(harness.service, pending.cancel(wanted)).unwrap();
    harness.work().await;
    assert_eq!(harness.pending("web").await.status(), Status::Cancelled);
    harness.test_issuer("complete").await;
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

/// Nothing that a CA signs outlives it: shortly before its end a renewal gains nothing, however often it is repeated.
#[tokio::test]
async fn a_ca_that_cuts_lifetimes_makes_no_loop() {
    let harness = start().await;
    let options = BTreeMap::from([("validity_months".to_owned(), "1".to_owned())]);
    let input = IssuerInput { provider: Some("LocalCA".into()), options, ..IssuerInput::default() };
    ask!(harness.service, issuers.set_issuer((vault(), IssuerName::parse("ca").unwrap()), input)).unwrap();
    harness.issued(request("web", "ca")).await;
    let end = harness.certificate("web").await.issued.unwrap().expires;
    assert!(end < harness.now().plus(32 * DAY));
    for _ in 0..100 {
        if harness.due("web").await.is_none_or(|due| due >= end) {
            break;
        }
        harness.until_due("web").await;
    }
    // At 80 % of a month, and at half of what was left three times; a day after that one it is over.
    let versions = harness.versions("web").await;
    assert!((4..=6).contains(&versions), "{versions}");
}

#[tokio::test]
async fn nothing_is_renewed_before_a_third_of_its_life() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let before = harness.versions("web").await;
    harness.change("web", super::auto_renew(1)).await;
    harness.later(1).await;
    assert_eq!(harness.versions("web").await, before, "no earlier than a third of the life");
    harness.later(122).await;
    assert_eq!(harness.versions("web").await, before + 1);
}

#[tokio::test]
async fn a_renewal_that_its_issuer_did_not_decide_in_time_counts_as_failed() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("hold").await;
    harness.later(293).await;
    assert_eq!(harness.pending("web").await.status(), Status::InProgress);
    harness.later(31).await;
    let metrics = harness.service.metrics().text();
    assert!(metrics.contains("certmint_renewals_total{outcome=\"failed\""), "{metrics}");
}
