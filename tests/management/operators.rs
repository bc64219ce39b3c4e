//! What operators see of issuers, and what they do with them.

use crate::management::harness::{Harness, create, vault};
use crate::management::providers::{input, issuer, start, wanted};
use crate::permit::{ask, permit};
use certmint::domain::{IssuerInput, IssuerName, Reason};
use certmint::service::{IssuerRef, IssuerVerdict, Permit, ProviderHealth};
use certmint::store::{Batch, Delete, Store};
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn of(harness: &Harness, issuer: &IssuerName) -> Permit<IssuerRef> {
    permit(&harness.service, (vault(), issuer.clone())).await
}

async fn corp(harness: &Harness) -> Permit<IssuerRef> {
    of(harness, &issuer()).await
}

async fn create_web(harness: &Harness) {
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
}

async fn details(harness: &Harness, name: &str) -> String {
    let operation = ask!(harness.service, pending.operation(wanted(name))).unwrap();
    format!("{:?}", operation.state)
}

#[tokio::test]
async fn a_paused_issuer_is_not_asked_and_what_was_created_waits_with_the_reason() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    let paused = harness.service.issuers().control().pause_issuer(corp(&harness).await, "the CA moves").await.unwrap();
    assert_eq!(paused.paused.unwrap().reason, "the CA moves");
    outside.calls();
    create_web(&harness).await;
    harness.step().await;
    assert!(outside.calls().is_empty());
    assert!(details(&harness, "web").await.contains("is paused: the CA moves"));
    harness.set(input("b")).await;
    let still = harness.service.issuers().issuer(corp(&harness).await).await.unwrap();
    assert!(still.paused.is_some(), "setting the issuer again does not resume it");
    outside.calls();
    let resumed = harness.service.issuers().control().resume_issuer(corp(&harness).await).await.unwrap();
    assert!(resumed.paused.is_none());
    harness.step().await;
    assert!(outside.calls()[0].starts_with("advance"), "at once");
    assert!(!details(&harness, "web").await.contains("paused"));
}

#[tokio::test]
async fn a_pause_is_there_for_every_replica_and_needs_an_issuer_and_a_readable_reason() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    let nobody = IssuerName::parse("nobody").unwrap();
    let missing = harness.service.issuers().control().pause_issuer(of(&harness, &nobody).await, "").await.unwrap_err();
    assert_eq!(missing.reason, Reason::IssuerNotFound);
    for reason in ["a\u{7}", &"x".repeat(201)] {
        let refused = harness.service.issuers().control().pause_issuer(corp(&harness).await, reason).await.unwrap_err();
        assert_eq!(refused.reason, Reason::BadParameter, "{reason:?}");
    }
    harness.service.issuers().control().pause_issuer(corp(&harness).await, "").await.unwrap();
    let body = harness.store.body("issuers/default/corp").await.unwrap().to_string();
    assert!(body.contains("paused"), "{body}");
}

#[tokio::test]
async fn the_health_of_an_issuer_has_its_last_calls_and_what_is_open() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    let issuer = harness.service.issuers().issuer(corp(&harness).await).await.unwrap();
    let health = async || {
        let of_vault = permit(&harness.service, vault()).await;
        let issuers = std::slice::from_ref(&issuer);
        harness.service.issuers().control().issuers_health(&of_vault, issuers).await.unwrap().remove(0)
    };
    assert_eq!(health().await, Default::default());
    create_web(&harness).await;
    assert_eq!(health().await.open.count, 1);
    harness.step().await;
    let good = health().await;
    assert!(good.last_success.is_some() && good.last_failure.is_none() && good.open.next_try.is_some(), "{good:?}");
    assert!(harness.service.issuers().control().failing_issuers().is_empty());
    outside.unreachable.store(true, Ordering::SeqCst);
    harness.clock.advance(Duration::from_secs(61));
    harness.step().await;
    let bad = health().await;
    assert!(bad.last_failure > bad.last_success && bad.last_error == "nobody answers", "{bad:?}");
    let failing = harness.service.issuers().control().failing_issuers();
    assert_eq!((failing.len(), failing[0].issuer.as_str(), failing[0].provider), (1, "corp", "Outside"));
    harness.clock.advance(Duration::from_secs(3601));
    assert!(harness.service.issuers().control().failing_issuers().is_empty(), "nothing was asked for an hour");
}

