//! The provider `GlobalSignAtlas`: what is sent, what each answer means, crashes and lost answers.

use crate::atlas_mock::{Atlas, AtlasLines, KEY, SECRET};
use crate::play::order;
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::Timestamp;
use certmint::issuer::acme::Tools;
use certmint::issuer::atlas::Atlas as Provided;
use certmint::issuer::provider::{Health, IssuerInput, Order, Progress, Provider, State};
use certmint::issuer::{Checkpoint, FailureClass, IssuerError, Step, in_trace_of};
use certmint::keys::chain::check_issued;
use certmint::keys::random_id;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn input(atlas: &Atlas, more: &[(&str, &str)]) -> IssuerInput {
    let (certificate, key) = &atlas.client;
    let own = [("base_url", atlas.url.as_str()), ("ca_file", &atlas.ca_pem), ("client_certificate_file", certificate)];
    IssuerInput {
        options: own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        secrets: [("client_key".to_owned(), key.clone().into())].into(),
        account_id: Some(KEY.into()),
        password: Some(SECRET.to_owned().into()),
        ..IssuerInput::default()
    }
}

fn provider(atlas: &Arc<Atlas>, clock: &Arc<ManualClock>) -> Provided {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let clients = Arc::new(AtlasLines(Arc::clone(atlas)));
    Provided::new(Tools { clients, hooks: Arc::new(BTreeMap::new()), clock, tls_alpn_01: false, http_01: true })
}

/// Plays the service.
struct Play {
    atlas: Arc<Atlas>,
    clock: Arc<ManualClock>,
    provider: Provided,
    state: State,
    checkpoint: Checkpoint,
    details: Vec<String>,
    cancelling: bool,
}

impl Play {
    async fn new(more: &[(&str, &str)]) -> Self {
        let atlas = Atlas::start().await;
        let input = input(&atlas, more);
        Self::with(atlas, &input).await
    }

    async fn with(atlas: Arc<Atlas>, input: &IssuerInput) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let provider = provider(&atlas, &clock);
        let state = provider.configure(input, None).await.unwrap();
        let (checkpoint, details, cancelling) = (Checkpoint::default(), Vec::new(), false);
        Self { atlas, clock, provider, state, checkpoint, details, cancelling }
    }

    async fn ask(&self, order: &Order) -> Result<Progress, IssuerError> {
        if self.cancelling {
            return self.provider.cancel(order, &self.state, &self.checkpoint).await;
        }
        self.provider.advance(order, &self.state, &self.checkpoint).await
    }

    /// Steps until the request is over, or something is said.
    async fn until(&mut self, order: &Order, said: &str) -> Option<Step> {
        for _ in 0..100 {
            let answer = tokio::select! {
                answer = self.ask(order) => answer,
                () = self.atlas.cut.notified() => {
                    // The next call comes no earlier than the provider asks for.
                    self.clock.advance(self.provider.settles());
                    continue;
                }
            };
            match answer {
                Ok(Progress { step: Step::Pending { checkpoint, details, again }, .. }) => {
                    self.checkpoint = checkpoint;
                    self.details.extend(details);
                    self.clock.advance(again);
                }
                Ok(progress) => return Some(progress.step),
                Err(IssuerError::Retry { after, source }) => {
                    self.details.push(source.to_string());
                    self.clock.advance(after.unwrap_or(Duration::from_secs(1)));
                }
                Err(IssuerError::Misconfigured { source }) => self.details.push(format!("misconfigured: {source}")),
            }
            if self.said(said) {
                return None;
            }
        }
        panic!("{:?}", self.details);
    }

    async fn issue(&mut self, order: &Order) {
        let Some(Step::Issued { chain }) = self.until(order, "\u{0}").await else { panic!("{:?}", self.details) };
        assert_eq!(check_issued(&chain, &order.csr, &order.policy, SystemClock.now()).unwrap().rest.len(), 2);
    }

    fn said(&self, text: &str) -> bool {
        self.details.iter().any(|details| details.contains(text))
    }
}

#[tokio::test]
async fn a_request_says_what_the_policy_says_and_its_validity_is_cut() {
    let mut play = Play::new(&[]).await;
    let mut order = order("www.example.com");
    order.policy.x509.subject = "C=BE, O=Example, OU=one, OU=two, CN=www.example.com".into();
    order.policy.x509.sans.get_or_insert_default().emails = vec!["ops@example.com".into()];
    assert!(matches!(play.until(&order, "\u{0}").await, Some(Step::Issued { .. })), "{:?}", play.details);
    let body = play.atlas.made.lock().unwrap()[0].body.clone();
    let subject = serde_json::json!({"country": "BE", "organization": "Example", "common_name": "www.example.com",
        "organizational_unit": ["one", "two"]});
    assert_eq!(body["subject_dn"], subject);
    assert_eq!(body["san"], serde_json::json!({"dns_names": ["www.example.com"], "emails": ["ops@example.com"]}));
    let seconds = body["validity"]["not_after"].as_i64().unwrap() - body["validity"]["not_before"].as_i64().unwrap();
    assert_eq!(seconds, 90 * 86_400);
    assert!(body.get("extended_key_usages").is_none());
    assert_eq!(play.atlas.count("POST /login"), 1, "one login for all calls");

    let mut play = Play::new(&[("send_extended_key_usages", "true"), ("max_validity_days", "10")]).await;
    play.atlas.faults(|faults| faults.not_yet = 1);
    play.issue(&crate::play::order("www.example.com")).await;
    assert!(play.said("10 days were asked for"), "{:?}", play.details);
    let body = play.atlas.made.lock().unwrap()[0].body.clone();
    assert!(body["extended_key_usages"].as_array().unwrap().contains(&"1.3.6.1.5.5.7.3.1".into()), "{body}");
}

