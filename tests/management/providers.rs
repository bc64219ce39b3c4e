//! The service's contract with providers that have options, a state and challenges.

use crate::false_provider::{Call, FalseProvider, Keeper};
use crate::management::harness::{Harness, create, named, service_with, vault};
use crate::permit::{ask, permit};
use certmint::domain::{self, Action, ActionKind, Error, IssuerInput, IssuerName, Policy, Reason, Timestamp};
use certmint::issuer::provider::{
    self, Challenge, ChallengeKey, ChallengeKind, Needs, OptionKind, OptionSchema, Order, Progress, Provider, State,
};
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{PendingRef, Service, ServiceOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use zeroize::Zeroizing;

const SECRET: &str = "hunter2-hunter2";

/// An authority that publishes a challenge, waits for a person, and signs. Its state says how it was made.
#[derive(Default)]
pub(crate) struct Outside {
    /// What was called, with the state it was called with.
    calls: Mutex<Vec<String>>,
    pub(crate) unreachable: AtomicBool,
    /// Steps say that they called nobody.
    pub(crate) quiet: AtomicBool,
    /// Changed behind the back of the first step.
    meddle: AtomicBool,
    service: OnceLock<Service>,
}

fn state(text: impl Into<String>) -> State {
    State(Zeroizing::new(text.into().into_bytes()))
}

fn challenge(order: &Order) -> ChallengeKey {
    ChallengeKey { kind: ChallengeKind::Http01, name: format!("token-{}", order.certificate) }
}

impl Outside {
    /// `signs` signs with the certificate's own key.
    fn provider(self: &Arc<Self>, signs: Arc<dyn Provider>) -> FalseProvider {
        let outside = self.clone();
        let needs = Needs { common_name_in_sans: true, ..signs.needs() };
        let mut provider = FalseProvider::new("Outside", move |call| {
            let (outside, signs) = (outside.clone(), signs.clone());
            async move { outside.answer(&*signs, call).await }
        });
        provider.needs = needs;
        provider.keeper = Some(self.clone());
        provider
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    async fn answer(&self, signs: &dyn Provider, call: Call) -> Result<Progress, IssuerError> {
        let Call { order, state: text, at, cancelling } = call;
        let act = if cancelling { "cancel" } else { "advance" };
        self.calls.lock().unwrap().push(format!("{act} {text}"));
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(IssuerError::Retry { after: None, source: "nobody answers".into() });
        }
        if cancelling {
            let mut progress = Progress::new(Step::Cancelled);
            progress.withdraw = vec![challenge(&order)];
            return Ok(progress);
        }
        if self.meddle.swap(false, Ordering::SeqCst) {
            let changed = IssuerInput { options: [("zone".into(), "b".into())].into(), ..IssuerInput::default() };
            let service = self.service.get().unwrap();
            ask!(service, issuers.update_issuer((vault(), issuer()), changed)).unwrap();
        }
        if !at.0.is_empty() {
            let mut progress = signs.advance(&order, &State::default(), &at).await?;
            progress.withdraw = vec![challenge(&order)];
            return Ok(progress);
        }
        let expires = Timestamp(order.created.0 + 3_600_000);
        let mut progress = Progress::new(Step::Pending {
            checkpoint: Checkpoint(b"asked".to_vec()),
            details: None,
            again: Duration::from_secs(60),
        });
        progress.state = Some(state(text + " used"));
        progress.publish = vec![Challenge { key: challenge(&order), key_authorization: "answer".into(), expires }];
        progress.actions =
            vec![Action { kind: ActionKind::DnsTxt, name: "_x.example".into(), value: "y".into(), expires: None }];
        progress.asked = !self.quiet.load(Ordering::SeqCst);
        Ok(progress)
    }
}

impl Keeper for Outside {
    fn options(&self) -> Vec<OptionSchema> {
        let option =
            |name, kind| OptionSchema { name, kind, required: false, default: None, help: "What the test sets." };
        vec![option("zone", OptionKind::Text), option("key", OptionKind::Secret)]
    }

    fn configure(&self, input: &provider::IssuerInput, old: Option<&State>) -> domain::Result<State> {
        if let Some(name) = input.options.keys().find(|name| *name != "zone") {
            return Err(Error::field(format!("options.{name}"), "Unknown option. Outside has: zone."));
        }
        let secrets: Vec<String> = input.secrets.iter().map(|(name, text)| format!("{name}={}", text.len())).collect();
        let zone = input.options.get("zone").map_or("none", String::as_str);
        let kept = if old.is_some() { " kept" } else { "" };
        let password = input.password.as_ref().map_or(0, |password| password.len());
        Ok(state(format!("zone={zone} {} pwd={password}{kept}", secrets.join(" "))))
    }

    fn activate(&self, at: &State) -> Result<Option<State>, IssuerError> {
        let text = String::from_utf8(at.0.to_vec()).unwrap();
        self.calls.lock().unwrap().push(format!("activate {text}"));
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(IssuerError::Retry { after: None, source: "nobody answers".into() });
        }
        Ok((!text.contains(" active")).then(|| state(text + " active")))
    }

    fn accept(&self, policy: &Policy) -> domain::Result<()> {
        if policy.x509.ca { Err(Error::field("policy.x509_props.basic_constraints.ca", "No.")) } else { Ok(()) }
    }
}

