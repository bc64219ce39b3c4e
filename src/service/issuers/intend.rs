//! What a CA of this server signs is stored before it signs: with a new operation, or before the step of one that was
//! begun by a version without the log, or whose CA is another one by now.

use super::Issuing;
use super::ask::{Asked, Outcome, Signer, failure, order};
use crate::domain::issued::{IssuedFor, IssuedState};
use crate::domain::pending::Event;
use crate::domain::{OperationError, Result, Serial, VaultName};
use crate::issuer::provider::{Intent, Provider, State};
use crate::issuer::{Checkpoint, FailureClass};
use crate::keys::authority;
use crate::keys::pointers::Pointers;
use crate::service::ca::{Ended, asked_for, pointers, random_serial, revoked_above};
use crate::service::records::{PendingRecord, key};
use crate::store::Batch;
use std::sync::Arc;
use std::time::Duration;

/// A CA of this server that an operation names, as it was read.
#[derive(Clone)]
pub(in crate::service) struct Ca {
    provider: Arc<dyn Provider>,
    state: State,
    /// Of the authority that signs, where what it publishes has an address.
    published: Option<Published>,
}

/// Where an authority publishes.
#[derive(Clone)]
struct Published {
    base_url: String,
    authority: String,
    shards: u32,
}

impl Published {
    fn pointers(&self, serial: &Serial) -> Pointers {
        let Self { base_url, authority, shards } = self;
        pointers(base_url, authority, *shards, serial)
    }
}

/// What a step does with the intent of an operation.
pub(super) enum Stored {
    /// It is signed.
    Ready(Intent),
    /// There is none, as the issuer is no CA of this server, or the CA signs nothing for this order and says why.
    None,
    /// It has to be stored first, or there will never be one.
    Instead(Box<Asked>),
}

impl Issuing {
    /// What is to be known of a CA of this server before it signs.
    pub(super) async fn ca(&self, provider: Arc<dyn Provider>, state: State, vault: &VaultName) -> Result<Ca> {
        let base_url = self.context.options.ca.base().map(str::to_owned);
        let held = provider.authority(&state).filter(|_| base_url.is_some());
        let authority = held.and_then(|held| authority::identifier(&held.chain.first()?.0));
        let published = match (base_url, authority) {
            (Some(base_url), Some(authority)) => {
                let record = self.context.load(&key::authority(vault, &authority)).await?;
                let shards = record.map_or(1, |(_, record)| record.lists.shards);
                Some(Published { base_url, authority, shards })
            }
            _ => None,
        };
        Ok(Ca { provider, state, published })
    }

    /// Adds to the batch of a new operation what its CA will sign. Where it would sign nothing, the first step says why.
    pub(in crate::service) fn intend(
        &self,
        batch: &mut Batch,
        pending: &mut PendingRecord,
        ca: &Ca,
        principal: &str,
    ) -> Result<()> {
        let asked = order(pending, ca.provider.needs());
        let serial = random_serial();
        let pointers = ca.published.as_ref().map(|published| published.pointers(&serial));
        let intent = ca.provider.intend(&asked, &ca.state, Some(serial), pointers.as_ref());
        let Ok(Some(intent)) = intent else { return Ok(()) };
        let asked = asked_for(pending, principal)?;
        self.log.intend(batch, pending, intent, asked, None)
    }

    /// Whether nothing is to be ordered, because the key was reported since the operation began. An order that a CA has
    /// already is the CA's to judge.
    pub(super) async fn is_for_a_compromised_key(&self, pending: &PendingRecord) -> Result<bool> {
        if pending.operation.cancellation_requested || !pending.checkpoint.0.is_empty() {
            return Ok(false);
        }
        self.log.requests_compromised(&pending.operation.csr.0).await
    }

    /// The intent of an operation that is about to be signed.
    pub(super) async fn stored_intent(&self, signer: &Signer, pending: &PendingRecord) -> Result<Stored> {
        let (provider, state) = (&signer.provider, signer.kept.state());
        if !provider.is_ca() || pending.operation.cancellation_requested {
            return Ok(Stored::None);
        }
        let held = provider.authority(state);
        if let Some(held) = &held
            && let Some(revoked) = revoked_above(&self.context, &pending.operation.vault, &held.chain).await?
        {
            let problem = format!(
                "{revoked}: clients refuse what is below. Make and activate another CA of the issuer (certmint ca create)."
            );
            let error = failure(FailureClass::IssuerError, &problem);
            return Ok(Stored::Instead(Box::new(Outcome::Ended(Event::Failed(error)).into())));
        }
        let active = held.and_then(|held| authority::identifier(&held.chain.first()?.0));
        let (mut batch, mut before) = (Batch::default(), None);
        if let Some(known) = &pending.intent {
            let found = self.context.load(&key::issued(&known.authority, &known.serial)).await?;
            if let Some((_, issued)) = &found
                && issued.revocation.is_some()
            {
                return Ok(Stored::Instead(Box::new(Outcome::Ended(Event::Failed(serial_revoked())).into())));
            }
            if let Some((_, issued)) = &found
                && issued.state == IssuedState::Intended
                && active.as_ref() == Some(&known.authority)
                && let Some(tbs) = &issued.tbs
            {
                return Ok(Stored::Ready(Intent {
                    authority: known.authority.clone(),
                    serial: known.serial.clone(),
                    tbs: tbs.0.clone(),
                    not_before: issued.content.not_before,
                    not_after: issued.content.not_after,
                }));
            }
            before = found.map(|(_, issued)| issued.asked);
            self.log.end(&mut batch, Some(known), Ended::Abandoned).await?;
        }
        // A replica of a version without the log may have signed, or be signing, under the number that follows from the
        // order: that number is the one to have in the log.
        let serial = pending.intent.as_ref().map(|_| random_serial());
        let ca = self.ca(provider.clone(), state.clone(), &pending.operation.vault).await?;
        let pointers = serial.as_ref().and_then(|serial| Some(ca.published.as_ref()?.pointers(serial)));
        let intent = provider.intend(&order(pending, provider.needs()), state, serial, pointers.as_ref());
        let Ok(Some(intent)) = intent else { return Ok(Stored::None) };
        store_intent(self, batch, pending, intent, before).await
    }
}

/// The end of an operation whose serial number was revoked before its certificate was handed out.
pub(in crate::service) fn serial_revoked() -> OperationError {
    failure(FailureClass::RequestRejected, "Its serial number was revoked before it was signed.")
}

async fn store_intent(
    issuing: &Issuing,
    mut batch: Batch,
    pending: &PendingRecord,
    intent: Intent,
    before: Option<IssuedFor>,
) -> Result<Stored> {
    let asked = before.map_or_else(|| asked_for(pending, ""), Ok)?;
    let there = issuing.context.load(&key::issued(&intent.authority, &intent.serial)).await?;
    let there = there.map(|(record, _)| record);
    let mut changed = pending.clone();
    issuing.log.intend(&mut batch, &mut changed, intent, asked, there.as_ref())?;
    let outcome = Outcome::Open {
        checkpoint: Checkpoint(pending.checkpoint.0.clone()),
        note: None,
        actions: Vec::new(),
        again: Duration::ZERO,
        progress: true,
    };
    Ok(Stored::Instead(Box::new(Asked { outcome, beside: batch, intent: changed.intent })))
}
