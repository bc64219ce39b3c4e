//! Plays the service: commits what a step says before the next one, and nothing else. It can lose the
//! provider's memory, a step's result, an answer, or everything after a certain request.

use crate::mock::{KEY, Mock};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::issuer::Organization;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{CertificateName, PolicyInput, RequestId, VaultName, Version};
use certmint::issuer::acme::{Acme, Hook, PRESETS, Tools};
use certmint::issuer::digicert::DigiCert;
use certmint::issuer::provider::{Action, ChallengeKey, IssuerInput, Order, Progress, Provider, State};
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::chain::check_issued;
use certmint::keys::{KeyPair, request};
use certmint::outbound::{ClientOptions, Clients, Error, ErrorKind, Exchange, Identity, Request, Response};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Every exchange of a test: counted, and able to lose an answer or cut the power after one of them.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) requests: AtomicUsize,
    /// The answer to this request is lost, and with it the step and the provider's memory.
    pub(crate) cut_after: AtomicUsize,
    /// The answer to this request does not come.
    pub(crate) lose: AtomicUsize,
    pub(crate) cut: Notify,
}

struct Wired {
    inner: Arc<dyn Exchange>,
    wire: Arc<Wire>,
}

#[async_trait]
impl Exchange for Wired {
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let answer = self.inner.exchange(request).await;
        let count = self.wire.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.wire.cut_after.load(Ordering::SeqCst) {
            self.wire.cut.notify_one();
            std::future::pending::<()>().await;
        }
        if count == self.wire.lose.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Timeout, "The answer did not come."));
        }
        answer
    }
}

struct WiredClients {
    wire: Arc<Wire>,
}

impl Clients for WiredClients {
    fn client(&self, extra_roots: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        let options = ClientOptions { native_roots: false, ..ClientOptions::default() };
        let inner = options.client(extra_roots)?;
        Ok(Arc::new(Wired { inner, wire: Arc::clone(&self.wire) }))
    }

    fn client_with(&self, extra_roots: Option<&str>, identity: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        let options =
            ClientOptions { native_roots: false, identity: Some(identity.clone()), ..ClientOptions::default() };
        let inner = options.client(extra_roots)?;
        Ok(Arc::new(Wired { inner, wire: Arc::clone(&self.wire) }))
    }
}

/// What the service would keep, and what it works with.
pub(crate) struct Play {
    pub(crate) wire: Arc<Wire>,
    pub(crate) served: HashMap<ChallengeKey, String>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) state: State,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) details: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) waits: Vec<Duration>,
    pub(crate) cancelling: bool,
    pub(crate) forgetful: bool,
    /// The result of this step is thrown away.
    pub(crate) lose: Option<usize>,
    hooks: BTreeMap<String, Hook>,
    provider: DigiCert,
    pub(crate) steps: usize,
}

/// The form of Key Vault, and further options.
pub(crate) fn input(mock: &Mock, more: &[(&str, &str)]) -> IssuerInput {
    let own = [("base_url", mock.base_url.as_str()), ("ca_file", &mock.ca_pem)];
    let options = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    IssuerInput {
        options: options.collect(),
        account_id: Some("12345".into()),
        password: Some(KEY.to_owned().into()),
        organization: Some(Organization { id: Some("123456".into()), ..Organization::default() }),
        ..IssuerInput::default()
    }
}

pub(crate) fn provider(wire: &Arc<Wire>, clock: &Arc<ManualClock>, hooks: &BTreeMap<String, Hook>) -> DigiCert {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let clients = Arc::new(WiredClients { wire: Arc::clone(wire) });
    let tools = Tools { clients, hooks: Arc::new(hooks.clone()), clock, tls_alpn_01: false, http_01: true };
    DigiCert::new(tools.clone(), Arc::new(Acme::new(PRESETS[0], tools)))
}

impl Play {
    pub(crate) async fn new(input: &IssuerInput) -> Self {
        Self::with_hooks(input, BTreeMap::new()).await
    }

    pub(crate) async fn with_hooks(input: &IssuerInput, hooks: BTreeMap<String, Hook>) -> Self {
        let wire = Arc::new(Wire::default());
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let provider = provider(&wire, &clock, &hooks);
        let state = provider.configure(input, None).await.unwrap();
        Self {
            wire,
            served: HashMap::new(),
            clock,
            state,
            checkpoint: Checkpoint::default(),
            details: Vec::new(),
            actions: Vec::new(),
            waits: Vec::new(),
            cancelling: false,
            forgetful: false,
            lose: None,
            hooks,
            provider,
            steps: 0,
        }
    }

    /// The next order of the same issuer object.
    pub(crate) fn again(&mut self) {
        self.checkpoint = Checkpoint::default();
        self.details.clear();
    }

    pub(crate) fn forget(&mut self) {
        self.provider = provider(&self.wire, &self.clock, &self.hooks);
    }

