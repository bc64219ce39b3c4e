//! Issuers. A provider advances one order by one step; all state is in the checkpoint that the caller stores, so a step
//! may be repeated after any crash. The trait is [`provider::Provider`].

pub mod acme;
mod answers;
pub mod atlas;
mod cache;
pub mod digicert;
pub mod dns;
pub mod globalsign;
mod kept;
pub mod local_ca;
mod options;
pub mod plugin;
mod polls;
pub mod provider;
mod schema;
pub mod self_signed;
pub mod test;

use crate::domain::issuer::{LOCAL_CA, is_local_ca};
use crate::domain::policy::KeyType;
use crate::domain::{self, Reason, RequestId};
use crate::keys::{Caller, Keys, Work};
use crate::outbound;
use provider::{Progress, Provider};
use std::sync::Arc;
use std::time::Duration;

/// What a provider gets back at the next step. Empty at the first. At most 64 KiB.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Checkpoint(pub Vec<u8>);

/// Where an order stands after a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Not yet; the checkpoint is saved before the next step, which comes after `again`.
    Pending { checkpoint: Checkpoint, details: Option<String>, again: Duration },
    /// X.509, DER, in any order; the service checks the chain before it believes it.
    Issued { chain: Vec<Vec<u8>> },
    /// The CA's own verdict: the order is over.
    Failed { class: FailureClass, message: String },
    /// The cancellation took effect.
    Cancelled,
}

/// Whose fault a failure was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureClass {
    /// The requester's: the CA refused what was asked.
    RequestRejected,
    /// The issuer's: account, configuration or the CA itself.
    IssuerError,
}

/// The call failed and the fate of the order is unknown: the same step is repeated later. Only a
/// verdict ([`Step::Failed`]) or the deadline ends an operation.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// `after` is what the CA asked for; `None` leaves the wait to the service. The text of
    /// `source` is shown to the caller in `status_details`, so it holds no secret.
    #[error("{source}")]
    Retry { after: Option<Duration>, source: Box<dyn std::error::Error + Send + Sync> },
    /// The issuer object cannot work as it is; shown in `status_details` too.
    #[error("{source}")]
    Misconfigured { source: Box<dyn std::error::Error + Send + Sync> },
}

/// The providers of a server. Their names compare without case, as in Key Vault.
#[derive(Clone)]
pub struct Issuers {
    self_signed: Arc<dyn Provider>,
    /// Shared, since the service is cloned for every call.
    providers: Arc<Vec<(&'static str, Arc<dyn Provider>)>>,
}

impl Issuers {
    /// Only `Self`, which no issuer object names.
    pub fn new(self_signed: Arc<dyn Provider>) -> Self {
        Self { self_signed, providers: Arc::default() }
    }

    /// Adds a provider under the name in its schema; a second one of the same name takes its place.
    #[must_use]
    pub fn with_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        let name = provider.schema().provider;
        let providers = Arc::make_mut(&mut self.providers);
        providers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        providers.push((name, provider));
        self
    }

    /// The provider of this name, if the server has it.
    pub fn get(&self, provider: &str) -> Option<&Arc<dyn Provider>> {
        self.find(provider).map(|(_, provider)| provider)
    }

    /// A provider's name as it was added.
    pub fn name_of(&self, provider: &str) -> Option<&'static str> {
        self.find(provider).map(|(name, _)| *name)
    }

    fn find(&self, provider: &str) -> Option<&(&'static str, Arc<dyn Provider>)> {
        let provider = one_word(provider);
        self.providers.iter().find(|(name, _)| name.eq_ignore_ascii_case(provider))
    }

    /// The provider of policies that name `Self`.
    pub fn self_signed(&self) -> &Arc<dyn Provider> {
        &self.self_signed
    }

    /// The providers, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.providers.iter().map(|(_, provider)| provider)
    }

    /// The names of the providers, in the order in which they were added.
    pub fn providers(&self) -> Vec<&'static str> {
        self.providers.iter().map(|(name, _)| *name).collect()
    }
}

/// Runs a call whose requests to other services carry the request id as the id of their trace.
pub async fn in_trace_of<F: Future>(request_id: RequestId, call: F) -> F::Output {
    outbound::traced(request_id.as_u128().to_be_bytes(), call).await
}

/// The provider by its own name where it has several.
fn one_word(provider: &str) -> &str {
    if is_local_ca(provider) { LOCAL_CA } else { provider }
}

/// Runs what a provider in this process does with a key of `key_type` on the bounded threads for such work. A refusal
/// of the request is a verdict; anything else is tried again.
async fn sign_apart<W>(keys: &Keys, key_type: KeyType, work: W) -> Result<Progress, IssuerError>
where
    W: FnOnce() -> domain::Result<Vec<Vec<u8>>> + Send + 'static,
{
    match keys.run(&Caller::server(), Work::Use(key_type), work).await {
        Ok(chain) => Ok(Progress::new(Step::Issued { chain })),
        Err(refusal) if refusal.reason == Reason::BadParameter => {
            Ok(Progress::failed(FailureClass::RequestRejected, refusal.message))
        }
        Err(error) => Err(IssuerError::Retry { after: None, source: error.into() }),
    }
}
