//! The port for certificate authorities, in this process and outside of it. A provider is one for
//! the process; what differs between issuer objects is in their opaque, sealed [`State`].
//!
//! # What the service commits, and when
//! 1. `configure` has no outside effect. Its state is committed with the issuer object *before*
//!    [`Provider::activate`] is called, so that a new account key is never lost.
//! 2. The [`Progress`] of a step is committed in one batch: the checkpoint inside its step, the new
//!    state of the issuer if there is one (compare-and-set; on a conflict the whole progress is
//!    dropped and the step repeated with the newer state), `publish` written and `withdraw` deleted.
//!    Only then is the next step called.
//! 3. An error of a step commits nothing; the same step is called again.
//! 4. Every step may be repeated after a crash at any point, with the checkpoint before it.

pub use super::schema::{IssuerSchema, OptionKind, OptionSchema};
pub use crate::domain::{Action, ActionKind};

use super::{Checkpoint, FailureClass, IssuerError, Step};
use crate::clock::Clock;
use crate::domain::{
    self, CertificateName, IssuerConfig, IssuerName, Policy, RequestFacts, RequestId, Serial, Timestamp, VaultName,
    Version,
};
use crate::keys::Caller;
use crate::keys::authority::Plan;
use crate::keys::pointers::Pointers;
use async_trait::async_trait;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a provider is asked for: the same at every step of one pending operation.
#[derive(Clone, Debug)]
pub struct Order {
    pub vault: VaultName,
    pub certificate: CertificateName,
    /// The idempotency key: one order at the CA for one request id.
    pub request_id: RequestId,
    /// The version that the certificate will have.
    pub version: Version,
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
    pub policy: Policy,
    /// When the operation began.
    pub created: Timestamp,
    /// The certificate (DER) that this one replaces; only where [`Provider::wants_replaced`] asks for it.
    pub replaces: Option<Vec<u8>>,
    /// The sealed private key of the certificate; only where [`Needs::sealed_key`] asks for it.
    pub sealed_key: Option<Vec<u8>>,
    /// What a CA of this server signs for it; only for providers with [`Provider::is_ca`].
    pub intent: Option<Intent>,
}

/// A certificate that a CA of this server is about to sign. It is stored before it is signed, and what is stored is
/// signed: a repeat signs the same bytes, whatever version of the program repeats it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// The authority by `keys::authority::identifier`.
    pub authority: String,
    pub serial: Serial,
    /// TBSCertificate, DER.
    pub tbs: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What a provider keeps of an issuer object: its options, secrets and account. Nobody else reads
/// it. The service seals it. Removed from memory when dropped; `Debug` shows the length.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct State(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of state", self.0.len())
    }
}

/// What a caller set on an issuer object, complete: after a partial change the service merges.
/// `Debug` shows names alone.
#[derive(Clone, Default)]
pub struct IssuerInput {
    /// By the names of [`IssuerSchema`].
    pub options: BTreeMap<String, String>,
    /// In the clear on their way to be sealed.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    /// Key Vault's `credentials.account_id`.
    pub account_id: Option<String>,
    /// Key Vault's `credentials.pwd`.
    pub password: Option<Zeroizing<String>>,
    /// Key Vault's `org_details`.
    pub organization: Option<domain::issuer::Organization>,
    /// Only for providers with [`Provider::is_ca`].
    pub ca: Option<CaInput>,
}

/// What a CA of this server is made from, beside the members of its issuer object.
#[derive(Clone)]
pub struct CaInput {
    pub vault: VaultName,
    pub issuer: IssuerName,
    /// The caller that the key work is done for.
    pub caller: Caller,
    /// The validity starts when the certificates are made, not when the work was queued.
    pub clock: Arc<dyn Clock>,
    /// Common names that CAs of the vault have or had, by `keys::authority::comparable_name`.
    /// Empty where the CA was made before.
    pub taken_names: HashSet<String>,
    /// `credentials.account_id` as this call names it; what it leaves out stays as it is.
    pub named_account_id: Option<String>,
    /// `org_details.id` as this call names it.
    pub named_organization_id: Option<String>,
}