    pub(crate) fn provider(&self) -> &DigiCert {
        &self.provider
    }

    /// One batch.
    fn commit(&mut self, progress: Progress) -> Step {
        let Progress { step, state, publish, withdraw, actions, asked: _ } = progress;
        if let Some(state) = state {
            self.state = state;
        }
        for challenge in publish {
            self.served.insert(challenge.key, challenge.key_authorization);
        }
        for key in withdraw {
            self.served.remove(&key);
        }
        self.actions = actions;
        if let Step::Pending { checkpoint, details, .. } = &step {
            assert!(checkpoint.0.len() < 64 * 1024);
            self.checkpoint = checkpoint.clone();
            self.details.extend(details.clone());
        }
        step
    }

    /// One step, committed unless it is to be lost; none where it failed or the power was cut.
    pub(crate) async fn step(&mut self, order: &Order) -> Option<Step> {
        if self.forgetful {
            self.forget();
        }
        let number = self.steps;
        self.steps += 1;
        let progress = {
            let step = async {
                if self.cancelling {
                    self.provider.cancel(order, &self.state, &self.checkpoint).await
                } else {
                    self.provider.advance(order, &self.state, &self.checkpoint).await
                }
            };
            tokio::select! {
                progress = step => progress,
                () = self.wire.cut.notified() => {
                    self.forget();
                    return None;
                }
            }
        };
        match progress {
            Ok(_) if self.lose == Some(number) => {
                self.forget();
                None
            }
            Ok(progress) => Some(self.commit(progress)),
            Err(IssuerError::Retry { after, source }) => {
                self.details.push(source.to_string());
                self.wait(after.unwrap_or(Duration::from_secs(1)));
                None
            }
            Err(IssuerError::Misconfigured { source }) => {
                self.details.push(format!("misconfigured: {source}"));
                self.wait(Duration::from_secs(60));
                None
            }
        }
    }

    /// Waits pass on the clock.
    fn wait(&mut self, duration: Duration) {
        self.waits.push(duration);
        self.clock.advance(duration);
    }

    /// Steps until the order is over, or something holds.
    pub(crate) async fn until(&mut self, order: &Order, holds: impl Fn(&Self) -> bool) -> Option<Step> {
        for _ in 0..300 {
            match self.step(order).await {
                Some(Step::Pending { again, .. }) => self.wait(again),
                Some(end) => return Some(end),
                None => {}
            }
            if holds(self) {
                return None;
            }
        }
        panic!("the order does not end: {:?}", self.details);
    }

    pub(crate) async fn run(&mut self, order: &Order) -> Step {
        self.until(order, |_| false).await.unwrap()
    }

    /// Until the order waits at the CA.
    pub(crate) async fn settle(&mut self, order: &Order) {
        let end = self.until(order, |play| play.waits.last().is_some_and(|wait| wait.as_secs() >= 60)).await;
        assert!(end.is_none(), "{end:?}");
    }

    /// Runs to a certificate that the core would accept.
    pub(crate) async fn issue(&mut self, order: &Order) -> Vec<Vec<u8>> {
        match self.run(order).await {
            Step::Issued { chain } => {
                let checked = check_issued(&chain, &order.csr, &order.policy, SystemClock.now()).unwrap();
                assert_eq!(checked.rest.len(), 2, "intermediate and root");
                assert!(self.served.is_empty(), "withdrawn");
                chain
            }
            other => panic!("not issued: {other:?} {:?}", self.details),
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.wire.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn said(&self, text: &str) -> bool {
        self.details.iter().any(|details| details.contains(text))
    }
}

/// An order for these host names.
pub(crate) fn order(names: &[&str]) -> Order {
    order_for(PolicyInput {
        subject: Some(format!("CN={}", names[0])),
        sans: Some(SubjectAlternativeNames {
            dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    })
}

pub(crate) fn order_for(input: PolicyInput) -> Order {
    order_with_id(input, "a76827a18b63421c917da80f28e9913d")
}

pub(crate) fn order_with_id(input: PolicyInput, id: &str) -> Order {
    let now = SystemClock.now();
    let input = PolicyInput {
        kty: Some("EC".into()),
        curve: Some("P-256".into()),
        issuer_name: Some("mydigicert".into()),
        ..input
    };
    let policy = input.complete(now).unwrap();
    let key = KeyPair::generate(policy.key.key_type).unwrap();
    Order {
        vault: VaultName::default_vault(),
        certificate: CertificateName::parse("mycert1").unwrap(),
        request_id: RequestId::parse(id).unwrap(),
        version: Version::parse("b76827a18b63421c917da80f28e9913d").unwrap(),
        csr: request::certificate_request(&key, &policy).unwrap(),
        policy,
        created: now,
        replaces: None,
        sealed_key: None,
        intent: None,
    }
}
