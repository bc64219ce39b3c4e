//! The state of providers for issuer objects: created when the object is set, changed by steps, removed with it. The
//! state is opaque here and sealed in the store, so that nobody who reads the database finds an account key.

use super::Issuing;
use super::configured::Configured;
use super::profiles::options_of;
use super::retire::has_a_next;
use crate::domain::{self, Blob, Detail, Error, IssuerConfig, IssuerName, Reason, Result, VaultName};
use crate::issuer::provider::{CaInput, IssuerInput, Provider, State};
use crate::keys::{Caller, SealContext};
use crate::service::records::{IssuerStateRecord, key};
use crate::store::{Batch, Delete, Put, Record};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Secret options in the clear, by name.
pub(in crate::service) type Secrets = BTreeMap<String, Zeroizing<String>>;

/// A provider that is not ready after so many changes of its state is left to the first order.
const ACTIVATION_STEPS: usize = 8;
/// How often it is looked whether the state of an issuer object that is gone is still needed.
const RETIRED_LOOK: Duration = Duration::from_secs(600);
/// How long setting an issuer waits for the CA: the first order does the same.
const ACTIVATION_TIME: Duration = Duration::from_secs(20);

/// The `account_id` that takes the CA of a deleted issuer back.
const ATTACH: &str = "attach";

/// Who sets or changes an issuer object, and what the call says.
#[derive(Clone, Copy)]
pub(in crate::service) struct Change<'a> {
    pub(in crate::service) caller: &'a Caller,
    pub(in crate::service) vault: &'a VaultName,
    pub(in crate::service) input: &'a domain::IssuerInput,
}

/// The state of an issuer object, opened, as it was read.
pub(in crate::service) struct Held {
    record: Record,
    value: IssuerStateRecord,
    pub(in crate::service) state: State,
}

/// Where the state of an issuer object comes from.
pub(in crate::service) enum Kept {
    /// The object itself: its authority, and members of Key Vault.
    Object(State),
    Record(Box<Held>),
}

impl Kept {
    pub(in crate::service) fn state(&self) -> &State {
        match self {
            Self::Object(state) => state,
            Self::Record(held) => &held.state,
        }
    }
}

impl Issuing {
    /// What the provider of an issuer object keeps of it; `None` where its record is missing.
    pub(in crate::service) async fn state_of(
        &self,
        provider: &dyn Provider,
        vault: &VaultName,
        issuer: &IssuerConfig,
    ) -> Result<Option<Kept>> {
        if let Some(state) = provider.state_in_object(vault, issuer) {
            return Ok(Some(Kept::Object(state)));
        }
        let held = self.issuer_state(vault, &issuer.name).await?;
        // One of another provider was written while the object was read.
        let held = held.filter(|held| held.value.provider.eq_ignore_ascii_case(&issuer.provider));
        Ok(held.map(|held| Kept::Record(Box::new(held))))
    }

    /// The state of an issuer object; none where its provider has none.
    pub(in crate::service) async fn issuer_state(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
    ) -> Result<Option<Held>> {
        let Some((record, value)) = self.context.load(&key::issuer_state(vault, issuer)).await? else {
            return Ok(None);
        };
        let state = State(self.context.keys.sealer().open(&value.state.0, &state_context(vault, issuer))?);
        Ok(Some(Held { record, value, state }))
    }

    /// The write of a next state in place of the one that was read; refused by the store where somebody was faster.
    pub(in crate::service) fn next_issuer_state(&self, held: &Held, state: &State) -> Result<Put> {
        let sealed =
            self.context.keys.sealer().seal(&state.0, &state_context(&held.value.vault, &held.value.issuer))?;
        let value = IssuerStateRecord { state: Blob(sealed), ..held.value.clone() };
        let due = value.retired.map(|_| self.context.now().plus(RETIRED_LOOK));
        self.context.records.replace(&held.record, &value, due)
    }

