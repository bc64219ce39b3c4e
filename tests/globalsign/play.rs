//! Plays the service: commits what a step says before the next one, and nothing else.

use crate::mock::{Lines, Mock, PASSWORD};
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::issuer::{Administrator, Organization};
use certmint::domain::{CertificateName, PolicyInput, RequestId, VaultName, Version};
use certmint::issuer::acme::Tools;
use certmint::issuer::globalsign::GlobalSign;
use certmint::issuer::provider::{IssuerInput, Order, Provider, State};
use certmint::issuer::{Checkpoint, IssuerError, Step};
use certmint::keys::{KeyPair, random_id, request};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The form of Key Vault, and further options.
pub(crate) fn input(mock: &Mock, more: &[(&str, &str)]) -> IssuerInput {
    let (url, ca_file) = mock.url.lock().unwrap().clone();
    let base_url = format!("{url}/kb/ws");
    let own = [("base_url", base_url.as_str()), ("ca_file", ca_file.as_str())];
    let contact = Administrator {
        first_name: Some("Jane".into()),
        last_name: Some("Doe".into()),
        email: Some("jane@example.com".into()),
        phone: Some("555 0100".into()),
    };
    IssuerInput {
        options: own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        account_id: Some("PAR12345_ops".into()),
        password: Some(PASSWORD.to_owned().into()),
        organization: Some(Organization { administrators: vec![contact], ..Organization::default() }),
        ..IssuerInput::default()
    }
}

pub(crate) fn provider(mock: &Arc<Mock>, clock: &Arc<ManualClock>) -> GlobalSign {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let clients = Arc::new(Lines(Arc::clone(mock)));
    GlobalSign::new(Tools { clients, hooks: Arc::new(BTreeMap::new()), clock, tls_alpn_01: false, http_01: true })
}

pub(crate) struct Play {
    pub(crate) mock: Arc<Mock>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) provider: GlobalSign,
    pub(crate) state: State,
    checkpoint: Checkpoint,
    pub(crate) details: Vec<String>,
    pub(crate) cancelling: bool,
    pub(crate) steps: usize,
    /// The result of this step is thrown away.
    pub(crate) lose: Option<usize>,
}

impl Play {
    pub(crate) async fn new(more: &[(&str, &str)]) -> Self {
        let mock = Mock::start().await;
        let input = input(&mock, more);
        Self::with(mock, &input).await
    }

    pub(crate) async fn with(mock: Arc<Mock>, input: &IssuerInput) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let provider = provider(&mock, &clock);
        let state = provider.configure(input, None).await.unwrap();
        let (checkpoint, details) = (Checkpoint::default(), Vec::new());
        Self { mock, clock, provider, state, checkpoint, details, cancelling: false, steps: 0, lose: None }
    }

    /// The next order of the same issuer object.
    pub(crate) fn again(&mut self) {
        self.checkpoint = Checkpoint::default();
        self.details.clear();
    }

    pub(crate) async fn step(&mut self, order: &Order) -> Option<Step> {
        let number = self.steps;
        self.steps += 1;
        let step = async {
            if self.cancelling {
                self.provider.cancel(order, &self.state, &self.checkpoint).await
            } else {
                self.provider.advance(order, &self.state, &self.checkpoint).await
            }
        };
        let answer = tokio::select! {
            answer = step => answer,
            () = self.mock.cut.notified() => return None,
        };
        match answer {
            Ok(_) if self.lose == Some(number) => None,
            Ok(progress) => {
                if let Step::Pending { checkpoint, details, again } = &progress.step {
                    self.checkpoint = checkpoint.clone();
                    self.details.extend(details.clone());
                    self.clock.advance(*again);
                }
                Some(progress.step)
            }
            Err(IssuerError::Retry { after, source }) => {
                self.details.push(source.to_string());
                self.clock.advance(after.unwrap_or(Duration::from_secs(1)));
                None
            }
            Err(IssuerError::Misconfigured { source }) => {
                self.details.push(format!("misconfigured: {source}"));
                None
            }
        }
    }

    /// Steps until the order is over, or something is said.
    pub(crate) async fn until(&mut self, order: &Order, said: &str) -> Option<Step> {
        for _ in 0..100 {
            match self.step(order).await {
                Some(Step::Pending { .. }) | None => {}
                end => return end,
            }
            if self.said(said) {
                return None;
            }
        }
        panic!("{:?}", self.details);
    }

    pub(crate) async fn run(&mut self, order: &Order) -> Step {
        self.until(order, "\u{0}").await.unwrap()
    }

    pub(crate) fn said(&self, text: &str) -> bool {
        self.details.iter().any(|details| details.contains(text))
    }
}

pub(crate) fn order(name: &str) -> Order {
    let now = SystemClock.now();
    let input = PolicyInput {
        subject: Some(format!("CN={name}")),
        kty: Some("EC".into()),
        curve: Some("P-256".into()),
        issuer_name: Some("gs".into()),
        ..PolicyInput::default()
    };
    let policy = input.complete(now).unwrap();
    let key = KeyPair::generate(policy.key.key_type).unwrap();
    Order {
        vault: VaultName::default_vault(),
        certificate: CertificateName::parse("mycert1").unwrap(),
        request_id: RequestId::from_uuid(random_id()),
        version: Version::parse("b76827a18b63421c917da80f28e9913d").unwrap(),
        csr: request::certificate_request(&key, &policy).unwrap(),
        policy,
        created: now,
        replaces: None,
        sealed_key: None,
        intent: None,
    }
}