impl fmt::Debug for IssuerInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value of the wrong option may be a secret.
        let (options, secrets): (Vec<_>, Vec<_>) = (self.options.keys().collect(), self.secrets.keys().collect());
        write!(f, "options {options:?}, secrets {secrets:?}")
    }
}

/// What came of a step. Committed in one batch before the next step.
#[derive(Clone, Debug)]
pub struct Progress {
    pub step: Step,
    /// The issuer object's new state, where it changed.
    pub state: Option<State>,
    /// Records that every replica must be able to read before the next step.
    pub publish: Vec<Challenge>,
    /// Records that are no longer needed.
    pub withdraw: Vec<ChallengeKey>,
    /// What a person has to do before the order can continue; replaces earlier actions.
    pub actions: Vec<Action>,
    /// Whether the CA was called: only then does the step say that it can be reached.
    pub asked: bool,
}

impl Progress {
    /// A step that changes nothing else.
    pub fn new(step: Step) -> Self {
        Self { step, state: None, publish: Vec::new(), withdraw: Vec::new(), actions: Vec::new(), asked: true }
    }

    /// A step in which the CA was not called.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.asked = false;
        self
    }

    /// The CA's verdict: the order is over.
    pub fn failed(class: FailureClass, message: impl Into<String>) -> Self {
        Self::new(Step::Failed { class, message: message.into() })
    }
}

/// Names the record of a challenge in the store.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChallengeKey {
    pub kind: ChallengeKind,
    /// The token (http-01), the name of the host in lower case (tls-alpn-01), or both ([`ChallengeKey::file`]).
    pub name: String,
}

impl ChallengeKey {
    /// A file of a host (pki-validation). Orders of the same host have records of their own, which end with each.
    pub fn file(host: &str, content: &str) -> Self {
        // A name of bounded length that belongs to the content.
        let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
        let print: String = print.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { kind: ChallengeKind::PkiValidation, name: format!("{}/{print}", host.to_ascii_lowercase()) }
    }
}

/// A challenge that a replica answers itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChallengeKind {
    /// RFC 8555 section 8.3.
    Http01,
    /// RFC 8737.
    TlsAlpn01,
    /// A file at `/.well-known/pki-validation/fileauth.txt` of the host, which CAs with an API of their own look for
    /// (CA/Browser Forum Baseline Requirements 3.2.2.4.18).
    PkiValidation,
}

/// The record of a challenge: read by every replica, deleted by [`Progress::withdraw`], and of no
/// use after `expires`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    pub key: ChallengeKey,
    /// The key authorization (RFC 8555 section 8.1), or the content of the file. Public once the CA has asked for it.
    pub key_authorization: String,
    pub expires: Timestamp,
}

/// Whether an issuer object can work, as seen without side effects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// The CA knows the credentials; in words, such as the account's address.
    Good(String),
    /// Nothing can be said now: no connection, or the CA has a fault.
    Unknown(String),
    /// Credentials or options must change.
    Bad(String),
}

/// What a provider needs from the certificate's side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The private key of the certificate, sealed.
    pub sealed_key: bool,
    /// A common name that is a host name stands among the alternative names of the request too.
    pub common_name_in_sans: bool,
}

/// The window in which the CA wants a certificate renewed (RFC 9773).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenewalWindow {
    pub start: Timestamp,
    pub end: Timestamp,
    /// A page that explains it.
    pub explanation: Option<String>,
    /// When to ask again.
    pub ask_again: Duration,
}

/// What an operator can do with the account at a CA.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccountCommand {
    /// Makes the next key, where there is none yet. Its state is committed before `RollKey`.
    PrepareKey,
    /// Puts the next key in place at the CA; makes it first where `PrepareKey` was not called.
    RollKey,
    /// Ends the account for good.
    Deactivate,
}

