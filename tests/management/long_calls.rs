//! Calls of an issuer that take long: waits and events count from their end.

use crate::false_provider::FalseProvider;
use crate::management::harness::{Harness, create, named, service_with, vault};
use crate::permit::{ask, permit};
use certmint::clock::{Clock, ManualClock};
use certmint::domain::{IssuerInput, IssuerName, Reason, Status, Timestamp};
use certmint::issuer::provider::Progress;
use certmint::issuer::{FailureClass, IssuerError, Step};
use certmint::limits::Limits;
use certmint::service::{PendingRef, Service, ServiceOptions};
use certmint::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How long each call takes, by the clock of the service.
const CALL: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum Answer {
    Unreachable,
    NotYet,
    Refused,
}

/// A provider whose calls take long.
fn slow(clock: Arc<ManualClock>, answer: Answer) -> FalseProvider {
    FalseProvider::new("Slow", move |call| {
        clock.advance(CALL);
        std::future::ready(match answer {
            Answer::Unreachable => Err(IssuerError::Retry { after: None, source: "no answer".into() }),
            Answer::NotYet => {
                Ok(Progress::new(Step::Pending { checkpoint: call.at, details: None, again: Duration::from_secs(5) }))
            }
            Answer::Refused => Ok(Progress::failed(FailureClass::RequestRejected, "no")),
        })
    })
}

/// An operation at such an issuer, due.
async fn ordered(answer: Answer) -> (Harness, Service) {
    let harness = Harness::new(ServiceOptions::default()).await;
    let slow = Arc::new(slow(harness.clock.clone(), answer));
    let service = service_with(harness.store.clone(), harness.clock.clone(), ServiceOptions::default(), |issuers| {
        issuers.with_provider(slow)
    })
    .await;
    order(&service).await;
    (harness, service)
}

/// Orders a certificate of the provider `Slow`.
async fn order(service: &Service) {
    let input = IssuerInput { provider: Some("Slow".to_owned()), ..IssuerInput::default() };
    let issuer = permit(service, (vault(), IssuerName::parse("ca").unwrap())).await;
    service.issuers().set_issuer(issuer, input).await.unwrap();
    ask!(service, creations.create(create("web", "ca"))).unwrap();
}

/// Does the one step that is due. Returns the time at which it ended.
async fn step(harness: &Harness, service: &Service) -> Timestamp {
    let mut due = service.jobs().claim(9).await.unwrap();
    assert_eq!(due.len(), 1);
    service.jobs().step(due.remove(0)).await.unwrap();
    harness.clock.now()
}

async fn due(harness: &Harness, prefix: &str) -> Timestamp {
    harness.store.list(prefix, "", 9).await.unwrap().remove(0).due.unwrap()
}

#[tokio::test]
async fn an_order_waits_after_a_call_that_failed_late() {
    for answer in [Answer::Unreachable, Answer::NotYet] {
        let (harness, service) = ordered(answer).await;
        for _ in 0..3 {
            let ended = step(&harness, &service).await;
            let due = due(&harness, "pending/").await;
            assert!(due > ended, "due {} ms before the end of the call", ended.0 - due.0);
            harness.clock.advance(Duration::from_millis(u64::try_from(due.0 - ended.0).unwrap()));
        }
    }
}

#[tokio::test]
async fn after_a_call_that_was_cut_short_the_issuer_is_left_alone_until_its_orders_are_listed() {
    const SETTLES: Duration = Duration::from_secs(45);
    let limits: ServiceOptions = Limits { work_lease: Duration::from_millis(250), ..Limits::default() }.into();
    let harness = Harness::new(limits.clone()).await;
    let mut hanging = FalseProvider::new("Slow", |_| std::future::pending());
    hanging.settles = SETTLES;
    let hanging = Arc::new(hanging);
    let service =
        service_with(harness.store.clone(), harness.clock.clone(), limits, |issuers| issuers.with_provider(hanging))
            .await;
    order(&service).await;
    for prefix in ["pending/", "orders/"] {
        let ended = step(&harness, &service).await;
        assert!(due(&harness, prefix).await >= ended.plus(SETTLES));
        if prefix == "pending/" {
            let expected = PendingRef { vault: vault(), name: named("web"), request_id: None };
            ask!(service, pending.delete_pending(expected)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_cancellation_waits_after_a_call_that_failed_late() {
    let (harness, service) = ordered(Answer::Unreachable).await;
    let expected = PendingRef { vault: vault(), name: named("web"), request_id: None };
    ask!(service, pending.delete_pending(expected.clone())).unwrap();
    let ended = step(&harness, &service).await;
    assert!(due(&harness, "orders/").await > ended);
}

#[tokio::test]
async fn an_operation_ends_when_the_call_ended() {
    let (harness, service) = ordered(Answer::Refused).await;
    let ended = step(&harness, &service).await;
    let expected = PendingRef { vault: vault(), name: named("web"), request_id: None };
    let (operation, _) = ask!(service, pending.pending(expected.clone())).unwrap();
    assert_eq!((operation.status(), operation.updated), (Status::Failed, ended));
}

#[tokio::test]
async fn an_outage_of_the_store_is_no_news_of_the_issuer() {
    let (harness, service) = ordered(Answer::NotYet).await;
    let before = harness.store.body("pending/default/web").await.unwrap();
    harness.store.put_out_of_reach("issuers/");
    let due = service.jobs().claim(9).await.unwrap().remove(0);
    assert_eq!(service.jobs().step(due).await.unwrap_err().reason, Reason::StoreUnavailable);
    assert_eq!(harness.store.body("pending/default/web").await.unwrap(), before);
    harness.store.heal();
    harness.clock.advance(Duration::from_secs(91));
    step(&harness, &service).await;
    let after = harness.store.body("pending/default/web").await.unwrap();
    assert_eq!(after["value"]["attempts"], before["value"]["attempts"].as_u64().unwrap() + 1);
}
