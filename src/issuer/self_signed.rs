//! `Self`: the certificate is signed with its own key.

use super::provider::{Health, IssuerInput, IssuerSchema, Needs, Order, Progress, Provider, State};
use super::{Checkpoint, IssuerError, Step, sign_apart};
use crate::domain::{self, IssuerConfig, VaultName};
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
impl Provider for SelfSigned {
    fn schema(&self) -> IssuerSchema {
        let summary = "Signs each certificate with its own key. It needs no issuer object.";
        IssuerSchema { provider: "Self", summary, options: Vec::new() }
    }

    fn state_in_object(&self, _vault: &VaultName, _issuer: &IssuerConfig) -> Option<State> {
        Some(State::default())
    }

    async fn configure(&self, _input: &IssuerInput, _old: Option<&State>) -> domain::Result<State> {
        Ok(State::default())
    }

    fn needs(&self) -> Needs {
        Needs { sealed_key: true, ..Needs::default() }
    }

    async fn advance(&self, order: &Order, _state: &State, _at: &Checkpoint) -> Result<Progress, IssuerError> {
        let Some(sealed) = order.sealed_key.clone() else {
            return Err(IssuerError::Retry {
                after: None,
                source: "The private key of the certificate is missing.".into(),
            });
        };
        let (sealer, order) = (Arc::clone(self.keys.sealer()), order.clone());
        sign_apart(&self.keys, order.policy.key.key_type, move || sign(&sealer, sealed, &order)).await
    }

    /// Nothing was asked of anybody, so nothing is left to undo.
    async fn cancel(&self, _order: &Order, _state: &State, _at: &Checkpoint) -> Result<Progress, IssuerError> {
        Ok(Progress::new(Step::Cancelled))
    }

    async fn check(&self, _state: &State) -> Health {
        Health::Good("Certificates are signed with their own keys.".to_owned())
    }
}

fn sign(sealer: &Sealer, sealed: Vec<u8>, order: &Order) -> domain::Result<Vec<Vec<u8>>> {
    let context = SealContext::certificate_key(order.vault.as_str(), order.certificate.as_str(), order.version);
    let public_key = certificate::requested_key(&order.csr)?;
    let key = open_key(sealer, &SealedKey { sealed: sealed.into(), context, public_key: public_key.clone() })?;
    let request = Request {
        policy: &order.policy,
        public_key: &public_key,
        request_id: order.request_id,
        version: order.version,
        created: order.created,
    };
    Ok(vec![certificate::self_signed(&request, &key)?])
}