/// A certificate authority. One in a process, found by the provider's name.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The options it understands.
    fn schema(&self) -> IssuerSchema;

    /// Whether issuer objects may have options at all.
    fn takes_options(&self) -> bool {
        !self.schema().options.is_empty()
    }

    /// Whether its schema is known: a plug-in has to be reached first.
    fn is_described(&self) -> bool {
        true
    }

    /// Checks the options and makes the first state, or the next one of an issuer object that is
    /// changed. No outside effect.
    ///
    /// # Errors
    /// The option, and what is wrong with it, as a field error.
    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State>;

    /// Makes the outside ready (an account at the CA), safe to repeat. Called after the state of
    /// `configure` was committed; a new state is committed in turn. Steps do the same where it
    /// was never called or failed.
    async fn activate(&self, _state: &State) -> Result<Option<State>, IssuerError> {
        Ok(None)
    }

    /// Refuses a policy that this CA cannot express, when a certificate is created.
    ///
    /// # Errors
    /// The member of the policy, and what is wrong with it.
    fn accept(&self, _policy: &Policy, _state: &State) -> domain::Result<()> {
        Ok(())
    }

    /// Refuses a request of the caller's own that this CA cannot honour, after its policy was accepted. A CA that reads
    /// the names from the request, as most do, needs all names of the policy there.
    ///
    /// # Errors
    /// What is wrong with the request, as a field error of `csr`.
    fn accept_request(&self, request: &RequestFacts, policy: &Policy, _state: &State) -> domain::Result<()> {
        request.names_all_of(policy)
    }

    /// What it needs from the certificate's side.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Whether it renews within an order: it is then given the certificate that is replaced, whichever
    /// CA made that one.
    fn wants_replaced(&self) -> bool {
        false
    }

    /// After a call that was cut short, how long an order that it placed may be missing from what the CA lists. The next
    /// call comes no earlier.
    fn settles(&self) -> Duration {
        Duration::ZERO
    }

    /// The state of an issuer object for providers that keep all of it in the object: its
    /// authority and the members of Key Vault. `None` for those whose state is a sealed record of
    /// its own. A state from here is never changed by steps.
    fn state_in_object(&self, _vault: &VaultName, _issuer: &IssuerConfig) -> Option<State> {
        None
    }

    /// Whether `configure` makes a CA of this server, whose keys and certificates
    /// [`Provider::authority`] then answers.
    fn is_ca(&self) -> bool {
        false
    }

    /// The CA that is to be made of an issuer object that has none yet, where another CA signs it: the name of that one's
    /// issuer or `external`, and what the CA is to be. [`Provider::configure`] makes none then. Only of providers with
    /// [`Provider::is_ca`].
    ///
    /// # Errors
    /// The member or option, and what is wrong with it.
    fn below(&self, _input: &IssuerInput) -> domain::Result<Option<(String, Plan)>> {
        Ok(None)
    }

    /// What it would sign for this order, under the serial number, or under one that follows from the order where there
    /// is none; `pointers` say where the status of the certificate is published. Only of providers with
    /// [`Provider::is_ca`].
    ///
    /// # Errors
    /// Where it signs nothing for the order; a step says why.
    fn intend(
        &self,
        _order: &Order,
        _state: &State,
        _serial: Option<Serial>,
        _pointers: Option<&Pointers>,
    ) -> domain::Result<Option<Intent>> {
        Ok(None)
    }

    /// Members of Key Vault's issuer object that it reads: `account_id`, `password` and
    /// `organization_id`.
    fn members(&self) -> Vec<OptionSchema> {
        Vec::new()
    }

    /// Starts or continues the order.
    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError>;

    /// Asks for the cancellation. [`Step::Issued`] is a right answer: the CA was faster.
    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError>;

    /// Whether the credentials are good, without side effects.
    async fn check(&self, state: &State) -> Health;

    /// What will keep orders from succeeding although the options are right, in words.
    fn warnings(&self, _state: &State) -> Vec<String> {
        Vec::new()
    }

    /// Whether [`Provider::renewal`] may answer anything.
    fn tells_windows(&self) -> bool {
        false
    }

    /// When the CA wants this certificate (DER) renewed; none where it has no opinion.
    async fn renewal(&self, _certificate: &[u8], _state: &State) -> Result<Option<RenewalWindow>, IssuerError> {
        Ok(None)
    }

    /// A command of an operator; the new state is committed.
    async fn command(&self, _command: AccountCommand, _state: &State) -> Result<State, IssuerError> {
        Err(IssuerError::Misconfigured { source: "This provider has no accounts at a CA.".into() })
    }

    /// The keys and certificates of a built-in authority.
    fn authority(&self, _state: &State) -> Option<domain::Authority> {
        None
    }
}
