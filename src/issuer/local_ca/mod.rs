//! `LocalCA`: a certificate authority whose key certmint stores, encrypted in the issuer object.

mod settings;

use super::provider::{
    CaInput, Health, Intent, IssuerInput, IssuerSchema, OptionSchema, Order, Progress, Provider, State,
};
use super::{Checkpoint, FailureClass, IssuerError, Step, sign_apart};
use crate::domain::issuer::LOCAL_CA;
use crate::domain::policy::KeyType;
use crate::domain::requested_policy::{CSR, MUST_STAPLE, listed};
use crate::domain::{
    self, Authority, Blob, Error, IssuerConfig, IssuerName, Policy, Reason, RequestFacts, Serial, VaultName,
};
use crate::keys::authority::{self, Plan, Signer, ToBeSigned, check_leaf};
use crate::keys::certificate::{Request, requested_key, signed};
use crate::keys::pointers::Pointers;
use crate::keys::{Caller, Keys, SealContext, SealedKey, Sealer, Work, open_key, public_key_of};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Signs at once with the authority of the order's issuer object, but nothing that would give a leaf powers of the CA
/// (`keys::authority::check_leaf`). The answer is the leaf, the
/// intermediate if there is one, and the root. A repeat signs the same content again.
pub struct LocalCa {
    keys: Arc<Keys>,
}

impl LocalCa {
    /// `keys` makes and opens the keys of authorities, and signs.
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }
}

/// What is read out of an issuer object. Never stored in this form.
#[derive(Serialize, Deserialize)]
struct Kept {
    vault: VaultName,
    issuer: IssuerName,
    authority: Option<Authority>,
}

impl Kept {
    fn read(state: &State) -> Option<Self> {
        serde_json::from_slice(&state.0).ok()
    }

