//! The conformance suite of providers: each provider joins it with its own [`Subject`].

use async_trait::async_trait;
use certmint::domain::subject::common_name;
use certmint::domain::{Policy, Timestamp};
use certmint::issuer::provider::{Challenge, ChallengeKey, IssuerInput, OptionKind, Order, Progress, Provider, State};
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::chain::check_issued;
use certmint::keys::request_reader;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The most calls of one order; a provider that needs more is looping.
const CALLS: usize = 300;
/// The largest checkpoint that a store takes.
const CHECKPOINT: usize = 64 * 1024;

/// A provider with its CA, as the suite needs it.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// A new instance that has nothing in memory, as after a restart. All of them ask the same CA.
    fn provider(&self) -> Arc<dyn Provider>;
    /// What an issuer object of this provider is set with; complete, and accepted by the CA.
    fn input(&self) -> IssuerInput;
    /// The state that an issuer object was made with elsewhere; `None`: it is made of the input.
    fn state(&self) -> Option<State> {
        None
    }
    /// Inputs that are refused. Each holds a secret where the provider has any.
    fn refused(&self) -> Vec<IssuerInput>;
    /// A new order, for names of its own.
    fn order(&self) -> Order;
    /// Texts that no error and no `Debug` form shows.
    fn secrets(&self) -> Vec<String>;
    /// How many requests of any kind the CA got.
    fn requests(&self) -> usize {
        0
    }
    /// How many orders the CA has.
    fn orders(&self) -> usize {
        0
    }
    /// Orders that may be left unused at the CA after the result of one call was lost: none where
    /// the CA finds an order again by a reference that the provider gave it.
    fn orphans(&self) -> usize {
        0
    }
    /// Advances the CA's side, such as an approval. Called before each call.
    async fn outside(&self, _calls: usize) {}
    /// Serves challenges, as all replicas do once a step is committed.
    fn serve(&self, _publish: Vec<Challenge>, _withdraw: Vec<ChallengeKey>) {}
    /// How many challenges are served.
    fn served(&self) -> usize {
        0
    }
    /// Lets a wait pass on the provider's clock.
    async fn wait(&self, _again: Duration) {}
    fn now(&self) -> Timestamp;
}

/// What happens to the process that makes the calls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Lives,
    /// It is started again before every call.
    RestartsAlways,
    /// It dies after call number n, whose result is lost.
    Loses(usize),
    /// Every call is made twice; the first result is lost.
    Doubles,
    /// After n calls the order is cancelled.
    CancelsAfter(usize),
}

struct Run {
    end: Step,
    calls: usize,
}

/// Runs the whole suite. A broken promise is reported by name.
pub(crate) async fn keeps_every_promise(subject: &dyn Subject) {
    the_schema_is_complete(&*subject.provider());
    let state = configure_asks_nobody(subject).await;
    let state = activation_can_be_repeated(subject, state).await;
    let calls = an_order_ends_with_a_certificate(subject, &state).await;
    a_crash_between_any_two_calls_loses_nothing(subject, &state, calls).await;
    every_call_can_be_repeated(subject, &state).await;
    a_request_of_the_callers_own_is_signed(subject, &state).await;
    an_order_can_be_cancelled_at_any_time(subject, &state, calls).await;
    what_cannot_be_read_is_an_error(subject, &state).await;
    secrets_are_shown_nowhere(subject, &state).await;
}

fn the_schema_is_complete(provider: &dyn Provider) {
    let schema = provider.schema();
    assert!(schema.summary.ends_with('.'), "the summary is a sentence");
    let members = provider.members();
    let mut names = BTreeSet::new();
    for option in schema.options.iter().chain(&members) {
        assert!(names.insert(option.name), "{} stands twice", option.name);
        assert!(option.help.ends_with('.'), "the help of {} is a sentence", option.name);
        assert!(option.default.is_none() || option.kind != OptionKind::Secret, "{}: a default secret", option.name);
    }
    for member in &members {
        assert!(["account_id", "password", "organization_id"].contains(&member.name), "{} is no member", member.name);
    }
}