pub(crate) fn wanted(name: &str) -> PendingRef {
    PendingRef { vault: vault(), name: named(name), request_id: None }
}

pub(crate) fn issuer() -> IssuerName {
    IssuerName::parse("Corp").unwrap()
}

pub(crate) fn input(zone: &str) -> IssuerInput {
    IssuerInput {
        provider: Some("outside".into()),
        options: [("zone".to_owned(), zone.to_owned())].into(),
        secret_options: [("key".to_owned(), Zeroizing::new(SECRET.to_owned()))].into(),
        ..IssuerInput::default()
    }
}

pub(crate) async fn start() -> (Harness, Arc<Outside>) {
    let harness = Harness::new(ServiceOptions::default()).await;
    let sealer = Sealer::new(MasterKeys::from_text("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap());
    let keys =
        Keys::new(Arc::new(sealer), &KeyOptions { workers: 1, ..KeyOptions::on_demand() }, &Limits::default()).unwrap();
    let outside = Arc::new(Outside::default());
    let provider = Arc::new(outside.provider(Arc::new(SelfSigned::new(Arc::new(keys)))));
    let more = |issuers: certmint::issuer::Issuers| issuers.with_provider(provider);
    let service = service_with(harness.store.clone(), harness.clock.clone(), ServiceOptions::default(), more).await;
    assert!(outside.service.set(service.clone()).is_ok());
    (Harness { service, ..harness }, outside)
}

impl Harness {
    pub(crate) async fn set(&self, input: IssuerInput) {
        ask!(self.service, issuers.set_issuer((vault(), issuer()), input)).unwrap();
    }

    async fn served(&self, name: &str) -> Option<String> {
        self.service.issuers().challenge(ChallengeKind::Http01, &format!("token-{name}")).await.unwrap()
    }

    /// One round of what is due.
    pub(crate) async fn step(&self) {
        for due in self.service.jobs().claim(64).await.unwrap() {
            self.service.jobs().step(due).await.unwrap();
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
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.step().await;
    assert_eq!(harness.served("web").await.as_deref(), Some("answer"));
    let pending = ask!(harness.service, pending.operation(wanted("web"))).unwrap();
    assert_eq!(pending.actions()[0].name, "_x.example");
    harness.clock.advance(Duration::from_secs(60));
    harness.work().await;
    assert_eq!(harness.served("web").await, None);
    let calls = outside.calls();
    assert!(calls[0].ends_with("active") && calls[1].ends_with("active used"), "{calls:?}");
    let pending = ask!(harness.service, pending.operation(wanted("web"))).unwrap();
    assert!(!pending.in_progress() && pending.actions().is_empty(), "{pending:?}");
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("challenges/")));
}

#[tokio::test]
async fn a_step_whose_state_was_changed_meanwhile_is_dropped_and_repeated_with_the_newer_one() {
    let (harness, outside) = start().await;
    harness.set(input("a")).await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    outside.meddle.store(true, Ordering::SeqCst);
    outside.calls();
    harness.step().await;
    assert_eq!(harness.served("web").await, None, "nothing of it was committed");
    harness.step().await;
    assert_eq!(harness.served("web").await.as_deref(), Some("answer"));
    let calls: Vec<String> = outside.calls().into_iter().filter(|call| call.starts_with("advance")).collect();
    assert!(calls[0].contains("zone=a") && calls[1].contains("zone=b") && calls.len() == 2, "{calls:?}");
}

/// Each order of a host has a file of its own at the same place.
#[tokio::test]
async fn files_of_two_orders_of_one_host_stand_beside_each_other() {
    let file = |order: &Order| ChallengeKey::file("WWW.example.com", &format!("value-{}", order.certificate));
    let provider = FalseProvider::new("Filing", move |Call { order, at, cancelling, .. }| async move {
        if cancelling {
            let mut progress = Progress::new(Step::Cancelled);
            progress.withdraw = vec![file(&order)];
            return Ok(progress);
        }
        let again = Duration::from_secs(60);
        let checkpoint = Checkpoint(if at.0.is_empty() { b"asked".to_vec() } else { at.0 });
        let mut progress = Progress::new(Step::Pending { checkpoint, details: None, again });
        let expires = Timestamp(order.created.0 + 3_600_000);
        let key_authorization = format!("value-{}", order.certificate);
        progress.publish = vec![Challenge { key: file(&order), key_authorization, expires }];
        Ok(progress)
    });
    let harness = Harness::new(ServiceOptions::default()).await;
    let more = |issuers: certmint::issuer::Issuers| issuers.with_provider(Arc::new(provider));
    let service = service_with(harness.store.clone(), harness.clock.clone(), ServiceOptions::default(), more).await;
    let harness = Harness { service, ..harness };
    harness.set(IssuerInput { provider: Some("Filing".into()), ..IssuerInput::default() }).await;
    for name in ["web", "api"] {
        ask!(harness.service, creations.create(create(name, "corp"))).unwrap();
    }
    harness.step().await;
    let served = async || {
        let kind = ChallengeKind::PkiValidation;
        let file = harness.service.issuers().challenge(kind, "www.example.com").await.unwrap().unwrap_or_default();
        let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(served().await, ["value-api", "value-web"]);
    ask!(harness.service, pending.delete_pending(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!(served().await, ["value-api"]);
    harness.clock.advance(Duration::from_secs(3601));
    assert!(served().await.is_empty(), "expired");
}

#[tokio::test]
async fn a_deleted_operation_withdraws_its_challenges() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.step().await;
    ask!(harness.service, pending.delete_pending(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!(harness.served("web").await, None);
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("challenges/") || key.starts_with("orders/")));
}

#[tokio::test]
async fn a_challenge_that_its_order_forgot_expires() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.step().await;
    ask!(harness.service, issuers.delete_issuer((vault(), issuer()))).unwrap();
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
    let answer = ask!(harness.service, issuers.update_issuer((vault(), issuer()), changed)).unwrap();
    assert_eq!(answer.options["zone"], "b");
    assert_eq!(outside.calls()[0], "activate zone=b key=15 pwd=4 kept");
    for key in harness.store.keys().await {
        let body = harness.store.body(&key).await.unwrap().to_string();
        assert!(!body.contains(SECRET) && !body.contains("zone=b"), "{key}: {body}");
    }
    let removed = IssuerInput { secret_options: [("key".into(), Zeroizing::default())].into(), ..Default::default() };
    ask!(harness.service, issuers.update_issuer((vault(), issuer()), removed)).unwrap();
    assert!(outside.calls()[0].contains("zone=b  pwd=4"));
    ask!(harness.service, issuers.delete_issuer((vault(), issuer()))).unwrap();
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer")));
    harness.set(input("a")).await;
    assert!(!outside.calls()[0].contains("kept"), "a new issuer begins anew");
}

#[tokio::test]
async fn another_provider_takes_nothing_over() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    let changed = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    let answer = ask!(harness.service, issuers.update_issuer((vault(), issuer()), changed)).unwrap();
    assert!(answer.options.is_empty() && answer.authority.is_some());
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer-states/")));
}

/// Only the provider that has an order can ask for it.
#[tokio::test]
async fn another_provider_has_to_wait_for_open_orders() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.step().await;
    let local = || IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    let here = async || permit(&harness.service, (vault(), issuer())).await;
    for refused in [
        harness.service.issuers().update_issuer(here().await, local()).await.unwrap_err(),
        harness.service.issuers().set_issuer(here().await, local()).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason, Reason::IssuerInUse);
        assert!(
            refused.message.contains("provider outside") && refused.message.contains("wait for their end"),
            "{refused:?}"
        );
    }
    ask!(harness.service, pending.delete_pending(wanted("web"))).unwrap();
    harness.work().await;
    harness.service.issuers().update_issuer(here().await, local()).await.unwrap();
}

