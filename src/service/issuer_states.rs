//! What providers keep of issuer objects: made when the object is set, changed by steps, removed with it. A provider's
//! state is opaque here and lies sealed in the store, so that whoever reads the database finds no account key.

use super::Service;
use super::records::{IssuerStateRecord, key};
use crate::domain::{self, Blob, Error, IssuerConfig, IssuerName, Result, VaultName};
use crate::issuer::provider::{CaInput, IssuerInput, Provider, State};
use crate::keys::{Caller, SealContext};
use crate::store::{Batch, Delete, Put, Record};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use zeroize::Zeroizing;

/// Secret options in the clear, by name.
pub(super) type Secrets = BTreeMap<String, Zeroizing<String>>;

/// A provider that is not ready after so many changes of its state is left to the first order.
const ACTIVATION_STEPS: usize = 8;
/// How long setting an issuer waits for the CA: the first order does the same.
const ACTIVATION_TIME: Duration = Duration::from_secs(20);

/// Who sets or changes an issuer object, and what the call says.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) caller: &'a Caller,
    pub(super) vault: &'a VaultName,
    pub(super) input: &'a domain::IssuerInput,
}

/// The state of an issuer object, opened, as it was read.
pub(super) struct Held {
    record: Record,
    value: IssuerStateRecord,
    pub(super) state: State,
}

/// Where the state of an issuer object comes from.
pub(super) enum Kept {
    /// The object itself: its authority, and members of Key Vault.
    Object(State),
    Record(Box<Held>),
}

impl Kept {
    pub(super) fn state(&self) -> &State {
        match self {
            Self::Object(state) => state,
            Self::Record(held) => &held.state,
        }
    }
}

impl Service {
    /// What the provider of an issuer object keeps of it; `None` where its record is missing.
    pub(super) async fn state_of(
        &self,
        provider: &dyn Provider,
        vault: &VaultName,
        issuer: &IssuerConfig,
    ) -> Result<Option<Kept>> {
        if let Some(state) = provider.state_in_object(vault, issuer) {
            return Ok(Some(Kept::Object(state)));
        }
        let held = self.issuer_state(vault, &issuer.name).await?;
        Ok(held.map(|held| Kept::Record(Box::new(held))))
    }