async fn configure_asks_nobody(subject: &dyn Subject) -> State {
    let before = subject.requests();
    let state = match subject.state() {
        Some(state) => state,
        None => subject.provider().configure(&subject.input(), None).await.unwrap(),
    };
    let again = subject.provider().configure(&subject.input(), Some(&state)).await.unwrap();
    for refused in subject.refused() {
        subject.provider().configure(&refused, Some(&state)).await.unwrap_err();
        subject.provider().configure(&refused, None).await.unwrap_err();
    }
    assert_eq!(subject.requests(), before, "configure has an outside effect");
    // A change that says the same keeps what the CA knows.
    again
}

async fn activation_can_be_repeated(subject: &dyn Subject, state: State) -> State {
    let mut state = state;
    for _ in 0..20 {
        // The first result is lost.
        subject.provider().activate(&state).await.unwrap();
        match subject.provider().activate(&state).await.unwrap() {
            Some(next) => state = next,
            None => return state,
        }
    }
    panic!("the activation does not end");
}

async fn an_order_ends_with_a_certificate(subject: &dyn Subject, state: &State) -> usize {
    let before = subject.orders();
    let calls = issued(subject, state, Fate::Lives).await;
    assert!(subject.orders() <= before + 1, "more than one order for a certificate");
    issued(subject, state, Fate::RestartsAlways).await;
    assert!(subject.orders() <= before + 2, "an order depends on the memory of the process");
    calls
}

async fn a_crash_between_any_two_calls_loses_nothing(subject: &dyn Subject, state: &State, calls: usize) {
    for call in 0..calls {
        let before = subject.orders();
        issued(subject, state, Fate::Loses(call)).await;
        let made = subject.orders() - before;
        assert!(made <= 1 + subject.orphans(), "{made} orders after the result of call {call} was lost");
    }
}

async fn every_call_can_be_repeated(subject: &dyn Subject, state: &State) {
    let before = subject.orders();
    issued(subject, state, Fate::Doubles).await;
    let made = subject.orders() - before;
    assert!(made <= 1 + subject.orphans(), "{made} orders where each call was made twice");
}

/// The request is written by another program, for a key that the server never had.
async fn a_request_of_the_callers_own_is_signed(subject: &dyn Subject, state: &State) {
    if subject.provider().needs().sealed_key {
        return;
    }
    for fate in [Fate::Lives, Fate::RestartsAlways, Fate::Doubles] {
        let before = subject.orders();
        let mut order = subject.order();
        order.csr = foreign_request(&order.policy);
        let facts = request_reader::read(&order.csr).unwrap();
        subject.provider().accept_request(&facts, &order.policy, state).unwrap();
        finished(subject, state, &order, fate).await;
        let made = subject.orders() - before;
        assert!(made <= 1 + subject.orphans(), "{made} orders for one request of a caller: {fate:?}");
    }
}