    /// The secret options that were set.
    pub(in crate::service) fn secret_options(&self, held: &Held) -> Result<Secrets> {
        let IssuerStateRecord { vault, issuer, secrets: Some(sealed), .. } = &held.value else {
            return Ok(Secrets::new());
        };
        let opened = self.context.keys.sealer().open(&sealed.0, &secrets_context(vault, issuer))?;
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
    pub(in crate::service) async fn configure(
        &self,
        change: Change<'_>,
        before: Option<&IssuerConfig>,
        issuer: &mut IssuerConfig,
        secrets: Secrets,
        password: Option<Zeroizing<String>>,
    ) -> Result<Configured> {
        let vault = change.vault;
        let mut batch = Batch::default();
        let place = key::issuer_state(vault, &issuer.name);
        // The provider of an object may be one that only other replicas offer. Its state is made from what a change
        // says, so the object must not be changed without it.
        let Some(provider) = self.issuers.get(&issuer.provider).cloned() else {
            return if concerns_the_provider(change.input) { Err(not_offered_here(issuer)) } else { Ok(batch.into()) };
        };
        if !provider.takes_options()
            && let Some(name) = options_of(issuer).keys().chain(secrets.keys()).next()
        {
            return Err(no_options(name, &issuer.provider));
        }
        let held = self.issuer_state(vault, &issuer.name).await?;
        if let Some(held) = &held
            && !held.value.provider.eq_ignore_ascii_case(&issuer.provider)
            && self.has_orders(vault, &issuer.name).await?
        {
            return Err(orders_of_another(&issuer.name, &held.value.provider));
        }
        // Its CA is on its way: nothing else takes its place.
        let has_none = issuer.authority.is_none() && provider.is_ca();
        if has_none && self.authorities.is_waiting(vault, &issuer.name).await? {
            // Without an object it is that of an issuer that an earlier version deleted.
            return if before.is_some() { Ok(batch.into()) } else { Err(has_a_next(&issuer.name)) };
        }
        if provider.is_ca() && change.input.account_id.as_deref() == Some(ATTACH) {
            batch.puts.extend(attach(self, vault, issuer).await?);
        }
        if let Some(own) = provider.state_in_object(vault, issuer) {
            let input = self.object_input(&*provider, change, issuer, password).await?;
            let state = provider.configure(&input, Some(&own)).await?;
            let below = if issuer.authority.is_none() && provider.is_ca() { provider.below(&input)? } else { None };
            if issuer.authority.is_none()
                && let Some(made) = provider.authority(&state)
            {
                issuer.authority = Some(made);
                batch.puts.extend(self.authorities.new_authority(vault, issuer).await?);
            }
            batch.deletes.extend(held.map(|Held { record, .. }| Delete { key: record.key, expected: record.revision }));
            return Ok(Configured { beside: batch, below });
        }
        let own = before.and(held.as_ref()).filter(|held| held.value.provider.eq_ignore_ascii_case(&issuer.provider));
        let secret_texts: BTreeMap<&str, &str> =
            secrets.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let sealed_secrets = if secrets.is_empty() {
            None
        } else {
            let texts = Zeroizing::new(serde_json::to_vec(&secret_texts).map_err(|_| Error::internal())?);
            Some(Blob(self.context.keys.sealer().seal(&texts, &secrets_context(vault, &issuer.name))?))
        };
        let input = IssuerInput {
            options: issuer.options.clone(),
            secrets,
            account_id: issuer.credentials.account_id.clone(),
            password,
            organization: issuer.organization.clone(),
            ca: None,
        };
        let schema = provider.schema();
        // A plug-in that has not answered yet takes options, and checks them when it is there.
        if !schema.options.is_empty() {
            schema.check(&input)?;
        }
        let state = provider.configure(&input, own.map(|held| &held.state)).await?;
        let value = IssuerStateRecord {
            vault: vault.clone(),
            issuer: issuer.name.clone(),
            provider: issuer.provider.clone(),
            state: Blob(self.context.keys.sealer().seal(&state.0, &state_context(vault, &issuer.name))?),
            secrets: sealed_secrets,
            retired: None,
        };
        let expected = held.map(|held| held.record.revision);
        batch.puts.push(self.context.records.put(&place, expected, &value, None)?);
        Ok(batch.into())
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
                None => self.authorities.authority_names(vault).await?,
            };
            Some(CaInput {
                vault: vault.clone(),
                issuer: issuer.name.clone(),
                caller: caller.clone(),
                clock: self.context.clock.clone(),
                taken_names,
                named_account_id: input.account_id.clone().filter(|id| id != ATTACH),
                named_organization_id: input.organization.as_ref().and_then(|organization| organization.id.clone()),
            })
        } else {
            None
        };
        Ok(IssuerInput {
            options: options_of(issuer),
            secrets: Secrets::new(),
            account_id: issuer.credentials.account_id.clone(),
            password,
            organization: issuer.organization.clone(),
            ca,
        })
    }

    /// What becomes of the state of an issuer object that goes: removed, or kept as long as orders are open at the CA,
    /// so that they can be cancelled there.
    pub(super) async fn retire_issuer_state(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Batch> {
        let mut batch = Batch::default();
        let place = key::issuer_state(vault, issuer);
        let Some(record) = self.context.store.get(place.as_str()).await? else { return Ok(batch) };
        if self.has_orders(vault, issuer).await?
            && let Ok(value) = self.context.records.read::<IssuerStateRecord>(&record)
        {
            let now = self.context.now();
            let value = IssuerStateRecord { retired: Some(now), secrets: None, ..value };
            batch.puts.push(self.context.records.replace(&record, &value, Some(now.plus(RETIRED_LOOK)))?);
        } else {
            batch.deletes.push(Delete { key: record.key, expected: record.revision });
        }
        Ok(batch)
    }

    /// Who cancels the orders of an issuer object that is gone; none where nothing of it is left.
    pub(super) async fn retired_state(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
    ) -> Result<Option<(Arc<dyn Provider>, Kept)>> {
        let Some(held) = self.issuer_state(vault, issuer).await? else { return Ok(None) };
        let provider = self.issuers.get(&held.value.provider).filter(|_| held.value.retired.is_some());
        Ok(provider.map(|provider| (provider.clone(), Kept::Record(Box::new(held)))))
    }

    /// Removes the state of an issuer object that is gone, once no order is open any more.
    pub(in crate::service) async fn forget_retired_state(&self, record: Record) -> Result<()> {
        let value: IssuerStateRecord = self.context.records.read(&record)?;
        let again = match value.retired {
            // Set again meanwhile.
            None => None,
            Some(_) if self.has_orders(&value.vault, &value.issuer).await? => {
                Some(self.context.now().plus(RETIRED_LOOK))
            }
            Some(_) => return self.context.remove(&record).await,
        };
        let puts = vec![self.context.records.replace(&record, &value, again)?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }

    /// Makes the CA's side ready, such as an account. An issuer object is set whether this succeeds or not: the first
    /// order does what is missing, and says what is wrong.
    pub(in crate::service) async fn activate(&self, vault: &VaultName, issuer: &IssuerConfig) {
        if !issuer.enabled || issuer.paused.is_some() {
            return;
        }
        match tokio::time::timeout(ACTIVATION_TIME, activation(self, vault, issuer)).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(
                    %vault,
                    issuer = %issuer.name,
                    provider = issuer.provider,
                    error = problem,
                    "an issuer could not be set up; its first order will retry"
                );
            }
            Err(_) => {
                tracing::warn!(
                    %vault,
                    issuer = %issuer.name,
                    provider = issuer.provider,
                    "an issuer did not answer in time to be set up; its first order will retry"
                );
            }
        }
    }
}

