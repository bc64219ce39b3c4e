//! Plays the service: commits what a step says before the next one, and nothing else. It can lose
//! the engine's memory, a step's result, or everything after a certain request.

use crate::peers::Pebble;
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{CertificateName, PolicyInput, RequestId, VaultName, Version};
use certmint::issuer::acme::{Acme, Hook, Lookup, PRESETS, Responder, Tools};
use certmint::issuer::provider::{Action, ChallengeKey, ChallengeKind, IssuerInput, Order, Progress, Provider, State};
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::chain::check_issued;
use certmint::keys::{KeyPair, request};
use certmint::outbound::{ClientOptions, Clients, Error, Exchange, Identity, Request, Response};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Every exchange of a test: counted, and able to cut the power after one of them.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) requests: AtomicUsize,
    /// Requests to make an order, as far as the CA accepted them.
    pub(crate) orders: AtomicUsize,
    /// After this many requests the answer is lost and the step with it.
    pub(crate) cut_after: AtomicUsize,
    pub(crate) cut: Notify,
    pub(crate) bodies: Mutex<Vec<(String, u16)>>,
}

struct Wired {
    inner: Arc<dyn Exchange>,
    wire: Arc<Wire>,
}

#[async_trait]
impl Exchange for Wired {
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let url = request.url.clone();
        let answer = self.inner.exchange(request).await;
        if let Ok(answer) = &answer {
            self.wire.bodies.lock().unwrap().push((url.clone(), answer.status.as_u16()));
            if url.ends_with("/order-plz") && answer.status.is_success() {
                self.wire.orders.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = self.wire.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.wire.cut_after.load(Ordering::SeqCst) {
            self.wire.cut.notify_one();
            std::future::pending::<()>().await;
        }
        answer
    }
}

struct WiredClients {
    options: ClientOptions,
    wire: Arc<Wire>,
}

impl Clients for WiredClients {
    fn client(&self, extra_roots: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        let inner = self.options.client(extra_roots)?;
        Ok(Arc::new(Wired { inner, wire: Arc::clone(&self.wire) }))
    }

    fn client_with(&self, extra_roots: Option<&str>, identity: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        let inner = self.options.client_with(extra_roots, identity)?;
        Ok(Arc::new(Wired { inner, wire: Arc::clone(&self.wire) }))
    }
}

/// The records of challenges, as the store would have them.
#[derive(Clone, Default)]
pub(crate) struct Records {
    pub(crate) map: Arc<Mutex<HashMap<ChallengeKey, String>>>,
    /// While set, nothing is found: the replicas are down.
    pub(crate) down: Arc<AtomicBool>,
}

#[async_trait]
impl Lookup for Records {
    async fn lookup(&self, token: &str) -> Result<Option<String>, ()> {
        if self.down.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let key = ChallengeKey { kind: ChallengeKind::Http01, name: token.to_owned() };
        Ok(self.map.lock().unwrap().get(&key).cloned())
    }
}

/// What the service would keep, and what it works with.
pub(crate) struct Play {
    pub(crate) wire: Arc<Wire>,
    pub(crate) records: Records,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) state: State,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) details: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) hooks: BTreeMap<String, Hook>,
    /// Makes a new engine for every step.
    pub(crate) forgetful: bool,
    engine: Acme,
    steps: usize,
    /// The result of this step is thrown away.
    pub(crate) lose: Option<usize>,
}

/// The options for pebble, and further ones.
pub(crate) fn input(pebble: &Pebble, more: &[(&str, &str)]) -> IssuerInput {
    let mut input = IssuerInput::default();
    let own = [("directory", pebble.directory.as_str()), ("ca_file", &pebble.ca_pem), ("agree_to_terms", "true")];
    for (name, value) in own.iter().chain(more) {
        match *name {
            "eab_hmac" | "tsig_secret" | "httpreq_password" | "acmedns_accounts" => {
                input.secrets.insert((*name).to_owned(), (*value).to_owned().into());
            }
            _ => {
                input.options.insert((*name).to_owned(), (*value).to_owned());
            }
        }
    }
    input
}

impl Play {
    pub(crate) async fn new(input: &IssuerInput) -> Self {
        Self::with_hooks(input, BTreeMap::new()).await
    }