/// A step in which the CA was not called says nothing of the CA.
#[tokio::test]
async fn a_step_that_called_nobody_is_no_success_of_the_issuer() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    let issuer = harness.service.issuers().issuer(corp(&harness).await).await.unwrap();
    outside.quiet.store(true, Ordering::SeqCst);
    create_web(&harness).await;
    harness.step().await;
    let of_vault = permit(&harness.service, vault()).await;
    let health = async || {
        let issuers = std::slice::from_ref(&issuer);
        harness.service.issuers().control().issuers_health(&of_vault, issuers).await.unwrap().remove(0)
    };
    assert!(health().await.last_success.is_none(), "{:?}", health().await);
    outside.quiet.store(false, Ordering::SeqCst);
    harness.clock.advance(Duration::from_secs(61));
    harness.step().await;
    assert!(health().await.last_success.is_some());
}

/// There is nobody left to ask, and nothing was ordered.
#[tokio::test]
async fn a_cancellation_of_an_issuer_that_is_gone_ends_at_once_where_nothing_was_ordered() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    outside.unreachable.store(true, Ordering::SeqCst);
    create_web(&harness).await;
    harness.step().await;
    harness.service.issuers().delete_issuer(corp(&harness).await).await.unwrap();
    // Nothing is left of it, as where its provider keeps no state.
    let kept = Store::get(&*harness.store, "issuer-states/default/corp").await.unwrap().unwrap();
    let deletes = vec![Delete { key: kept.key, expected: kept.revision }];
    harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    outside.calls();
    let (cancelled, _) = ask!(harness.service, pending.cancel(wanted("web"))).unwrap();
    assert!(cancelled.in_progress());
    harness.clock.advance(Duration::from_secs(61));
    harness.step().await;
    assert!(details(&harness, "web").await.contains("Cancelled"), "{}", details(&harness, "web").await);
    assert!(outside.calls().is_empty());
}

#[tokio::test]
async fn the_state_of_an_issuer_that_is_gone_stays_while_operations_are_open_and_continues_none() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    create_web(&harness).await;
    harness.step().await;
    harness.service.issuers().delete_issuer(corp(&harness).await).await.unwrap();
    outside.calls();
    // An operation in progress is not continued with what is left.
    harness.clock.advance(Duration::from_secs(61));
    harness.step().await;
    assert!(outside.calls().is_empty());
    assert!(details(&harness, "web").await.contains("no longer exists"), "{}", details(&harness, "web").await);
    // It stays as long as the operation is open, however often it is looked at.
    for _ in 0..3 {
        harness.clock.advance(Duration::from_secs(601));
        harness.step().await;
    }
    let kept = harness.store.body("issuer-states/default/corp").await.unwrap().to_string();
    assert!(kept.contains("retired"), "{kept}");
}

#[tokio::test]
async fn an_issuer_whose_provider_has_no_accounts_has_none_to_end() {
    let (harness, _outside) = start().await;
    let local = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    harness.service.issuers().set_issuer(corp(&harness).await, local).await.unwrap();
    let control = harness.service.issuers().control();
    let refused = control.deactivate_issuer(corp(&harness).await).await.unwrap_err();
    assert!(refused.reason == Reason::BadParameter && refused.message.contains("no account"), "{refused:?}");
    let nobody = IssuerName::parse("nobody").unwrap();
    let missing = control.deactivate_issuer(of(&harness, &nobody).await).await.unwrap_err();
    assert_eq!(missing.reason, Reason::IssuerNotFound);
}

