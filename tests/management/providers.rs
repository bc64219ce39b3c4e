//! The service's contract with providers that have options, a state and challenges.

use crate::harness::{Harness, create, named, service_with, vault};
use async_trait::async_trait;
use certmint::domain::{Action, ActionKind, Error, IssuerInput, IssuerName, Policy, Reason, Result, Timestamp};
use certmint::issuer::provider::{
    Challenge, ChallengeKey, ChallengeKind, Health, IssuerSchema, Needs, Order, Progress, Provider, State,
};
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::{self, Checkpoint, Issuer, IssuerError, Step, provider};
use certmint::keys::{KeyOptions, KeyPoolOptions, Keys, MasterKeys, Sealer};
use certmint::service::{Caller, Limits, PendingRef, Service};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use zeroize::Zeroizing;

const SECRET: &str = "hunter2-hunter2";

/// An authority that publishes a challenge, waits for a person, and signs. Its state says how it was made.
struct Outside {
    signs: SelfSigned,
    /// What was called, with the state it was called with.
    calls: Mutex<Vec<String>>,
    unreachable: AtomicBool,
    /// Changed behind the back of the first step.
    meddle: AtomicBool,
    service: OnceLock<Service>,
}

impl Outside {
    fn note(&self, call: &str, state: &State) -> String {
        let state = String::from_utf8(state.0.to_vec()).unwrap();
        self.calls.lock().unwrap().push(format!("{call} {state}"));
        state
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

fn state(text: impl Into<String>) -> State {
    State(Zeroizing::new(text.into().into_bytes()))
}

fn challenge(order: &Order) -> ChallengeKey {
    ChallengeKey { kind: ChallengeKind::Http01, name: format!("token-{}", order.certificate) }
}

#[async_trait]
impl Provider for Outside {
    fn schema(&self) -> IssuerSchema {
        IssuerSchema { provider: "Outside", summary: "A test.", options: Vec::new() }
    }

    async fn configure(&self, input: &provider::IssuerInput, old: Option<&State>) -> Result<State> {
        if let Some(name) = input.options.keys().find(|name| *name != "zone") {
            return Err(Error::field(format!("options.{name}"), "Unknown option. Outside has: zone."));
        }
        let secrets: Vec<String> = input.secrets.iter().map(|(name, text)| format!("{name}={}", text.len())).collect();
        let zone = input.options.get("zone").map_or("none", String::as_str);
        let kept = if old.is_some() { " kept" } else { "" };
        let password = input.password.as_ref().map_or(0, |password| password.len());
        Ok(state(format!("zone={zone} {} pwd={password}{kept}", secrets.join(" "))))
    }

    async fn activate(&self, at: &State) -> Result<Option<State>, IssuerError> {
        let text = self.note("activate", at);
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(IssuerError::Retry { after: None, source: "nobody answers".into() });
        }
        Ok((!text.contains(" active")).then(|| state(text + " active")))
    }

    fn accept(&self, policy: &Policy, _: &State) -> Result<()> {
        if policy.x509.ca { Err(Error::field("policy.x509_props.basic_constraints.ca", "No.")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        Needs { sealed_key: true, common_name_in_sans: true }
    }

    async fn advance(&self, order: &Order, at: &State, checkpoint: &Checkpoint) -> Result<Progress, IssuerError> {
        let text = self.note("advance", at);
        if self.meddle.swap(false, Ordering::SeqCst) {
            let changed = IssuerInput { options: [("zone".into(), "b".into())].into(), ..IssuerInput::default() };
            let service = self.service.get().unwrap();
            service.update_issuer(&caller(), &vault(), &issuer(), changed).await.unwrap();
        }
        let action = Action { kind: ActionKind::DnsTxt, name: "_x.example".into(), value: "y".into(), expires: None };
        match checkpoint.0.as_slice() {
            b"" => {
                let key = challenge(order);
                let expires = Timestamp(order.created.0 + 3_600_000);
                let step = Step::Pending {
                    checkpoint: Checkpoint(b"asked".to_vec()),
                    details: None,
                    again: Duration::from_secs(60),
                };
                let mut progress = Progress::new(step);
                progress.state = Some(state(text + " used"));
                progress.publish = vec![Challenge { key, key_authorization: "answer".into(), expires }];
                progress.actions = vec![action];
                Ok(progress)
            }
            _ => {
                let order_of_old = issuer::Order {
                    vault: order.vault.clone(),
                    certificate: order.certificate.clone(),
                    request_id: order.request_id,
                    version: order.version,
                    csr: order.csr.clone(),
                    policy: order.policy.clone(),
                    created: order.created,
                    issuer: None,
                    sealed_key: order.sealed_key.clone().unwrap(),
                };
                let mut progress = Progress::new(self.signs.advance(&order_of_old, checkpoint).await?);
                progress.withdraw = vec![challenge(order)];
                Ok(progress)
            }
        }
    }

    async fn cancel(&self, order: &Order, at: &State, _: &Checkpoint) -> Result<Progress, IssuerError> {
        self.note("cancel", at);
        let mut progress = Progress::new(Step::Cancelled);
        progress.withdraw = vec![challenge(order)];
        Ok(progress)
    }

    async fn check(&self, _: &State) -> Health {
        Health::Good(String::new())
    }
}

fn wanted(name: &str) -> PendingRef {
    PendingRef { vault: vault(), name: named(name), request_id: None }
}

fn caller() -> Caller {
    Caller::new("test", None)
}

fn issuer() -> IssuerName {
    IssuerName::parse("Corp").unwrap()
}

fn input(zone: &str) -> IssuerInput {
    IssuerInput {
        provider: Some("outside".into()),
        options: [("zone".to_owned(), zone.to_owned())].into(),
        secret_options: [("key".to_owned(), Zeroizing::new(SECRET.to_owned()))].into(),
        ..IssuerInput::default()
    }
}

async fn start() -> (Harness, Arc<Outside>) {
    let harness = Harness::new(Limits::default()).await;
    let sealer = Sealer::new(MasterKeys::from_text("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap());
    let ready = KeyPoolOptions { rsa_2048: 0, rsa_3072: 0, rsa_4096: 0 };
    let keys = Keys::new(Arc::new(sealer), KeyOptions { workers: 1, ready, ..KeyOptions::default() }).unwrap();
    let outside = Arc::new(Outside {
        signs: SelfSigned::new(Arc::new(keys)),
        calls: Mutex::default(),
        unreachable: AtomicBool::new(false),
        meddle: AtomicBool::new(false),
        service: OnceLock::new(),
    });
    let provider = outside.clone();
    let more = |issuers: certmint::issuer::Issuers| issuers.with_provider(provider);
    let service = service_with(harness.store.clone(), harness.clock.clone(), Limits::default(), more).await;
    assert!(outside.service.set(service.clone()).is_ok());
    (Harness { service, ..harness }, outside)
}

impl Harness {
    async fn set(&self, input: IssuerInput) {
        self.service.set_issuer(&caller(), &vault(), &issuer(), input).await.unwrap();
    }

    async fn served(&self, name: &str) -> Option<String> {
        self.service.challenge(ChallengeKind::Http01, &format!("token-{name}")).await.unwrap()
    }

    /// One round of what is due.
    async fn step(&self) {
        for due in self.service.claim(64).await.unwrap() {
            self.service.step(due).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_state_is_committed_before_the_outside_is_made_ready_and_after() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    let calls = outside.calls();
    assert_eq!(calls, ["activate zone=a key=15 pwd=0", "activate zone=a key=15 pwd=0 active"]);
    outside.unreachable.store(true, Ordering::SeqCst);
    harness.set(input("b")).await;
    assert_eq!(outside.calls(), ["activate zone=b key=15 pwd=0 kept"], "set all the same");
    harness.set(IssuerInput { enabled: Some(false), ..input("c") }).await;
    assert!(outside.calls().is_empty(), "what is disabled asks nobody");
}

#[tokio::test]
async fn a_step_publishes_with_its_commit_and_the_last_one_withdraws() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    outside.calls();
    harness.service.create(create("web", "corp")).await.unwrap();
    harness.step().await;
    assert_eq!(harness.served("web").await.as_deref(), Some("answer"));
    let pending = harness.service.operation(&wanted("web")).await.unwrap();
    assert_eq!(pending.actions()[0].name, "_x.example");
    harness.clock.advance(Duration::from_secs(60));
    harness.work().await;
    assert_eq!(harness.served("web").await, None);
    let calls = outside.calls();
    assert!(calls[0].ends_with("active") && calls[1].ends_with("active used"), "{calls:?}");
    let pending = harness.service.operation(&wanted("web")).await.unwrap();
    assert!(!pending.in_progress() && pending.actions().is_empty(), "{pending:?}");
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("challenges/")));
}

#[tokio::test]
async fn a_step_whose_state_was_changed_meanwhile_is_dropped_and_repeated_with_the_newer_one() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    harness.service.create(create("web", "corp")).await.unwrap();
    outside.meddle.store(true, Ordering::SeqCst);
    outside.calls();
    harness.step().await;
    assert_eq!(harness.served("web").await, None, "nothing of it was committed");
    harness.step().await;
    assert_eq!(harness.served("web").await.as_deref(), Some("answer"));
    let calls: Vec<String> = outside.calls().into_iter().filter(|call| call.starts_with("advance")).collect();
    assert!(calls[0].contains("zone=a") && calls[1].contains("zone=b") && calls.len() == 2, "{calls:?}");
}

#[tokio::test]
async fn a_deleted_operation_withdraws_its_challenges() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    harness.service.create(create("web", "corp")).await.unwrap();
    harness.step().await;
    harness.service.delete_pending(&wanted("web")).await.unwrap();
    harness.work().await;
    assert_eq!(harness.served("web").await, None);
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("challenges/") || key.starts_with("orders/")));
}