    /// The state of an issuer object; none where its provider has none.
    pub(super) async fn issuer_state(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Option<Held>> {
        let Some((record, value)) = self.load(&key::issuer_state(vault, issuer)).await? else { return Ok(None) };
        let state = State(self.keys.sealer().open(&value.state.0, &state_context(vault, issuer))?);
        Ok(Some(Held { record, value, state }))
    }

    /// The write of a next state in place of the one that was read; refused by the store where somebody was faster.
    pub(super) fn next_issuer_state(&self, held: &Held, state: &State) -> Result<Put> {
        let sealed = self.keys.sealer().seal(&state.0, &state_context(&held.value.vault, &held.value.issuer))?;
        let value = IssuerStateRecord { state: Blob(sealed), ..held.value.clone() };
        self.records.replace(&held.record, &value, None)
    }

    /// The secret options that were set.
    pub(super) fn secret_options(&self, held: &Held) -> Result<Secrets> {
        let IssuerStateRecord { vault, issuer, secrets: Some(sealed), .. } = &held.value else {
            return Ok(Secrets::new());
        };
        let opened = self.keys.sealer().open(&sealed.0, &secrets_context(vault, issuer))?;
        let texts: BTreeMap<String, String> = serde_json::from_slice(&opened).map_err(|_| {
            tracing::error!(%vault, %issuer, "the secret options of an issuer are not readable");
            Error::internal()
        })?;
        Ok(texts.into_iter().map(|(name, text)| (name, Zeroizing::new(text))).collect())
    }

    /// What is written beside an issuer object: the state that its provider makes of it, or the removal of an earlier
    /// provider's. An authority that is made goes into the object. A state that is there counts as the object's own
    /// only where there was an object before.
    ///
    /// # Errors
    /// The option, and what is wrong with it.
    pub(super) async fn configure(
        &self,
        change: Change<'_>,
        before: Option<&IssuerConfig>,
        issuer: &mut IssuerConfig,
        secrets: Secrets,
        password: Option<Zeroizing<String>>,
    ) -> Result<Batch> {
        let vault = change.vault;
        let mut batch = Batch::default();
        let place = key::issuer_state(vault, &issuer.name);
        let provider = self.issuers.get(&issuer.provider).cloned();
        if provider.as_ref().is_none_or(|provider| !provider.takes_options())
            && let Some(name) = issuer.options.keys().chain(secrets.keys()).next()
        {
            return Err(no_options(name, &issuer.provider));
        }
        // The provider of an object may be one that only other replicas offer.
        let Some(provider) = provider else { return Ok(batch) };
        if let Some(own) = provider.state_in_object(vault, issuer) {
            let input = self.object_input(&*provider, change, issuer, password).await?;
            let state = provider.configure(&input, Some(&own)).await?;
            if issuer.authority.is_none()
                && let Some(made) = provider.authority(&state)
            {
                issuer.authority = Some(made);
                batch.puts.extend(self.new_authority(vault, issuer)?);
            }
            let stale = self.store.get(place.as_str()).await?;
            batch.deletes.extend(stale.map(|record| Delete { key: record.key, expected: record.revision }));
            return Ok(batch);
        }
        let held = self.issuer_state(vault, &issuer.name).await?;
        let own = before.and(held.as_ref()).filter(|held| held.value.provider.eq_ignore_ascii_case(&issuer.provider));
        let secret_texts: BTreeMap<&str, &str> =
            secrets.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let sealed_secrets = if secrets.is_empty() {
            None
        } else {
            let texts = Zeroizing::new(serde_json::to_vec(&secret_texts).map_err(|_| Error::internal())?);
            Some(Blob(self.keys.sealer().seal(&texts, &secrets_context(vault, &issuer.name))?))
        };
        let input = IssuerInput {
            options: issuer.options.clone(),
            secrets,
            account_id: issuer.credentials.account_id.clone(),
            password,
            organization: issuer.organization.clone(),
            ca: None,
        };
        let state = provider.configure(&input, own.map(|held| &held.state)).await?;
        let value = IssuerStateRecord {
            vault: vault.clone(),
            issuer: issuer.name.clone(),
            provider: issuer.provider.clone(),
            state: Blob(self.keys.sealer().seal(&state.0, &state_context(vault, &issuer.name))?),
            secrets: sealed_secrets,
        };
        let expected = held.map(|held| held.record.revision);
        batch.puts.push(self.records.put(&place, expected, &value, None)?);
        Ok(batch)
    }

    /// What a provider is given that keeps its state in the object.
    async fn object_input(
        &self,
        provider: &dyn Provider,
        change: Change<'_>,
        issuer: &IssuerConfig,
        password: Option<Zeroizing<String>>,
    ) -> Result<IssuerInput> {
        let Change { caller, vault, input } = change;
        let ca = if provider.is_ca() {
            let taken_names = match &issuer.authority {
                Some(_) => HashSet::new(),
                None => self.authority_names(vault).await?,
            };
            Some(CaInput {
                vault: vault.clone(),
                issuer: issuer.name.clone(),
                caller: caller.clone(),
                clock: self.clock.clone(),
                taken_names,
                named_account_id: input.account_id.clone(),
                named_organization_id: input.organization.as_ref().and_then(|organization| organization.id.clone()),
            })
        } else {
            None
        };
        Ok(IssuerInput {
            options: issuer.options.clone(),
            secrets: Secrets::new(),
            account_id: issuer.credentials.account_id.clone(),
            password,
            organization: issuer.organization.clone(),
            ca,
        })
    }

    /// The removal of the state of an issuer object that goes.
    pub(super) async fn forget_issuer_state(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Option<Delete>> {
        let found = self.store.get(key::issuer_state(vault, issuer).as_str()).await?;
        Ok(found.map(|record| Delete { key: record.key, expected: record.revision }))
    }

    /// Makes the CA's side ready, such as an account. An issuer object is set whether this succeeds or not: the first
    /// order does what is missing, and says what is wrong.
    pub(super) async fn activate(&self, vault: &VaultName, issuer: &IssuerConfig) {
        if !issuer.enabled {
            return;
        }
        match tokio::time::timeout(ACTIVATION_TIME, self.activation(vault, issuer)).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(%vault, issuer = %issuer.name, provider = issuer.provider, error = problem, "an issuer could not be made ready; its first order tries again");
            }
            Err(_) => {
                tracing::warn!(%vault, issuer = %issuer.name, provider = issuer.provider, "an issuer did not answer in time to be made ready; its first order tries again");
            }
        }
    }

    async fn activation(&self, vault: &VaultName, issuer: &IssuerConfig) -> Result<(), String> {
        let Some(provider) = self.issuers.get(&issuer.provider) else { return Ok(()) };
        if provider.state_in_object(vault, issuer).is_some() {
            return Ok(());
        }
        for _ in 0..ACTIVATION_STEPS {
            let held = self.issuer_state(vault, &issuer.name).await.map_err(|error| error.message)?;
            // Deleted meanwhile.
            let Some(held) = held else { return Ok(()) };
            let Some(state) = provider.activate(&held.state).await.map_err(|error| error.to_string())? else {
                return Ok(());
            };
            let put = self.next_issuer_state(&held, &state).map_err(|error| error.message)?;
            // Where somebody else was faster, the newer state goes on.
            self.try_commit(Batch { puts: vec![put], ..Batch::default() }).await.map_err(|error| error.message)?;
        }
        Ok(())
    }
}

fn no_options(name: &str, provider: &str) -> Error {
    let hint = if domain::issuer::is_local_ca(provider) {
        " What a LocalCA takes is in credentials.account_id and org_details.id."
    } else {
        ""
    };
    let name: String = name.chars().take(60).collect();
    Error::field(format!("options.{name}"), format!("{provider} has no options: leave it out.{hint}"))
}

fn state_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::new(vault, issuer.as_str(), "", "issuer.state")
}

fn secrets_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::new(vault, issuer.as_str(), "", "issuer.secrets")
}