/// With the names of the policy, as rcgen writes a request.
fn foreign_request(policy: &Policy) -> Vec<u8> {
    let names = policy.x509.sans.clone().unwrap_or_default();
    let mut params = CertificateParams::new([names.dns_names, names.ip_addresses].concat()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = common_name(&policy.x509.subject).unwrap() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

async fn an_order_can_be_cancelled_at_any_time(subject: &dyn Subject, state: &State, calls: usize) {
    for call in 0..=calls {
        let Run { end, .. } = run(subject, state, &subject.order(), Fate::CancelsAfter(call)).await;
        let fine = matches!(end, Step::Cancelled | Step::Issued { .. });
        assert!(fine, "cancelled after {call} calls: {end:?}");
        assert_eq!(subject.served(), 0, "cancelled after {call} calls, and its challenges are still served");
    }
}

async fn what_cannot_be_read_is_an_error(subject: &dyn Subject, state: &State) {
    let provider = subject.provider();
    let cut = State(state.0[..state.0.len() / 2].to_vec().into());
    for state in [State(b"\xff{not a state".to_vec().into()), cut] {
        let order = subject.order();
        // A provider without a state has nothing to read.
        for error in [
            provider.advance(&order, &state, &Checkpoint::default()).await.err(),
            provider.cancel(&order, &state, &Checkpoint::default()).await.err(),
        ] {
            let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
            hides(subject, &format!("{error:?} {text}"));
        }
        hides(subject, &format!("{:?}", provider.check(&state).await));
    }
    let order = subject.order();
    let broken = Checkpoint(b"\xff{not a checkpoint".to_vec());
    if let Err(error) = provider.advance(&order, state, &broken).await {
        hides(subject, &error.to_string());
    }
}

async fn secrets_are_shown_nowhere(subject: &dyn Subject, state: &State) {
    hides(subject, &format!("{:?} {state:?}", subject.input()));
    hides(subject, &format!("{:?}", subject.order()));
    hides(subject, &format!("{:?}", subject.provider().check(state).await));
    for refused in subject.refused() {
        hides(subject, &format!("{refused:?}"));
        let error = subject.provider().configure(&refused, None).await.unwrap_err();
        hides(subject, &format!("{error:?}"));
    }
}

fn hides(subject: &dyn Subject, text: &str) {
    for secret in subject.secrets() {
        assert!(!text.contains(&secret), "a secret is shown: {text}");
    }
}

/// A whole run that ends with a certificate which the core accepts. Answers the number of its calls.
async fn issued(subject: &dyn Subject, state: &State, fate: Fate) -> usize {
    let order = subject.order();
    assert!(order.sealed_key.is_none() || subject.provider().needs().sealed_key, "a key that nobody asked for");
    finished(subject, state, &order, fate).await
}

async fn finished(subject: &dyn Subject, state: &State, order: &Order, fate: Fate) -> usize {
    let Run { end, calls } = run(subject, state, order, fate).await;
    let Step::Issued { chain } = end else { panic!("{fate:?}: not issued: {end:?}") };
    check_issued(&chain, &order.csr, &order.policy, subject.now()).unwrap();
    assert_eq!(subject.served(), 0, "{fate:?}: challenges are served for ever");
    calls
}

/// Plays the service: commits what a step says before the next one, and nothing else.
async fn run(subject: &dyn Subject, state: &State, order: &Order, fate: Fate) -> Run {
    let (mut state, mut at) = (state.clone(), Checkpoint::default());
    let mut provider = subject.provider();
    for call in 0..CALLS {
        if fate == Fate::RestartsAlways {
            provider = subject.provider();
        }
        subject.outside(call).await;
        let cancels = matches!(fate, Fate::CancelsAfter(calls) if call >= calls);
        let step = async |provider: &dyn Provider| {
            let intent = provider.intend(order, &state, None, None).ok().flatten();
            let order = &Order { intent, ..order.clone() };
            if cancels { provider.cancel(order, &state, &at).await } else { provider.advance(order, &state, &at).await }
        };
        let mut answer = step(&*provider).await;
        let lost = fate == Fate::Loses(call);
        if lost || fate == Fate::Doubles {
            provider = subject.provider();
        }
        if lost {
            continue;
        }
        if fate == Fate::Doubles {
            answer = step(&*provider).await;
        }
        let progress = match answer {
            Ok(progress) => progress,
            Err(IssuerError::Retry { after, source }) => {
                hides(subject, &format!("{source:?} {source}"));
                subject.wait(after.unwrap_or(Duration::from_millis(50))).await;
                continue;
            }
            Err(error) => panic!("{fate:?}, call {call}: {error}"),
        };
        hides(subject, &format!("{progress:?}"));
        let Progress { step, state: next, publish, withdraw, actions: _, asked: _ } = progress;
        state = next.unwrap_or(state);
        subject.serve(publish, withdraw);
        match step {
            Step::Pending { checkpoint, details, again } => {
                assert!(checkpoint.0.len() <= CHECKPOINT, "a checkpoint of {} bytes", checkpoint.0.len());
                hides(subject, &details.unwrap_or_default());
                at = checkpoint;
                subject.wait(again).await;
            }
            end => return Run { end, calls: call + 1 },
        }
    }
    panic!("{fate:?}: the order does not end");
}
