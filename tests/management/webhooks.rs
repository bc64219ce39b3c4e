//! Webhooks over time: the ends of certificates are told once, what waits is bounded, and nothing is told that was not
//! committed.

use crate::management::harness::{Harness, create, vault};
use crate::permit::{ask, permit};
use async_trait::async_trait;
use bytes::Bytes;
use certmint::domain::WebhookName;
use certmint::domain::webhook::{Envelope, Receiver};
use certmint::outbound::{Clients, Error, Exchange, Identity, Request, Response};
use certmint::service::{
    Deliveries, RenewalOptions, ServiceOptions, WebhookInput, WebhookOptions, WebhookRef, Webhooks,
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Takes everything, or answers with another status, and writes it down.
#[derive(Clone)]
struct Taker(Arc<Mutex<(u16, Vec<Value>)>>);

impl Taker {
    /// The types of what came, in order.
    fn kinds(&self) -> Vec<String> {
        self.0.lock().unwrap().1.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|it| *it == kind).count()
    }

    fn answers(&self, status: u16) {
        self.0.lock().unwrap().0 = status;
    }
}

#[async_trait]
impl Exchange for Taker {
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let mut taken = self.0.lock().unwrap();
        taken.1.push(serde_json::from_slice(&request.body).unwrap());
        Ok(Response { status: StatusCode::from_u16(taken.0).unwrap(), headers: HeaderMap::new(), body: Bytes::new() })
    }
}

impl Clients for Taker {
    fn client(&self, _: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn client_with(&self, roots: Option<&str>, _: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        self.client(roots)
    }
}

fn hook() -> WebhookRef {
    WebhookRef { vault: vault(), name: WebhookName::parse("hooks").unwrap() }
}

impl Harness {
    /// With a webhook for all events.
    async fn told(options: WebhookOptions) -> (Self, Taker) {
        let renewal = RenewalOptions { enabled: false, ..RenewalOptions::default() };
        let harness = Self::new(ServiceOptions { renewal, ..ServiceOptions::default() }).await;
        let taker = Taker(Arc::new(Mutex::new((200, Vec::new()))));
        Webhooks::of(&harness.service).equip(options, Arc::new(taker.clone()));
        harness.set_hook().await;
        (harness, taker)
    }

    async fn set_hook(&self) {
        let receiver = Receiver {
            url: "https://hooks.example/".into(),
            envelope: Envelope::CloudEvents,
            handshake: false,
            ca_certificates: None,
        };
        let input = WebhookInput {
            receiver,
            event_types: Vec::new(),
            secret: None,
            make_secret: false,
            forget_secrets: false,
            headers: BTreeMap::new(),
        };
        Webhooks::of(&self.service).set(permit(&self.service, hook()).await, input).await.unwrap();
    }

    async fn waiting(&self) -> usize {
        self.keys().await.iter().filter(|key| key.starts_with("deliveries/")).count()
    }

    async fn keys(&self) -> Vec<String> {
        self.store.keys().await
    }
}

const NEAR: &str = "Microsoft.KeyVault.CertificateNearExpiry";
const EXPIRED: &str = "Microsoft.KeyVault.CertificateExpired";

#[tokio::test]
async fn the_end_of_a_certificate_is_told_thirty_days_before_and_when_it_comes_once_each() {
    let (harness, taker) = Harness::told(WebhookOptions::default()).await;
    harness.issue("web").await;
    let told = || (taker.count(NEAR), taker.count(EXPIRED));
    for (days, expected) in [(330, (0, 0)), (10, (1, 0)), (20, (1, 0)), (10, (1, 1)), (60, (1, 1))] {
        harness.later(days).await;
        assert_eq!(told(), expected, "{days} days later");
    }
    assert_eq!(harness.waiting().await, 0);
}

#[tokio::test]
async fn above_the_limit_new_events_are_dropped_and_the_certificate_is_issued_all_the_same() {
    let (harness, taker) = Harness::told(WebhookOptions { waiting: 2, ..WebhookOptions::default() }).await;
    taker.answers(503);
    for name in ["web", "mail", "shop"] {
        harness.issue(name).await;
    }
    assert_eq!(harness.waiting().await, 2);
    let dropped = harness.service.metrics().clone();
    harness.service.measure(&dropped);
    assert!(!dropped.text().contains("certmint_webhook_dropped_total 0"), "{}", dropped.text());
}

#[tokio::test]
async fn nothing_is_told_of_a_commit_that_failed() {
    let (harness, taker) = Harness::told(WebhookOptions::default()).await;
    harness.store.fail_after(0);
    ask!(harness.service, creations.create(create("web", "Self"))).unwrap_err();
    harness.store.heal();
    harness.work().await;
    assert_eq!((taker.kinds(), harness.waiting().await), (Vec::new(), 0));
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_deleted_goes_to_no_other_of_its_name() {
    let (harness, taker) = Harness::told(WebhookOptions::default()).await;
    taker.answers(503);
    harness.issue("web").await;
    assert!(harness.waiting().await > 0);
    let webhooks = Webhooks::of(&harness.service);
    webhooks.delete(permit(&harness.service, hook()).await).await.unwrap();
    harness.set_hook().await;
    taker.answers(200);
    let before = taker.kinds().len();
    harness.clock.advance(Duration::from_secs(3600));
    harness.work().await;
    assert_eq!((taker.kinds().len(), harness.waiting().await), (before, 0));
    let wanted = permit(&harness.service, hook()).await;
    let page = webhooks.deliveries(wanted, Deliveries::GivenUp, 100, "").await.unwrap();
    assert!(page.deliveries.is_empty());
}

#[tokio::test]
async fn a_failing_receiver_is_tried_for_a_day_and_dead_letters_are_kept_for_a_week() {
    let (harness, taker) = Harness::told(WebhookOptions::default()).await;
    taker.answers(503);
    harness.issue("web").await;
    for _ in 0..26 {
        harness.clock.advance(Duration::from_secs(3600));
        harness.work().await;
    }
    let letters = async || harness.keys().await.iter().filter(|key| key.starts_with("dead-letters/")).count();
    assert_eq!(harness.waiting().await, 0, "{:?}", harness.keys().await);
    assert!(letters().await >= 3);
    let tries = taker.kinds().len();
    assert!((10..100).contains(&tries), "{tries}");
    harness.later(8).await;
    assert_eq!(letters().await, 0);
}
