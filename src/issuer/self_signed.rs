//! `Self`: the certificate is signed with its own key.

use super::{Checkpoint, Issuer, IssuerError, Order, Step, sign_apart};
use crate::domain;
use crate::keys::certificate::{self, Request};
use crate::keys::{Keys, SealContext, SealedKey, Sealer, open_key};
use async_trait::async_trait;
use std::sync::Arc;

/// Signs at once; a repeat signs the same content again.
pub struct SelfSigned {
    keys: Arc<Keys>,
}

impl SelfSigned {
    /// `keys` opens the keys of certificates, and signs.
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }
}

#[async_trait]
impl Issuer for SelfSigned {
    async fn advance(&self, order: &Order, _checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        let (sealer, order) = (Arc::clone(self.keys.sealer()), order.clone());
        sign_apart(&self.keys, order.policy.key.key_type, move || sign(&sealer, &order)).await
    }

    /// Nothing was asked of anybody, so nothing is left to undo.
    async fn cancel(&self, _order: &Order, _checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        Ok(Step::Cancelled)
    }
}

fn sign(sealer: &Sealer, order: &Order) -> domain::Result<Vec<Vec<u8>>> {
    let context = SealContext::certificate_key(order.vault.as_str(), order.certificate.as_str(), order.version);
    let public_key = certificate::requested_key(&order.csr)?;
    let sealed = order.sealed_key.clone().into();
    let key = open_key(sealer, &SealedKey { sealed, context, public_key: public_key.clone() })?;
    let request = Request {
        policy: &order.policy,
        public_key: &public_key,
        request_id: order.request_id,
        version: order.version,
        created: order.created,
    };
    Ok(vec![certificate::self_signed(&request, &key)?])
}
