//! `LocalCA`: a certificate authority whose key certmint stores, encrypted in the issuer object.

use super::provider::{
    CaInput, Health, IssuerInput, IssuerSchema, OptionKind, OptionSchema, Order, Progress, Provider, State,
};
use super::{Checkpoint, FailureClass, IssuerError, Step, sign_apart};
use crate::domain::issuer::{LOCAL_CA, Organization};
use crate::domain::requested_policy::{CSR, MUST_STAPLE};
use crate::domain::{self, Authority, Blob, Error, IssuerConfig, IssuerName, Policy, Reason, RequestFacts, VaultName};
use crate::keys::authority::{self, AUTHORITY_KEY, Signer, check_leaf};
use crate::keys::certificate::{Request, requested_key};
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
}

impl Usable {
    fn read(state: &State) -> Result<Self, &'static str> {
        let made = Kept::read(state).and_then(|Kept { vault, issuer, authority }| Some((vault, issuer, authority?)));
        let Some((vault, issuer, authority)) = made else {
            return Err("The issuer has no CA key and certificate. Set the issuer again to make them.");
        };
        let signer = match authority.chain.first().map(|certificate| Signer::read(&certificate.0)) {
            Some(Ok(signer)) => signer,
            _ => return Err("The CA certificate of the issuer cannot be read."),
        };
        Ok(Self { context: SealContext::authority_key(vault.as_str(), issuer.as_str()), authority, signer })
    }
}

#[async_trait]
impl Provider for LocalCa {
    fn schema(&self) -> IssuerSchema {
        let summary = "A CA of this server: its key is made when the issuer is set, and kept sealed.";
        IssuerSchema { provider: LOCAL_CA, summary, options: Vec::new() }
    }

    fn members(&self) -> Vec<OptionSchema> {
        vec![
            OptionSchema {
                name: "account_id",
                kind: OptionKind::Choice(&["root", "intermediate"]),
                required: false,
                default: Some("root"),
                help: "Whether the root signs certificates, or an intermediate CA that the root signed.",
            },
            OptionSchema {
                name: "organization_id",
                kind: OptionKind::Text,
                required: false,
                default: None,
                help: "Common name of the root, at most 64 characters; otherwise made of the issuer's name.",
            },
        ]
    }

    fn state_in_object(&self, vault: &VaultName, issuer: &IssuerConfig) -> Option<State> {
        let kept = Kept { vault: vault.clone(), issuer: issuer.name.clone(), authority: issuer.authority.clone() };
        Some(kept.write())
    }

    fn is_ca(&self) -> bool {
        true
    }

    /// The CA is made once, and its settings cannot be changed: its certificates are in use, and another setting would
    /// not change them.
    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State> {
        let ca = input.ca.as_ref().ok_or_else(Error::internal)?;
        if let Some(Kept { vault, issuer, authority: Some(held) }) = old.and_then(Kept::read) {
            stays_as_made(ca, &held)?;
            return Ok(Kept { vault, issuer, authority: Some(held) }.write());
        }
        let with_intermediate = with_intermediate(input.account_id.as_deref())?;
        let authority = self.make(ca, input.organization.as_ref(), with_intermediate).await?;
        Ok(Kept { vault: ca.vault.clone(), issuer: ca.issuer.clone(), authority: Some(authority) }.write())
    }