    fn write(&self) -> State {
        // Texts and lists are all it holds.
        State(Zeroizing::new(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// An authority that can sign, and where its key is sealed.
struct Usable {
    context: SealContext,
    authority: Authority,
    signer: Signer,
    key_type: KeyType,
}

impl Usable {
    fn read(state: &State) -> Result<Self, &'static str> {
        let made = Kept::read(state).and_then(|Kept { vault, issuer, authority }| Some((vault, issuer, authority?)));
        let Some((vault, issuer, authority)) = made else {
            return Err("The issuer has no CA key and certificate. Set the issuer again to make them.");
        };
        let signer = authority.chain.first().map(|certificate| Signer::read(&certificate.0));
        let Some((signer, key_type)) = signer.and_then(|signer| {
            signer
                .and_then(|signer| {
                    let key_type = signer.key_type()?;
                    Ok((signer, key_type))
                })
                .ok()
        }) else {
            return Err("The CA certificate of the issuer cannot be read.");
        };
        Ok(Self { context: SealContext::authority_key(vault.as_str(), issuer.as_str()), authority, signer, key_type })
    }
}

#[async_trait]
impl Provider for LocalCa {
    fn schema(&self) -> IssuerSchema {
        let summary = "A CA of this server: its key is made when the issuer is set, and kept sealed.";
        IssuerSchema { provider: LOCAL_CA, summary, options: settings::options() }
    }

    fn members(&self) -> Vec<OptionSchema> {
        settings::members()
    }

    fn state_in_object(&self, vault: &VaultName, issuer: &IssuerConfig) -> Option<State> {
        let kept = Kept { vault: vault.clone(), issuer: issuer.name.clone(), authority: issuer.authority.clone() };
        Some(kept.write())
    }

    fn is_ca(&self) -> bool {
        true
    }

    /// Makes the keys and certificates once, under a name that no other CA of the vault has or had.
    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State> {
        let ca = input.ca.as_ref().ok_or_else(Error::internal)?;
        self.schema().check(input)?;
        if let Some(Kept { vault, issuer, authority: Some(held) }) = old.and_then(Kept::read) {
            settings::stays_as_made(input, ca, &held)?;
            return Ok(Kept { vault, issuer, authority: Some(held) }.write());
        }
        if settings::below(input, ca)?.is_some() {
            return Ok(Kept { vault: ca.vault.clone(), issuer: ca.issuer.clone(), authority: None }.write());
        }
        let (plan, sealer) = (settings::plan(input, ca)?, self.keys.sealer().clone());
        let key_type = plan.key_type;
        let CaInput { vault, issuer, caller, clock, .. } = ca.clone();
        let (of_vault, of_issuer) = (vault.clone(), issuer.clone());
        let make = move || authority::create_authority(&sealer, &of_vault, &of_issuer, &plan, clock.now());
        let authority = Some(self.keys.run(&caller, Work::Generate(key_type), make).await?);
        Ok(Kept { vault, issuer, authority }.write())
    }

    fn below(&self, input: &IssuerInput) -> domain::Result<Option<(String, Plan)>> {
        let ca = input.ca.as_ref().ok_or_else(Error::internal)?;
        settings::below(input, ca)
    }

    /// The names are those of the policy. What else a request asks for is not dropped, and its key is not one of the CA.
    fn accept_request(&self, request: &RequestFacts, policy: &Policy, state: &State) -> domain::Result<()> {
        let staples = policy.granted.as_ref().is_some_and(|granted| granted.must_staple);
        let is_given = |other: &&String| !(staples && other.starts_with(MUST_STAPLE));
        let others: Vec<String> = request.others.iter().filter(is_given).cloned().collect();
        if !others.is_empty() {
            let problem = format!(
                "A LocalCA signs no extensions that a policy cannot ask for: make the request without {}.",
                listed(&others)
            );
            return Err(Error::field(CSR, problem));
        }
        let chain = Kept::read(state).and_then(|kept| kept.authority).map(|authority| authority.chain);
        let is_own = |Blob(der): &Blob| public_key_of(der).is_some_and(|key| key == request.public_key);
        if chain.is_some_and(|chain| chain.iter().any(is_own)) {
            return Err(Error::field(CSR, "Its key is the one of the CA: make a request with a key of its own."));
        }
        Ok(())
    }

    fn intend(
        &self,
        order: &Order,
        state: &State,
        serial: Option<Serial>,
        pointers: Option<&Pointers>,
    ) -> domain::Result<Option<Intent>> {
        let Ok(Usable { authority, signer, .. }) = Usable::read(state) else { return Ok(None) };
        if signer.not_after() <= order.created {
            return Ok(None);
        }
        check_leaf(&order.policy, &authority.chain)?;
        let public_key = requested_key(&order.csr)?;
        let request = Request {
            policy: &order.policy,
            public_key: &public_key,
            request_id: order.request_id,
            version: order.version,
            created: order.created,
        };
        let number = match serial.as_ref().map(|serial| <[u8; 16]>::try_from(serial.bytes())) {
            Some(Ok(given)) => given,
            _ => signer.derived_serial(&request),
        };
        let ToBeSigned { tbs, not_before, not_after } = signer.leaf(&request, number, pointers)?;
        let serial = Serial::new(&number).ok_or_else(Error::internal)?;
        Ok(Some(Intent { authority: signer.identifier(), serial, tbs, not_before, not_after }))
    }

    /// Signs what is stored for the order, and nothing else.
    async fn advance(&self, order: &Order, state: &State, _at: &Checkpoint) -> Result<Progress, IssuerError> {
        let usable = Usable::read(state).map_err(misconfigured)?;
        match check_leaf(&order.policy, &usable.authority.chain) {
            Ok(()) => {}
            Err(refusal) if refusal.reason == Reason::BadParameter => {
                return Ok(Progress::failed(FailureClass::RequestRejected, refusal.message));
            }
            Err(_) => return Err(misconfigured("The CA certificates of the issuer cannot be read.")),
        }
        if usable.signer.not_after() <= order.created {
            return Err(misconfigured("The CA certificate of the issuer has expired. Make a new issuer."));
        }
        let intent = order.intent.clone().filter(|intent| intent.authority == usable.signer.identifier());
        let Some(intent) = intent else {
            let source = "Nothing was stored that this CA could sign for the request.".into();
            return Err(IssuerError::Retry { after: None, source });
        };
        let (sealer, key_type) = (Arc::clone(self.keys.sealer()), usable.key_type);
        sign_apart(&self.keys, key_type, move || sign(&sealer, usable, &intent)).await
    }

    /// Nothing was asked of anybody, so nothing is left to undo.
    async fn cancel(&self, _order: &Order, _state: &State, _at: &Checkpoint) -> Result<Progress, IssuerError> {
        Ok(Progress::new(Step::Cancelled))
    }

    /// Opens the key and compares it with the certificate.
    async fn check(&self, state: &State) -> Health {
        let usable = match Usable::read(state) {
            Ok(usable) => usable,
            Err(problem) => return Health::Bad(problem.to_owned()),
        };
        let name = usable.authority.chain.first().and_then(|signer| authority::common_name_of(&signer.0).ok());
        let sealer = Arc::clone(self.keys.sealer());
        let key_type = usable.key_type;
        let open = move || open_key(&sealer, &sealed_key(&usable.authority, usable.context)).map(|_| ());
        match self.keys.run(&Caller::server(), Work::Use(key_type), open).await {
            Ok(()) => Health::Good(format!(
                "The key of {} can be opened and matches its certificate.",
                name.unwrap_or_default()
            )),
            Err(error) if error.reason == Reason::Throttled => Health::Unknown(error.message),
            Err(error) => Health::Bad(error.message),
        }
    }

    fn authority(&self, state: &State) -> Option<Authority> {
        Kept::read(state)?.authority
    }
}

/// The key of the certificate that signs.
fn sealed_key(authority: &Authority, context: SealContext) -> SealedKey {
    let own = authority.chain.first().and_then(|certificate| public_key_of(&certificate.0)).unwrap_or_default();
    SealedKey { sealed: authority.sealed_key.clone(), context, public_key: own }
}

fn sign(sealer: &Sealer, usable: Usable, intent: &Intent) -> domain::Result<Vec<Vec<u8>>> {
    let Usable { context, authority, signer: _, key_type: _ } = usable;
    let key = open_key(sealer, &sealed_key(&authority, context))?;
    let leaf = signed(&intent.tbs, &key)?;
    Ok([leaf].into_iter().chain(authority.handed_out().iter().map(|certificate| certificate.0.clone())).collect())
}

fn misconfigured(problem: &'static str) -> IssuerError {
    IssuerError::Misconfigured { source: problem.into() }
}
