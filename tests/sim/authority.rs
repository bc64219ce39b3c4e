//! The external certificate authority, which records its orders, and the adapter through which a replica uses it.

use crate::false_provider::{Call, FalseProvider};
use crate::harness::{Fate, Fault, Harness, vault};
use crate::mutant::Mutant;
use certmint::domain::{IssuerName, Policy, RequestId, Timestamp, Version};
use certmint::issuer::provider::{Order, Progress};
use certmint::issuer::{Checkpoint, FailureClass, IssuerError, Step};
use certmint::keys::authority::{Plan, Signer, create_authority};
use certmint::keys::certificate::{self, Request, requested_key};
use certmint::keys::{KeyPair, MasterKeys, SealContext, Sealer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Account ids, and so how the authority takes an order.
pub(crate) const ACCOUNTS: [&str; 6] = ["quick", "slow", "refuses", "gives-up", "holds", "stubborn"];

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Open,
    Issued,
    Refused,
    Cancelled,
}

#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) request_id: RequestId,
    pub(crate) csr: Vec<u8>,
    /// How many transitions the store knew then.
    pub(crate) told: usize,
    pub(crate) stage: Stage,
    account: String,
    looks: usize,
    chain: Vec<Vec<u8>>,
}

/// The recorded orders, by idempotency key.
#[derive(Default)]
pub(crate) struct Authority {
    orders: Mutex<BTreeMap<String, Placed>>,
}

impl Authority {
    pub(crate) fn orders(&self) -> Vec<Placed> {
        self.orders.lock().unwrap().values().cloned().collect()
    }

    /// Places the order, or finds it, and lets it move on.
    fn look(&self, harness: &Harness, key: String, order: &Order, account: &str) -> Placed {
        let mut orders = self.orders.lock().unwrap();
        let placed = orders.entry(key).or_insert_with(|| {
            harness.note(format!("order {}", order.request_id));
            let account = if account.is_empty() { "quick" } else { account }.to_owned();
            let looks = if account == "quick" { harness.below(2) } else { 1 + harness.below(4) };
            let (request_id, csr) = (order.request_id, order.csr.clone());
            Placed {
                request_id,
                csr,
                told: harness.server.told(),
                stage: Stage::Open,
                account,
                looks,
                chain: Vec::new(),
            }
        });
        if placed.stage == Stage::Open && placed.account != "holds" {
            if placed.looks > 0 {
                placed.looks -= 1;
            } else if placed.account == "refuses" {
                placed.stage = Stage::Refused;
            } else if placed.account == "gives-up" {
                placed.stage = Stage::Cancelled;
            } else {
                placed.stage = Stage::Issued;
                placed.chain = signed(&order.csr, &order.policy, order.request_id, order.version, order.created);
            }
        }
        placed.clone()
    }

    /// `None` if there is no such order.
    fn cancel(&self, harness: &Harness, key: &str) -> Option<Placed> {
        let mut orders = self.orders.lock().unwrap();
        let placed = orders.get_mut(key)?;
        harness.note(format!("cancel {key}: {:?}", placed.stage));
        if placed.stage == Stage::Open {
            if placed.account == "stubborn" && placed.looks > 0 {
                placed.looks -= 1;
            } else {
                placed.stage = Stage::Cancelled;
            }
        }
        Some(placed.clone())
    }
}

struct Root {
    certificate: Vec<u8>,
    signer: Signer,
    key: KeyPair,
}

/// One for all runs: what it signs differs from run to run in nothing that a run depends on.
fn root() -> &'static Root {
    static ROOT: OnceLock<Root> = OnceLock::new();
    ROOT.get_or_init(|| {
        let sealer = Sealer::new(MasterKeys::random());
        let name = IssuerName::parse("root").unwrap();
        let begin = Timestamp::from_seconds(1_700_000_000);
        let made = create_authority(&sealer, &vault(), &name, &Plan::new("root CA"), begin).unwrap();
        let context = SealContext::authority_key(vault().as_str(), "root");
        let key = KeyPair::from_pkcs8(&sealer.open(&made.sealed_key.0, &context).unwrap()).unwrap();
        let certificate = made.chain[0].0.clone();
        Root { signer: Signer::read(&certificate).unwrap(), certificate, key }
    })
}