#[tokio::test]
async fn a_challenge_that_its_order_forgot_expires() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    harness.service.create(create("web", "corp")).await.unwrap();
    harness.step().await;
    harness.service.delete_issuer(&vault(), &issuer()).await.unwrap();
    harness.clock.advance(Duration::from_secs(3601));
    assert_eq!(harness.served("web").await, None);
    harness.work().await;
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("challenges/")));
}

#[tokio::test]
async fn secrets_lie_sealed_stay_through_a_change_and_go_with_the_issuer() {
    let (harness, outside) = start().await;
    harness.set(IssuerInput { password: Some(Zeroizing::new("1234".into())), ..input("a") }).await;
    outside.calls();
    let changed = IssuerInput { options: [("zone".into(), "b".into())].into(), ..IssuerInput::default() };
    let answer = harness.service.update_issuer(&caller(), &vault(), &issuer(), changed).await.unwrap();
    assert_eq!(answer.options["zone"], "b");
    assert_eq!(outside.calls()[0], "activate zone=b key=15 pwd=4 kept");
    for key in harness.store.keys().await {
        let body = harness.store.body(&key).await.unwrap().to_string();
        assert!(!body.contains(SECRET) && !body.contains("zone=b"), "{key}: {body}");
    }
    let removed = IssuerInput { secret_options: [("key".into(), Zeroizing::default())].into(), ..Default::default() };
    harness.service.update_issuer(&caller(), &vault(), &issuer(), removed).await.unwrap();
    assert!(outside.calls()[0].contains("zone=b  pwd=4"));
    harness.service.delete_issuer(&vault(), &issuer()).await.unwrap();
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer")));
    harness.set(input("a")).await;
    assert!(!outside.calls()[0].contains("kept"), "a new issuer begins anew");
}

#[tokio::test]
async fn another_provider_takes_nothing_over() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    let changed = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    let answer = harness.service.update_issuer(&caller(), &vault(), &issuer(), changed).await.unwrap();
    assert!(answer.options.is_empty() && answer.authority.is_some());
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer-states/")));
}

#[tokio::test]
async fn what_a_provider_refuses_is_a_bad_request() {
    let (harness, _outside) = start().await;
    let unknown = IssuerInput { options: [("zon".into(), "a".into())].into(), ..input("a") };
    let refusal = harness.service.set_issuer(&caller(), &vault(), &issuer(), unknown).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::BadParameter);
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer")), "nothing is written");
    for (name, value) in [("zone", "a\u{1}"), ("", "a"), ("a\u{202e}", "a")] {
        let wrong = IssuerInput { options: [(name.into(), value.into())].into(), ..input("a") };
        let refusal = harness.service.set_issuer(&caller(), &vault(), &issuer(), wrong).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::BadParameter, "{name}");
    }
    harness.set(input("a")).await;
    let mut request = create("ca", "corp");
    request.policy.as_mut().unwrap().ca = Some(true);
    assert_eq!(harness.service.create(request).await.unwrap_err().reason, Reason::BadParameter);
}
