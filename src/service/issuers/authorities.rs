//! Built-in authorities in the store: a record for each, kept after its issuer object is deleted.

use crate::domain::authority::AuthorityRecord;
use crate::domain::{Authority, Blob, Detail, Error, IssuerConfig, IssuerName, Operation, Reason, Result, VaultName};
use crate::keys::authority;
use crate::keys::chain::OrderedChain;
use crate::service::access::{IssuerRef, Permit};
use crate::service::context::Context;
use crate::service::records::{Key, Prefix, Stored, key};
use crate::service::retry::retry;
use crate::store::{Batch, Put};
use std::collections::HashSet;
use std::sync::Arc;

/// Records of one look.
const PAGE: usize = 500;

/// Makes, keeps and retires built-in authorities.
#[derive(Clone)]
pub struct Authorities {
    context: Arc<Context>,
}

impl Authorities {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The record of an authority that was just made.
    pub(in crate::service) fn new_authority(&self, vault: &VaultName, issuer: &IssuerConfig) -> Result<Option<Put>> {
        let Some(made) = &issuer.authority else { return Ok(None) };
        let place = place(vault, &made.chain).ok_or_else(Error::internal)?;
        let record = AuthorityRecord {
            vault: vault.clone(),
            issuer: issuer.name.clone(),
            chain: made.chain.clone(),
            sealed_key: None,
            last_expiry: None,
            created: self.context.now(),
            retired: None,
        };
        self.context.records.put(&place, None, &record, None).map(Some)
    }

    /// The write that keeps the authority of an issuer that is deleted, for as long as certificates depend on it.
    pub(in crate::service) async fn retire_authority(
        &self,
        vault: &VaultName,
        issuer: &IssuerConfig,
    ) -> Result<Option<Put>> {
        let Some(held) = &issuer.authority else { return Ok(None) };
        let place = place(vault, &held.chain).ok_or_else(Error::internal)?;
        let found = self.context.load(&place).await?;
        let revision = found.as_ref().map(|(record, _)| record.revision);
        let mut record = match found {
            Some((_, record)) => record,
            None => self.unrecorded(vault, issuer, held)?,
        };
        record.retired = Some(self.context.now());
        record.sealed_key = Some(held.sealed_key.clone());
        let due = record.erasable_at();
        self.context.records.put(&place, revision, &record, due).map(Some)
    }

    /// Remembers how long a certificate lives that is about to be completed, where an authority of this server signed
    /// it. Written before the certificate: an expiry that was noted for nothing does no harm.
    pub(in crate::service) async fn note_expiry(&self, operation: &Operation, chain: &OrderedChain) -> Result<()> {
        let above = chain.rest.first().and_then(|der| authority::identifier(der));
        let Some(place) = above.map(|id| key::authority(&operation.vault, &id)) else { return Ok(()) };
        retry!({
            let found = self.context.load(&place).await?;
            let revision = found.as_ref().map(|(record, _)| record.revision);
            let record = match found {
                Some((_, record)) => Some(record),
                None => self.unrecorded_signer(operation, &place).await?,
            };
            let Some(mut record) = record else { return Ok(Some(())) };
            if !record.signed(chain.expires) && revision.is_some() {
                return Ok(Some(()));
            }
            let puts = vec![self.context.records.put(&place, revision, &record, record.erasable_at())?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| ()))
        })
    }

    /// The authority of the operation's issuer, made by a version that kept no record of it, if it is the one of
    /// `wanted`.
    async fn unrecorded_signer(
        &self,
        operation: &Operation,
        wanted: &Key<AuthorityRecord>,
    ) -> Result<Option<AuthorityRecord>> {
        let Ok(name) = IssuerName::parse(&operation.issuer.name) else { return Ok(None) };
        let found = self.context.load(&key::issuer(&operation.vault, &name)).await?;
        let Some((_, issuer)) = found else { return Ok(None) };
        match &issuer.authority {
            Some(held)
                if place(&operation.vault, &held.chain).is_some_and(|place| place.as_str() == wanted.as_str()) =>
            {
                self.unrecorded(&operation.vault, &issuer, held).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What an authority signed before there were records is not known: any of it may live as long as the authority.
    fn unrecorded(&self, vault: &VaultName, issuer: &IssuerConfig, held: &Authority) -> Result<AuthorityRecord> {
        let signer = held.chain.first().ok_or_else(Error::internal)?;
        Ok(AuthorityRecord {
            vault: vault.clone(),
            issuer: issuer.name.clone(),
            chain: held.chain.clone(),
            sealed_key: None,
            last_expiry: Some(authority::Signer::read(&signer.0)?.not_after()),
            created: issuer.created,
            retired: None,
        })
    }

    /// The certificates of an issuer's authority, the root last. Of an issuer that is gone those of its newest one, as
    /// long as certificates depend on it.
    ///
    /// # Errors
    /// `IssuerNotFound` where there is none.
    pub async fn ca(&self, wanted: Permit<IssuerRef>) -> Result<Vec<Blob>> {
        let (vault, name) = &*wanted;
        match self.context.load(&key::issuer(vault, name)).await? {
            Some((_, issuer)) => issuer.ca().map(|held| held.chain.clone()).ok_or_else(|| {
                let message =
                    format!("The issuer {name} has the provider {}, which has no CA on this server.", issuer.provider);
                let detail = Detail::Resource { kind: "issuer", name: name.to_string() };
                Error::new(Reason::IssuerNotFound, message).with(detail)
            }),
            None => {
                let mut records = self.authorities(vault).await?;
                records.retain(|record| record.issuer == *name && record.sealed_key.is_some());
                let newest = records.into_iter().max_by_key(|record| record.retired);
                newest.map(|record| record.chain).ok_or_else(|| not_found(name))
            }
        }
    }

    /// The common names of all authorities that a vault has or had, in the form in which they compare.
    pub(in crate::service) async fn authority_names(&self, vault: &VaultName) -> Result<HashSet<String>> {
        let mut chains: Vec<Vec<Blob>> =
            self.authorities(vault).await?.into_iter().map(|record| record.chain).collect();
        // Those of older versions have no record.
        let issuers = self.all(&key::issuers_of(vault)).await?;
        chains.extend(issuers.into_iter().filter_map(|issuer| issuer.authority.map(|held| held.chain)));
        let names = chains.iter().flatten().map(|Blob(der)| authority::common_name_of(der));
        names.map(|name| name.map(|name| authority::comparable_name(&name))).collect()
    }

    async fn authorities(&self, vault: &VaultName) -> Result<Vec<AuthorityRecord>> {
        self.all(&key::authorities_of(vault)).await
    }

    async fn all<T: Stored>(&self, prefix: &Prefix<T>) -> Result<Vec<T>> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, PAGE).await?;
            let full = page.len() == PAGE;
            for record in page {
                all.push(self.context.records.read(&record)?);
                after = record.key;
            }
            if !full {
                return Ok(all);
            }
        }
    }
}

fn place(vault: &VaultName, chain: &[Blob]) -> Option<Key<AuthorityRecord>> {
    let id = chain.first().and_then(|Blob(der)| authority::identifier(der))?;
    Some(key::authority(vault, &id))
}

pub(super) fn not_found(name: &IssuerName) -> Error {
    Error::new(Reason::IssuerNotFound, "Issuer not found")
        .with(Detail::Resource { kind: "issuer", name: name.to_string() })
}