    pub(crate) async fn with_hooks(input: &IssuerInput, hooks: BTreeMap<String, Hook>) -> Self {
        let wire = Arc::new(Wire::default());
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let engine = engine(&wire, &clock, &hooks);
        let state = engine.configure(input, None).await.unwrap();
        Self {
            wire,
            records: Records::default(),
            clock,
            state,
            checkpoint: Checkpoint::default(),
            details: Vec::new(),
            actions: Vec::new(),
            hooks,
            forgetful: false,
            engine,
            steps: 0,
            lose: None,
        }
    }

    /// Serves http-01 where pebble looks.
    pub(crate) async fn serve_http01(&self, pebble: &Pebble) {
        let listener = TcpListener::bind(("127.0.0.1", pebble.http_port)).await.unwrap();
        let responder = Responder::new(Arc::new(self.records.clone()));
        tokio::spawn(responder.serve(listener, std::future::pending()));
    }

    pub(crate) fn forget(&mut self) {
        self.engine = engine(&self.wire, &self.clock, &self.hooks);
    }

    pub(crate) fn engine(&self) -> &Acme {
        &self.engine
    }

    /// One batch.
    pub(crate) fn commit(&mut self, progress: Progress) -> Step {
        let Progress { step, state, publish, withdraw, actions, asked: _ } = progress;
        if let Some(state) = state {
            self.state = state;
        }
        let mut records = self.records.map.lock().unwrap();
        for challenge in publish {
            records.insert(challenge.key, challenge.key_authorization);
        }
        for key in withdraw {
            records.remove(&key);
        }
        drop(records);
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
            let step = self.engine.advance(order, &self.state, &self.checkpoint);
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
                self.wait(after.unwrap_or(Duration::from_millis(50))).await;
                None
            }
            Err(error @ IssuerError::Misconfigured { .. }) => panic!("{error}"),
        }
    }

    /// Short waits are waited for; long ones pass on the clock.
    pub(crate) async fn wait(&self, duration: Duration) {
        wait(&self.clock, duration).await;
    }

    /// Steps until the order is over.
    pub(crate) async fn run(&mut self, order: &Order) -> Step {
        for _ in 0..300 {
            match self.step(order).await {
                Some(Step::Pending { again, .. }) => self.wait(again).await,
                Some(end) => return end,
                None => {}
            }
        }
        panic!("the order does not end: {:?}", self.details);
    }

    /// Runs to a certificate that the core would accept.
    pub(crate) async fn issue(&mut self, order: &Order) -> Vec<Vec<u8>> {
        match self.run(order).await {
            Step::Issued { chain } => {
                check_issued(&chain, &order.csr, &order.policy, SystemClock.now()).unwrap();
                assert!(self.records.map.lock().unwrap().is_empty(), "withdrawn");
                chain
            }
            other => panic!("not issued: {other:?} {:?}", self.details),
        }
    }

    pub(crate) fn orders(&self) -> usize {
        self.wire.orders.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.wire.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }
}

pub(crate) fn engine(wire: &Arc<Wire>, clock: &Arc<ManualClock>, hooks: &BTreeMap<String, Hook>) -> Acme {
    let clients = WiredClients { options: Pebble::client_options(), wire: Arc::clone(wire) };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Acme::new(
        PRESETS[0],
        Tools { clients: Arc::new(clients), hooks: Arc::new(hooks.clone()), clock, http_01: true, tls_alpn_01: true },
    )
}

/// An order for these host names.
pub(crate) fn order(names: &[&str]) -> Order {
    order_for(PolicyInput {
        sans: Some(SubjectAlternativeNames {
            dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }),
        subject: Some(String::new()),
        ..Default::default()
    })
}

pub(crate) fn order_for(input: PolicyInput) -> Order {
    let now = SystemClock.now();
    let input = PolicyInput { kty: Some("EC".into()), curve: Some("P-256".into()), ..input };
    let policy = input.complete(now).unwrap();
    let key = KeyPair::generate(policy.key.key_type).unwrap();
    Order {
        vault: VaultName::default_vault(),
        certificate: CertificateName::parse("MyCert1").unwrap(),
        request_id: RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap(),
        version: Version::parse("b76827a18b63421c917da80f28e9913d").unwrap(),
        csr: request::certificate_request(&key, &policy).unwrap(),
        policy,
        created: now,
        replaces: None,
        sealed_key: None,
        intent: None,
    }
}

/// Short waits are waited for; long ones pass on the clock.
pub(crate) async fn wait(clock: &ManualClock, duration: Duration) {
    clock.advance(duration);
    tokio::time::sleep(duration.min(Duration::from_millis(300))).await;
}