#[tokio::test]
async fn what_atlas_cannot_express_is_refused_by_its_member() {
    let play = Play::new(&[]).await;
    let good = order("www.example.com").policy;
    for (subject, upns, ca, named) in [
        ("CN=a.example, DC=example", false, false, "0.9.2342.19200300.100.1.25"),
        ("CN=a.example, CN=b.example", false, false, "one common_name"),
        ("CN=a.example", true, false, "upns"),
        ("CN=a.example", false, true, "basic_constraints.ca"),
    ] {
        let mut policy = good.clone();
        policy.x509.subject = subject.into();
        policy.x509.ca = ca;
        if upns {
            policy.x509.sans.get_or_insert_default().upns = vec!["a@b.example".into()];
        }
        let refused = play.provider.accept(&policy, &play.state).unwrap_err();
        assert!(refused.message.contains(named), "{refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_takes_its_time_is_fetched_and_a_revoked_one_fails() {
    let mut play = Play::new(&[]).await;
    play.atlas.faults(|faults| (faults.not_yet, faults.down) = (2, 2));
    play.issue(&order("www.example.com")).await;
    assert!(play.said("makes the certificate") && play.said("Try again later"), "{:?}", play.details);
    let mut play = Play::new(&[]).await;
    play.atlas.faults(|faults| faults.revoked = true);
    let end = play.until(&order("www.example.com"), "\u{0}").await;
    assert!(matches!(end, Some(Step::Failed { class: FailureClass::IssuerError, .. })), "{end:?}");
}

#[tokio::test]
async fn what_the_account_does_not_allow_is_the_requesters_and_a_wrong_secret_is_not() {
    let mut play = Play::new(&[]).await;
    play.atlas.faults(|faults| faults.refuse = Some((422, "The domain is not verified.")));
    let end = play.until(&order("www.example.com"), "\u{0}").await;
    let Some(Step::Failed { class: FailureClass::RequestRejected, message }) = end else { panic!("{end:?}") };
    assert!(message.contains("The domain is not verified"), "{message}");

    let atlas = Atlas::start().await;
    let secret = "another-secret-987";
    let wrong = IssuerInput { password: Some(secret.to_owned().into()), ..input(&atlas, &[]) };
    let mut play = Play::with(atlas, &wrong).await;
    play.until(&order("www.example.com"), "misconfigured").await;
    assert!(play.said("[secret]") && !play.said(secret), "{:?}", play.details);
    let Health::Bad(text) = play.provider.check(&play.state).await else { panic!() };
    assert!(!text.contains(secret), "{text}");
}

#[tokio::test]
async fn the_client_shows_its_certificate_and_another_one_is_not_let_in() {
    let atlas = Atlas::start().await;
    let (certificate, key) = atlas.stranger.clone();
    let mut stranger = input(&atlas, &[("client_certificate_file", certificate.as_str())]);
    stranger.secrets.insert("client_key".into(), key.clone().into());
    let mut play = Play::with(atlas, &stranger).await;
    play.until(&order("www.example.com"), "localhost").await;
    assert_eq!((play.atlas.placed(), play.atlas.calls.lock().unwrap().len()), (0, 0), "{:?}", play.details);
    // The certificate of one key with that of another.
    let play = Play::new(&[]).await;
    let mut mixed = input(&play.atlas, &[]);
    mixed.secrets.insert("client_key".into(), key.clone().into());
    let refused = play.provider.configure(&mixed, None).await.unwrap_err();
    assert!(refused.message.contains("client_certificate_file") && !refused.message.contains("PRIVATE"), "{refused:?}");
    assert!(play.provider.warnings(&play.state).is_empty());
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_the_check_says_what_is_left() {
    let mut play = Play::new(&[]).await;
    assert!(matches!(play.provider.check(&play.state).await, Health::Good(text) if text.contains("42")));
    play.atlas.good_from.store(1, Ordering::SeqCst);
    play.issue(&order("www.example.com")).await;
    assert_eq!(play.atlas.count("POST /login"), 2);
    play.atlas.faults(|faults| faults.quota = Some(0));
    assert!(matches!(play.provider.check(&play.state).await, Health::Bad(text) if text.contains("used up")));
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_anywhere_makes_no_second_certificate() {
    let mut play = Play::new(&[]).await;
    play.issue(&order("www.example.com")).await;
    let requests = play.atlas.requests.load(Ordering::SeqCst);
    assert!(requests >= 6, "login, policy, list, request, certificate, chain: {requests}");
    for at in 1..=requests {
        for cut in [true, false] {
            let mut play = Play::new(&[]).await;
            let count = if cut { &play.atlas.cut_after } else { &play.atlas.lose };
            count.store(at, Ordering::SeqCst);
            // The list has it only after a while.
            play.atlas.faults(|faults| faults.lag = 1);
            play.issue(&order("www.example.com")).await;
            assert_eq!(play.atlas.placed(), 1, "request {at}, cut {cut}: {:?}", play.atlas.calls.lock().unwrap());
        }
    }
}

#[tokio::test]
async fn a_key_that_is_used_again_does_not_bring_the_certificate_before() {
    let mut play = Play::new(&[]).await;
    let first = order("www.example.com");
    play.issue(&first).await;
    play.checkpoint = Checkpoint::default();
    play.details.clear();
    play.issue(&first).await;
    assert_eq!(play.atlas.placed(), 2);
    let serials: Vec<String> = play.atlas.made.lock().unwrap().iter().map(|made| made.serial.clone()).collect();
    assert_eq!(play.details.iter().filter(|text| text.contains(&serials[1])).count(), 1, "{:?}", play.details);
}

#[tokio::test]
async fn a_request_that_waited_long_asks_for_another_beginning() {
    let mut play = Play::new(&[]).await;
    play.atlas.faults(|faults| faults.down = 3);
    let order = order("www.example.com");
    play.until(&order, "Try again later").await;
    play.clock.advance(Duration::from_secs(300));
    play.issue(&order).await;
    assert_eq!(play.atlas.placed(), 1);
}

#[tokio::test]
async fn a_cancellation_ends_what_was_not_asked_for_and_takes_what_was_made() {
    let order = order("www.example.com");
    let mut play = Play::new(&[]).await;
    play.cancelling = true;
    assert_eq!(play.until(&order, "\u{0}").await, Some(Step::Cancelled));
    assert_eq!(play.atlas.requests.load(Ordering::SeqCst), 0, "nobody is asked");
    let mut play = Play::new(&[]).await;
    play.until(&order, "makes the certificate").await;
    play.cancelling = true;
    play.issue(&order).await;
    // Prepared, and the answer to the request was lost on its way there.
    let mut play = Play::new(&[]).await;
    play.atlas.faults(|faults| faults.refuse = Some((503, "down")));
    play.until(&order, "It is not known whether GlobalSign took the request").await;
    play.cancelling = true;
    assert_eq!(play.until(&order, "\u{0}").await, Some(Step::Cancelled));
    assert!(play.said("once more"), "{:?}", play.details);
}

/// What the CA logs is found by the request id.
#[tokio::test]
async fn calls_carry_the_request_id_as_their_trace() {
    let play = Play::new(&[]).await;
    let order = order("www.example.com");
    in_trace_of(order.request_id, play.ask(&order)).await.unwrap();
    let traces = play.atlas.traces.lock().unwrap().clone();
    assert!(!traces.is_empty());
    for trace in traces {
        assert!(trace.starts_with(&format!("00-{}-", order.request_id)), "{trace}");
    }
}

struct Conforming {
    atlas: Arc<Atlas>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Subject for Conforming {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(provider(&self.atlas, &self.clock))
    }

    fn input(&self) -> IssuerInput {
        input(&self.atlas, &[])
    }

    fn refused(&self) -> Vec<IssuerInput> {
        let wrong = [("base_url", "ftp://x"), ("client_certificate_file", "x"), ("client_key", "x")];
        let mut refused: Vec<IssuerInput> = wrong.map(|wrong| input(&self.atlas, &[wrong])).into();
        refused.push(IssuerInput { account_id: None, ..self.input() });
        refused
    }

    fn order(&self) -> Order {
        order(&format!("{}.example.com", &random_id().simple().to_string()[..8]))
    }

    fn secrets(&self) -> Vec<String> {
        let key = self.atlas.client.1.lines().nth(1).unwrap().to_owned();
        vec![SECRET.to_owned(), key, "token-".to_owned()]
    }

    fn requests(&self) -> usize {
        self.atlas.requests.load(Ordering::SeqCst)
    }

    fn orders(&self) -> usize {
        self.atlas.placed()
    }

    async fn outside(&self, calls: usize) {
        self.atlas.faults(|faults| faults.not_yet = usize::from(calls < 4));
    }

    async fn wait(&self, again: Duration) {
        self.clock.advance(again);
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

#[tokio::test]
async fn atlas_keeps_every_promise() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    keeps_every_promise(&Conforming { atlas: Atlas::start().await, clock }).await;
}