/// During an upgrade, or where a plug-in is configured on some replicas alone.
#[tokio::test]
async fn a_replica_without_the_provider_changes_nothing_that_the_provider_reads() {
    let (harness, _outside) = start().await;
    harness.set(input("a")).await;
    let without =
        service_with(harness.store.clone(), harness.clock.clone(), ServiceOptions::default(), |issuers| issuers).await;
    let place = async || permit(&without, (vault(), issuer())).await;
    let before = harness.store.body("issuers/default/corp").await.unwrap();
    let password = Some(Zeroizing::new("1234".to_owned()));
    for change in [
        IssuerInput { options: [("zone".into(), "b".into())].into(), ..IssuerInput::default() },
        IssuerInput { secret_options: [("key".into(), Zeroizing::default())].into(), ..IssuerInput::default() },
        IssuerInput { password, ..IssuerInput::default() },
        IssuerInput { account_id: Some("7".into()), ..IssuerInput::default() },
        IssuerInput { organization: Some(Default::default()), ..IssuerInput::default() },
    ] {
        let refused = without.issuers().update_issuer(place().await, change).await.unwrap_err();
        assert_eq!(refused.reason, Reason::BadParameter);
        assert!(refused.message.contains("is not offered by this server"), "{refused:?}");
    }
    assert_eq!(harness.store.body("issuers/default/corp").await.unwrap(), before, "nothing is written");
    let disabled = IssuerInput { enabled: Some(false), ..IssuerInput::default() };
    assert!(!without.issuers().update_issuer(place().await, disabled).await.unwrap().enabled);
    let refused = without.issuers().control().deactivate_issuer(place().await).await.unwrap_err();
    assert!(refused.message.contains("does not offer"), "{refused:?}");
}

#[tokio::test]
async fn what_a_provider_refuses_is_a_bad_request() {
    let (harness, _outside) = start().await;
    let unknown = IssuerInput { options: [("zon".into(), "a".into())].into(), ..input("a") };
    let refusal = ask!(harness.service, issuers.set_issuer((vault(), issuer()), unknown)).unwrap_err();
    assert_eq!(refusal.reason, Reason::BadParameter);
    assert!(!harness.store.keys().await.iter().any(|key| key.starts_with("issuer")), "nothing is written");
    for (name, value) in [("zone", "a\u{1}"), ("", "a"), ("a\u{202e}", "a")] {
        let wrong = IssuerInput { options: [(name.into(), value.into())].into(), ..input("a") };
        let refusal = ask!(harness.service, issuers.set_issuer((vault(), issuer()), wrong)).unwrap_err();
        assert_eq!(refusal.reason, Reason::BadParameter, "{name}");
    }
    harness.set(input("a")).await;
    let mut request = create("ca", "corp");
    request.policy.as_mut().unwrap().ca = Some(true);
    assert_eq!(ask!(harness.service, creations.create(request)).unwrap_err().reason, Reason::BadParameter);
}