    /// The names are those of the policy. What else a request asks for is not dropped, and its key is not one of the CA.
    fn accept_request(&self, request: &RequestFacts, policy: &Policy, state: &State) -> domain::Result<()> {
        let staples = policy.granted.as_ref().is_some_and(|granted| granted.must_staple);
        let is_given = |other: &&String| !(staples && other.starts_with(MUST_STAPLE));
        let others: Vec<&str> = request.others.iter().filter(is_given).map(String::as_str).collect();
        if !others.is_empty() {
            let problem = format!(
                "A LocalCA signs no extensions that a policy cannot ask for: make the request without {}.",
                others.join(", ")
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
        let (sealer, order) = (Arc::clone(self.keys.sealer()), order.clone());
        sign_apart(&self.keys, AUTHORITY_KEY, move || sign(&sealer, usable, &order)).await
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
        let root = usable.authority.chain.last().and_then(|root| authority::common_name_of(&root.0).ok());
        let sealer = Arc::clone(self.keys.sealer());
        let open = move || open_key(&sealer, &sealed_key(&usable.authority, usable.context)).map(|_| ());
        match self.keys.run(&Caller::server(), Work::Use(AUTHORITY_KEY), open).await {
            Ok(()) => Health::Good(format!(
                "The key of {} can be opened and matches its certificate.",
                root.unwrap_or_default()
            )),
            Err(error) if error.reason == Reason::Throttled => Health::Unknown(error.message),
            Err(error) => Health::Bad(error.message),
        }
    }

    fn authority(&self, state: &State) -> Option<Authority> {
        Kept::read(state)?.authority
    }
}

impl LocalCa {
    /// Makes the keys and certificates, under a name that no other CA of the vault has or had.
    async fn make(
        &self,
        ca: &CaInput,
        organization: Option<&Organization>,
        with_intermediate: bool,
    ) -> domain::Result<Authority> {
        let CaInput { vault, issuer, caller, clock, taken_names, named_account_id: _, named_organization_id: _ } =
            ca.clone();
        let common_name = authority::common_name(&vault, &issuer, organization)?;
        let taken = |name: &String| taken_names.contains(&authority::comparable_name(name));
        let free = |name: &String| !authority::names(name).iter().any(taken);
        let common_name = (1..=u32::MAX).map(|number| authority::numbered(&common_name, number)).find(free);
        let organization = Organization { id: common_name, administrators: Vec::new(), without_administrators: false };
        let sealer = self.keys.sealer().clone();
        let make = move || {
            let (organization, now) = (Some(&organization), clock.now());
            authority::create_authority(&sealer, &vault, &issuer, organization, with_intermediate, AUTHORITY_KEY, now)
        };
        self.keys.run(&caller, Work::Generate(AUTHORITY_KEY), make).await
    }
}

fn with_intermediate(account_id: Option<&str>) -> domain::Result<bool> {
    match account_id {
        None | Some("" | "root") => Ok(false),
        Some("intermediate") => Ok(true),
        Some(_) => Err(Error::field(
            "credentials.account_id",
            "A LocalCA takes \"root\" (the root signs) or \"intermediate\" (an intermediate signs).",
        )),
    }
}

fn stays_as_made(ca: &CaInput, held: &Authority) -> domain::Result<()> {
    let issuer = &ca.issuer;
    if let Some(account_id) = &ca.named_account_id
        && with_intermediate(Some(account_id))? != (held.chain.len() > 1)
    {
        let is = if held.chain.len() > 1 { "intermediate" } else { "root" };
        return Err(Error::field(
            "credentials.account_id",
            format!(
                "The CA of the issuer {issuer} was made with \"{is}\", which cannot be changed: set another issuer, or delete this one first."
            ),
        ));
    }
    let id = ca.named_organization_id.as_deref().map(str::trim);
    let root = held.chain.last().ok_or_else(Error::internal)?;
    let common_name = authority::common_name_of(&root.0)?;
    match id.filter(|id| !id.is_empty() && !authority::is_numbered(&common_name, id)) {
        Some(_) => Err(Error::field(
            "org_details.id",
            format!(
                "The CA of the issuer {issuer} is called {common_name}, which cannot be changed: set another issuer, or delete this one first."
            ),
        )),
        None => Ok(()),
    }
}

/// The key of the certificate that signs.
fn sealed_key(authority: &Authority, context: SealContext) -> SealedKey {
    let own = authority.chain.first().and_then(|certificate| public_key_of(&certificate.0)).unwrap_or_default();
    SealedKey { sealed: authority.sealed_key.clone(), context, public_key: own }
}

fn sign(sealer: &Sealer, usable: Usable, order: &Order) -> domain::Result<Vec<Vec<u8>>> {
    let Usable { context, authority, signer } = usable;
    let key = open_key(sealer, &sealed_key(&authority, context))?;
    let public_key = requested_key(&order.csr)?;
    let request = Request {
        policy: &order.policy,
        public_key: &public_key,
        request_id: order.request_id,
        version: order.version,
        created: order.created,
    };
    let leaf = signer.issue(&request, &key)?;
    Ok([leaf].into_iter().chain(authority.chain.into_iter().map(|certificate| certificate.0)).collect())
}

fn misconfigured(problem: &'static str) -> IssuerError {
    IssuerError::Misconfigured { source: problem.into() }
}