async fn activation(issuing: &Issuing, vault: &VaultName, issuer: &IssuerConfig) -> Result<(), String> {
    let Some(provider) = issuing.issuers.get(&issuer.provider) else { return Ok(()) };
    if provider.state_in_object(vault, issuer).is_some() {
        return Ok(());
    }
    for _ in 0..ACTIVATION_STEPS {
        let held = issuing.issuer_state(vault, &issuer.name).await.map_err(|error| error.message)?;
        // Deleted meanwhile.
        let Some(held) = held.filter(|held| held.value.retired.is_none()) else { return Ok(()) };
        let Some(state) = provider.activate(&held.state).await.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let put = issuing.next_issuer_state(&held, &state).map_err(|error| error.message)?;
        // Where somebody else was faster, the newer state goes on.
        issuing
            .context
            .try_commit(Batch { puts: vec![put], ..Batch::default() })
            .await
            .map_err(|error| error.message)?;
    }
    Ok(())
}

/// Gives the CA back that a deleted issuer of this name had; the object says then what the CA is.
async fn attach(issuing: &Issuing, vault: &VaultName, issuer: &mut IssuerConfig) -> Result<Option<Put>> {
    let mut put = None;
    if issuer.authority.is_none() {
        let (authority, returned) = issuing.authorities.attach(vault, &issuer.name).await?;
        (issuer.authority, put) = (Some(authority), Some(returned));
    }
    let length = issuer.authority.as_ref().map_or(0, |held| held.chain.len());
    issuer.credentials.account_id = Some(if length > 1 { "intermediate" } else { "root" }.to_owned());
    Ok(put)
}

/// Only the provider that has an order can ask for it or cancel it.
fn orders_of_another(name: &IssuerName, provider: &str) -> Error {
    let message = format!("Operations are open at the issuer {name} with its provider {provider}.");
    let description = "Cancel them or wait for their end before another provider takes the name.".to_owned();
    Error::new(Reason::IssuerInUse, format!("{message} {description}"))
        .with(Detail::Resource { kind: "issuer", name: name.to_string() })
        .with(Detail::Precondition { kind: "ISSUER_IDLE", subject: name.to_string(), description })
}

/// Whether a change says something that a provider reads.
fn concerns_the_provider(input: &domain::IssuerInput) -> bool {
    let domain::IssuerInput {
        provider,
        account_id,
        password,
        organization,
        enabled: _,
        options,
        secret_options,
        profiles,
    } = input;
    provider.is_some()
        || account_id.is_some()
        || password.is_some()
        || organization.is_some()
        || !options.is_empty()
        || !secret_options.is_empty()
        || !profiles.is_empty()
}

fn not_offered_here(issuer: &IssuerConfig) -> Error {
    let (name, provider) = (&issuer.name, &issuer.provider);
    let problem = format!(
        "The provider {provider} of the issuer {name} is not offered by this server, and only it can check the change. \
         Send the change to a server that offers it; here the issuer can be enabled, disabled, paused and deleted."
    );
    Error::field("provider", problem)
}

fn no_options(name: &str, provider: &str) -> Error {
    let name: String = name.chars().take(60).collect();
    Error::field(format!("options.{name}"), format!("{provider} has no options: leave it out."))
}

fn state_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::issuer_state(vault.as_str(), issuer.as_str())
}

fn secrets_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::issuer_secrets(vault.as_str(), issuer.as_str())
}