#[tokio::test]
async fn the_order_of_an_issuer_that_is_gone_is_cancelled_with_its_last_state() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    create_web(&harness).await;
    harness.step().await;
    harness.service.issuers().delete_issuer(corp(&harness).await).await.unwrap();
    let kept = harness.store.body("issuer-states/default/corp").await.unwrap().to_string();
    assert!(kept.contains("retired") && !kept.contains("secrets"), "{kept}");
    outside.calls();
    ask!(harness.service, pending.delete_pending(wanted("web"))).unwrap();
    harness.work().await;
    assert!(outside.calls().iter().any(|call| call.starts_with("cancel zone=a")));
    harness.clock.advance(Duration::from_secs(601));
    harness.work().await;
    let left: Vec<String> = harness.store.keys().await.into_iter().filter(|key| key.starts_with("issuer")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_issuer_that_is_set_again_does_not_begin_with_what_its_predecessor_left() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    create_web(&harness).await;
    harness.step().await;
    harness.service.issuers().delete_issuer(corp(&harness).await).await.unwrap();
    outside.calls();
    harness.set(input("b")).await;
    assert!(!outside.calls()[0].contains("kept"));
    harness.clock.advance(Duration::from_secs(601));
    harness.work().await;
    assert!(harness.store.keys().await.iter().any(|key| key.starts_with("issuer-states/")), "it is in use again");
}

#[tokio::test]
async fn an_issuer_with_open_operations_is_in_use() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    harness.service.issuers().control().require_idle(&corp(&harness).await).await.unwrap();
    create_web(&harness).await;
    let busy = harness.service.issuers().control().require_idle(&corp(&harness).await).await.unwrap_err();
    assert_eq!(busy.reason, Reason::IssuerInUse);
    assert!(busy.message.contains("1 operation is in progress"), "{}", busy.message);
}

#[tokio::test]
async fn a_check_tries_the_credentials_and_says_what_is_in_the_way() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    let IssuerVerdict { health, warnings } =
        harness.service.issuers().control().try_issuer(corp(&harness).await).await.unwrap();
    assert!(matches!(health, ProviderHealth::Good(_)) && warnings.is_empty());
    harness.service.issuers().control().pause_issuer(corp(&harness).await, "").await.unwrap();
    harness.set(IssuerInput { enabled: Some(false), ..input("a") }).await;
    let warnings = harness.service.issuers().control().try_issuer(corp(&harness).await).await.unwrap().warnings;
    assert!(warnings.len() == 2 && warnings[1].contains("paused"), "{warnings:?}");
    let nobody = IssuerName::parse("nobody").unwrap();
    assert_eq!(
        harness.service.issuers().control().try_issuer(of(&harness, &nobody).await).await.unwrap_err().reason,
        Reason::IssuerNotFound
    );
}

#[tokio::test]
async fn an_issuer_without_an_account_has_no_key_to_change() {
    let (harness, _outside) = start().await;
    let local = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    harness.service.issuers().set_issuer(corp(&harness).await, local).await.unwrap();
    let refused = harness.service.issuers().control().rotate_issuer_key(corp(&harness).await).await.unwrap_err();
    assert!(refused.reason == Reason::BadParameter && refused.message.contains("no account"), "{refused:?}");
}

#[tokio::test]
async fn an_unknown_option_of_any_provider_is_refused_with_the_known_ones() {
    let (harness, _outside) = start().await;
    let unknown = IssuerInput { options: [("zon".into(), "a".into())].into(), ..input("a") };
    let refused = harness.service.issuers().set_issuer(corp(&harness).await, unknown).await.unwrap_err();
    assert!(refused.message.contains("Outside has: zone, key."), "{}", refused.message);
    let open = IssuerInput { options: [("key".into(), "hunter2".into())].into(), ..input("a") };
    let refused = harness.service.issuers().set_issuer(corp(&harness).await, open).await.unwrap_err();
    assert!(refused.message.contains("secret option") && !refused.message.contains("hunter2"), "{}", refused.message);
}
