//! The state of providers for issuer objects: created when the object is set, changed by steps, removed with it. The
//! state is opaque here and sealed in the store, so that nobody who reads the database finds an account key.

use super::Service;
use super::records::{IssuerStateRecord, key};
use crate::domain::{self, Blob, Error, IssuerConfig, IssuerName, Result, VaultName};
use crate::issuer::provider::{IssuerInput, State};
use crate::keys::SealContext;
use crate::store::{Batch, Delete, Put, Record};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// Secret options in the clear, by name.
pub(super) type Secrets = BTreeMap<String, Zeroizing<String>>;

/// A provider that is not ready after so many changes of its state is left to the first order.
const ACTIVATION_STEPS: usize = 8;
/// How long setting an issuer waits for the CA: the first order does the same.
const ACTIVATION_TIME: Duration = Duration::from_secs(20);

/// The state of an issuer object, opened, as it was read.
pub(super) struct Held {
    record: Record,
    value: IssuerStateRecord,
    pub(super) state: State,
}

impl Service {
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

    /// What is written beside an issuer object: the state that its provider makes of the options, or the removal of
    /// an earlier provider's. `held` is what is there; it counts as the object's own only where there was an object.
    ///
    /// # Errors
    /// The option, and what is wrong with it.
    pub(super) async fn configure(
        &self,
        vault: &VaultName,
        before: Option<&IssuerConfig>,
        issuer: &IssuerConfig,
        secrets: Secrets,
        password: Option<Zeroizing<String>>,
    ) -> Result<Batch> {
        let mut batch = Batch::default();
        let place = key::issuer_state(vault, &issuer.name);
        let Some(provider) = self.issuers.provider(&issuer.provider) else {
            let given = issuer.options.keys().chain(secrets.keys()).next();
            if let Some(name) = given {
                return Err(no_options(name, &issuer.provider));
            }
            let stale = self.store.get(place.as_str()).await?;
            batch.deletes.extend(stale.map(|record| Delete { key: record.key, expected: record.revision }));
            return Ok(batch);
        };
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

    async fn activation(&self, vault: &VaultName, issuer: &IssuerConfig) -> Result<(), String> {
        let Some(provider) = self.issuers.provider(&issuer.provider) else { return Ok(()) };
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
        " A LocalCA is configured by credentials.account_id and org_details.id."
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
