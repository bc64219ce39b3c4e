//! Issuers. An issuer advances one order by one step; all state is in the checkpoint that the caller stores, so a step
//! may be repeated after any crash. Authorities with accounts, options and challenges are behind
//! [`provider::Provider`]; those in this process behind [`Issuer`].

pub mod acme;
pub mod local_ca;
pub mod provider;
pub mod self_signed;
pub mod test;

use crate::domain::issuer::{LOCAL_CA, is_local_ca};
use crate::domain::policy::KeyType;
use crate::domain::{self, CertificateName, IssuerConfig, Policy, Reason, RequestId, Timestamp, VaultName, Version};
use crate::keys::{Caller, Keys, Work};
use async_trait::async_trait;
use provider::Provider;
use std::sync::Arc;
use std::time::Duration;

/// What an issuer is asked for. The same for every step of one pending operation.
#[derive(Clone, Debug)]
pub struct Order {
    pub vault: VaultName,
    pub certificate: CertificateName,
    /// The idempotency key: one order at the CA for one request id, however often it is asked.
    pub request_id: RequestId,
    /// The version that the certificate will have; names the sealed key.
    pub version: Version,
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
    pub policy: Policy,
    /// When the operation began: "now" for everything that must come out the same on a repeat.
    pub created: Timestamp,
    /// The issuer object; `None` for `Self`.
    pub issuer: Option<IssuerConfig>,
    /// The private key of the certificate, sealed; only an issuer that signs with the
    /// certificate's own key opens it.
    pub sealed_key: Vec<u8>,
}

/// The state that an issuer gets back at the next step. Empty at the first. At most 64 KiB.
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

/// What a certificate authority does for certmint. Every step is safe to repeat.
#[async_trait]
pub trait Issuer: Send + Sync + 'static {
    /// Starts or continues the order.
    async fn advance(&self, order: &Order, checkpoint: &Checkpoint) -> Result<Step, IssuerError>;

    /// Asks for the cancellation. [`Step::Issued`] is a right answer: the CA was faster.
    async fn cancel(&self, order: &Order, checkpoint: &Checkpoint) -> Result<Step, IssuerError>;
}

/// Who signs for which provider. Providers compare without case, as in Key Vault.
#[derive(Clone)]
pub struct Issuers {
    self_signed: Arc<dyn Issuer>,
    /// Shared, since the service is cloned for every call.
    providers: Arc<Vec<(&'static str, Who)>>,
}

/// Who signs for one provider.
#[derive(Clone)]
pub enum Who {
    /// In this process, without state of its own.
    BuiltIn(Arc<dyn Issuer>),
    /// An authority with options, an account and challenges.
    Provider(Arc<dyn Provider>),
}

impl Issuers {
    /// Only `Self`, which is no provider: it has no issuer object.
    pub fn new(self_signed: Arc<dyn Issuer>) -> Self {
        Self { self_signed, providers: Arc::default() }
    }

    /// Adds a provider; a second one of the same name takes its place.
    #[must_use]
    pub fn with(self, provider: &'static str, issuer: Arc<dyn Issuer>) -> Self {
        self.adding(provider, Who::BuiltIn(issuer))
    }

    /// Adds a provider under the name in its schema; a second one of the same name takes its place.
    #[must_use]
    pub fn with_provider(self, provider: Arc<dyn Provider>) -> Self {
        self.adding(provider.schema().provider, Who::Provider(provider))
    }

    fn adding(mut self, provider: &'static str, who: Who) -> Self {
        let providers = Arc::make_mut(&mut self.providers);
        providers.retain(|(name, _)| !name.eq_ignore_ascii_case(provider));
        providers.push((provider, who));
        self
    }

    /// Who signs for a provider, if it is there.
    pub fn get(&self, provider: &str) -> Option<&Who> {
        let provider = one_word(provider);
        self.providers.iter().find(|(name, _)| name.eq_ignore_ascii_case(provider)).map(|(_, who)| who)
    }

    /// Who signs for a provider in this process; none for those with state and options.
    pub fn built_in(&self, provider: &str) -> Option<&Arc<dyn Issuer>> {
        match self.get(provider) {
            Some(Who::BuiltIn(issuer)) => Some(issuer),
            Some(Who::Provider(_)) | None => None,
        }
    }

    /// A provider with state and options; none for those in this process.
    pub fn provider(&self, provider: &str) -> Option<&Arc<dyn Provider>> {
        match self.get(provider) {
            Some(Who::Provider(provider)) => Some(provider),
            Some(Who::BuiltIn(_)) | None => None,
        }
    }

    /// A provider's name as it was added.
    pub fn name_of(&self, provider: &str) -> Option<&'static str> {
        let provider = one_word(provider);
        self.providers.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(provider))
    }

    /// The issuer of policies that name `Self`.
    pub fn self_signed(&self) -> &Arc<dyn Issuer> {
        &self.self_signed
    }

    /// The names of the providers, in the order in which they were added.
    pub fn providers(&self) -> Vec<&'static str> {
        self.providers.iter().map(|(name, _)| *name).collect()
    }
}

/// The provider by its own name where it has several.
fn one_word(provider: &str) -> &str {
    if is_local_ca(provider) { LOCAL_CA } else { provider }
}

/// Runs what an issuer in this process does with a key of `key_type` on the threads for such work, and says what came
/// of it: a refusal of the request is a verdict, anything else is tried again.
pub(crate) async fn sign_apart<W>(keys: &Keys, key_type: KeyType, work: W) -> Result<Step, IssuerError>
where
    W: FnOnce() -> domain::Result<Vec<Vec<u8>>> + Send + 'static,
{
    match keys.run(&Caller::server(), Work::Use(key_type), work).await {
        Ok(chain) => Ok(Step::Issued { chain }),
        Err(refusal) if refusal.reason == Reason::BadParameter => {
            Ok(Step::Failed { class: FailureClass::RequestRejected, message: refusal.message })
        }
        Err(error) => Err(IssuerError::Retry { after: None, source: error.into() }),
    }
}