/// A chain for a request.
pub(crate) fn signed(csr: &[u8], policy: &Policy, id: RequestId, version: Version, created: Timestamp) -> Vec<Vec<u8>> {
    let root = root();
    let public_key = requested_key(csr).unwrap();
    let request = Request { policy, public_key: &public_key, request_id: id, version, created };
    let leaf = root.signer.leaf(&request, root.signer.derived_serial(&request), None).unwrap();
    vec![certificate::signed(&leaf.tbs, &root.key).unwrap(), root.certificate.clone()]
}

/// What one life of a replica asks the authority with.
pub(crate) struct Adapter {
    pub(crate) harness: Arc<Harness>,
    pub(crate) dead: CancellationToken,
}

impl Adapter {
    /// A call that may be late, be lost, or lose its answer.
    async fn call<T>(&self, act: impl FnOnce() -> T) -> Result<T, IssuerError> {
        self.alive().await;
        self.harness.count_call().await;
        let Fate { there, back, fault } = self.harness.fate(self.harness.profile.authority);
        there.pass().await;
        self.alive().await;
        if fault == Fault::Before {
            return Err(if self.harness.percent(20) { misconfigured() } else { retry() });
        }
        let answer = act();
        if fault == Fault::Ghost {
            // It hangs for longer than any lease.
            sleep(Duration::from_secs(1000)).await;
        }
        back.pass().await;
        self.alive().await;
        if fault == Fault::After { Err(retry()) } else { Ok(answer) }
    }

    async fn alive(&self) {
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn key(&self, order: &Order) -> String {
        match self.harness.mutant {
            Some(Mutant::OrdersAnew) => self.harness.new_id().to_string(),
            _ => order.request_id.to_string(),
        }
    }

    fn step(&self, placed: Placed, checkpoint: &Checkpoint) -> Step {
        match placed.stage {
            Stage::Issued => Step::Issued { chain: placed.chain },
            Stage::Refused => Step::Failed { class: FailureClass::RequestRejected, message: "refused".to_owned() },
            Stage::Cancelled => Step::Cancelled,
            Stage::Open => {
                let again = self.harness.up_to(Duration::from_secs(4));
                let next = if checkpoint.0.is_empty() { b"ordered".to_vec() } else { checkpoint.0.clone() };
                let details = self.harness.percent(30).then(|| format!("look {}", self.harness.below(3)));
                Step::Pending { checkpoint: Checkpoint(next), details, again }
            }
        }
    }
}

fn misconfigured() -> IssuerError {
    IssuerError::Misconfigured { source: "the account is locked".into() }
}

fn retry() -> IssuerError {
    IssuerError::Retry { after: None, source: "the authority does not answer".into() }
}

impl Adapter {
    /// The provider of one run of a replica.
    pub(crate) fn provider(self) -> FalseProvider {
        let adapter = Arc::new(self);
        FalseProvider::new("Outside", move |call| {
            let adapter = adapter.clone();
            async move { adapter.answer(call).await.map(Progress::new) }
        })
    }

    async fn answer(&self, call: Call) -> Result<Step, IssuerError> {
        let Call { order, state: account, at, cancelling } = call;
        if !cancelling {
            let look = || self.harness.authority.look(&self.harness, self.key(&order), &order, &account);
            return Ok(self.step(self.call(look).await?, &at));
        }
        if self.harness.mutant == Some(Mutant::PretendsToCancel) {
            return Ok(Step::Cancelled);
        }
        let placed = self.call(|| self.harness.authority.cancel(&self.harness, &self.key(&order))).await?;
        Ok(placed.map_or(Step::Cancelled, |placed| self.step(placed, &at)))
    }
}
