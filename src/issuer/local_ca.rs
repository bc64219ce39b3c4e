//! `LocalCA`: a certificate authority whose key certmint stores, encrypted in the issuer object.

use super::{Checkpoint, FailureClass, Issuer, IssuerError, Order, Step, sign_apart};
use crate::domain::{self, Authority, Reason};
use crate::keys::authority::{AUTHORITY_KEY, Signer, check_leaf};
use crate::keys::certificate::{Request, requested_key};
use crate::keys::{Keys, SealContext, SealedKey, Sealer, open_key, public_key_of};
use async_trait::async_trait;
use std::sync::Arc;

/// Signs at once with the authority of the order's issuer object, but nothing that would give a leaf powers of the CA
/// (`keys::authority::check_leaf`). The answer is the leaf, the
/// intermediate if there is one, and the root. A repeat signs the same content again.
pub struct LocalCa {
    keys: Arc<Keys>,
}

impl LocalCa {
    /// `keys` opens the keys of authorities, and signs.
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }
}

#[async_trait]
impl Issuer for LocalCa {
    async fn advance(&self, order: &Order, _checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        let Some((issuer, authority)) =
            order.issuer.as_ref().and_then(|issuer| Some((issuer, issuer.authority.as_ref()?)))
        else {
            return Err(misconfigured("The issuer has no CA key and certificate. Set the issuer again to make them."));
        };
        match check_leaf(&order.policy, &authority.chain) {
            Ok(()) => {}
            Err(refusal) if refusal.reason == Reason::BadParameter => {
                return Ok(Step::Failed { class: FailureClass::RequestRejected, message: refusal.message });
            }
            Err(_) => return Err(misconfigured("The CA certificates of the issuer cannot be read.")),
        }
        let signer = match authority.chain.first().map(|certificate| Signer::read(&certificate.0)) {
            Some(Ok(signer)) => signer,
            _ => return Err(misconfigured("The CA certificate of the issuer cannot be read.")),
        };
        if signer.not_after() <= order.created {
            return Err(misconfigured("The CA certificate of the issuer has expired. Make a new issuer."));
        }
        let context = SealContext::authority_key(order.vault.as_str(), issuer.name.as_str());
        let (sealer, order, authority) = (Arc::clone(self.keys.sealer()), order.clone(), authority.clone());
        sign_apart(&self.keys, AUTHORITY_KEY, move || sign(&sealer, context, &signer, &authority, &order)).await
    }

    /// Nothing was asked of anybody, so nothing is left to undo.
    async fn cancel(&self, _order: &Order, _checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        Ok(Step::Cancelled)
    }
}

fn sign(
    sealer: &Sealer,
    context: SealContext,
    signer: &Signer,
    authority: &Authority,
    order: &Order,
) -> domain::Result<Vec<Vec<u8>>> {
    let own = authority.chain.first().and_then(|certificate| public_key_of(&certificate.0)).unwrap_or_default();
    let key = open_key(sealer, &SealedKey { sealed: authority.sealed_key.clone(), context, public_key: own })?;
    let public_key = requested_key(&order.csr)?;
    let request = Request {
        policy: &order.policy,
        public_key: &public_key,
        request_id: order.request_id,
        version: order.version,
        created: order.created,
    };
    let leaf = signer.issue(&request, &key)?;
    Ok([leaf].into_iter().chain(authority.chain.iter().map(|certificate| certificate.0.clone())).collect())
}

fn misconfigured(problem: &'static str) -> IssuerError {
    IssuerError::Misconfigured { source: problem.into() }
}
