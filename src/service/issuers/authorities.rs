//! Built-in authorities in the store: a record for each, kept after its issuer object is deleted.

use super::chain_way::ChainWay;
use crate::domain::authority::{Above, AuthorityRecord, AuthorityState, Lists};
use crate::domain::{
    Authority, Blob, Detail, Error, IssuerConfig, IssuerName, Operation, Reason, Result, Timestamp, VaultName,
};
use crate::keys::authority;
use crate::keys::chain::OrderedChain;
use crate::keys::issued::issuer_of;
use crate::keys::{SealContext, SealedKey, public_key_of};
use crate::service::access::{IssuerRef, Permit};
use crate::service::ca::{missing_publications, revoked_above};
use crate::service::context::Context;
use crate::service::records::{Key, Kind, Place, Prefix, Scan, Stored, concerns_a_record, key};
use crate::service::retry::retry;
use crate::store::{Batch, Put, Record};
use std::collections::HashSet;
use std::sync::Arc;

/// Records of one look.
const PAGE: usize = 500;

/// Makes, keeps and retires built-in authorities.
#[derive(Clone)]
pub struct Authorities {
    pub(super) context: Arc<Context>,
}

impl Authorities {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The record of an authority that was just made.
    pub(in crate::service) async fn new_authority(&self, vault: &VaultName, issuer: &IssuerConfig) -> Result<Vec<Put>> {
        let Some(made) = &issuer.authority else { return Ok(Vec::new()) };
        let place = place(vault, &made.chain).ok_or_else(Error::internal)?;
        let record = self.new_record(vault, &issuer.name, made.chain.clone(), &self.authorities(vault).await?);
        let mut puts = vec![self.context.records.put(&place, None, &record, None)?];
        puts.extend(self.publications(&record).await?);
        Ok(puts)
    }

    /// An authority that follows those of its issuer among `earlier`.
    pub(in crate::service) fn new_record(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        chain: Vec<Blob>,
        earlier: &[AuthorityRecord],
    ) -> AuthorityRecord {
        let generations = earlier.iter().filter(|record| record.issuer == *issuer).map(|record| record.generation);
        AuthorityRecord {
            vault: vault.clone(),
            issuer: issuer.clone(),
            chain,
            sealed_key: None,
            last_expiry: None,
            created: self.context.now(),
            generation: generations.max().map_or(1, |last| last.saturating_add(1)),
            retired: None,
            lists: Lists { shards: self.context.options.ca.crl_shards.get(), last_crl: 0 },
            above: Above::default(),
        }
    }

    /// The records that an authority publishes with and that are not there yet; none where nothing is published.
    pub(in crate::service) async fn publications(&self, record: &AuthorityRecord) -> Result<Vec<Put>> {
        let id = record.chain.first().and_then(|signer| authority::identifier(&signer.0));
        match id.filter(|_| self.context.options.ca.publishes()) {
            Some(id) => missing_publications(&self.context, record, &id, self.context.now()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether another vault has, or had, an authority of this key.
    pub(in crate::service) async fn is_elsewhere(&self, vault: &VaultName, chain: &[Blob]) -> Result<bool> {
        let Some(id) = chain.first().and_then(|signer| authority::identifier(&signer.0)) else { return Ok(false) };
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            let mut places = page.iter().filter_map(|record| Place::of(&record.key));
            if places.any(|place| place.vault != vault.as_str() && place.name == id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest authority that a deleted issuer of this name had, and the write that lets it sign again.
    ///
    /// # Errors
    /// Where there is none whose key is still there, and where a CA above it revoked it.
    pub(in crate::service) async fn attach(&self, vault: &VaultName, issuer: &IssuerName) -> Result<(Authority, Put)> {
        let mut retired = self.authorities(vault).await?;
        retired.retain(|record| retired_of(issuer, record));
        let newest = retired.into_iter().max_by_key(|record| (record.retired, record.generation));
        let place = newest.and_then(|record| place(vault, &record.chain));
        let found = match &place {
            Some(place) => self.context.load(place).await?,
            None => None,
        };
        let (record, mut value) = found.ok_or_else(|| nothing_to_attach(issuer))?;
        let sealed_key = value.sealed_key.take().ok_or_else(|| nothing_to_attach(issuer))?;
        if let Some(revoked) = revoked_above(&self.context, vault, &value.chain).await? {
            let problem = format!("{revoked}: use \"root\" or \"intermediate\", or the option parent, for a new CA.");
            return Err(Error::field("credentials.account_id", problem));
        }
        value.retired = None;
        let put = self.context.records.replace(&record, &value, None)?;
        let handed = value.handed();
        Ok((Authority { chain: value.chain, sealed_key, handed }, put))
    }

    /// Remembers how long a certificate lives that is about to be completed, where an authority of this server signed
    /// it. Written before the certificate: an expiry that was noted for nothing does no harm.
    pub(in crate::service) async fn note_expiry(&self, operation: &Operation, chain: &OrderedChain) -> Result<()> {
        let above = chain.rest.first().and_then(|der| authority::identifier(der));
        let Some(place) = above.map(|id| key::authority(&operation.vault, &id)) else { return Ok(()) };
        retry!({
            let found = self.context.load(&place).await?;
            let revision = found.as_ref().map(|(record, _)| record.revision);
            // One that signs is looked at when it was to be.
            let due = found.as_ref().and_then(|(record, _)| record.due);
            let record = match found {
                Some((_, record)) => Some(record),
                None => self.unrecorded_signer(operation, &place).await?,
            };
            let Some(mut record) = record else { return Ok(Some(())) };
            if !record.signed(chain.expires) && revision.is_some() {
                return Ok(Some(()));
            }
            let due = record.erasable_at().or(due);
            let puts = vec![self.context.records.put(&place, revision, &record, due)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| ()))
        })
    }

    /// As [`Authorities::note_expiry`], of something else that an authority signed.
    pub(in crate::service) async fn note_end(&self, vault: &VaultName, id: &str, end: Timestamp) -> Result<()> {
        let place = key::authority(vault, id);
        retry!({
            let Some((record, mut value)) = self.context.load(&place).await? else { return Ok(Some(())) };
            if !value.signed(end) {
                return Ok(Some(()));
            }
            let due = value.erasable_at().or(record.due);
            let puts = vec![self.context.records.replace(&record, &value, due)?];
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
    pub(super) fn unrecorded(
        &self,
        vault: &VaultName,
        issuer: &IssuerConfig,
        held: &Authority,
    ) -> Result<AuthorityRecord> {
        let signer = held.chain.first().ok_or_else(Error::internal)?;
        Ok(AuthorityRecord {
            vault: vault.clone(),
            issuer: issuer.name.clone(),
            chain: held.chain.clone(),
            sealed_key: None,
            last_expiry: Some(authority::Signer::read(&signer.0)?.not_after()),
            created: issuer.created,
            generation: 1,
            retired: None,
            lists: Lists::default(),
            above: Above::default(),
        })
    }

    /// The certificates of an issuer's authority, the root last. Of an issuer that is gone those of its newest one, as
    /// long as certificates depend on it.
    ///
    /// # Errors
    /// `IssuerNotFound` where there is none.
    pub async fn ca(&self, wanted: Permit<IssuerRef>) -> Result<Vec<Blob>> {
        self.chain(wanted, ChainWay::New).await
    }

    /// As [`Authorities::ca`], up another way.
    ///
    /// # Errors
    /// `IssuerNotFound` where there is none; `BadParameter` where no earlier root vouches for the one of now, and the way
    /// over it is asked for.
    pub async fn chain(&self, wanted: Permit<IssuerRef>, way: ChainWay) -> Result<Vec<Blob>> {
        let (vault, name) = &*wanted;
        let (chain, handed) = match self.context.load(&key::issuer(vault, name)).await? {
            Some((_, issuer)) => match issuer.ca() {
                Some(held) => (held.chain.clone(), held.handed.clone()),
                None => {
                    let message = format!(
                        "The issuer {name} has the provider {}, which has no CA on this server.",
                        issuer.provider
                    );
                    let detail = Detail::Resource { kind: "issuer", name: name.to_string() };
                    return Err(Error::new(Reason::IssuerNotFound, message).with(detail));
                }
            },
            None => {
                let mut records = self.authorities(vault).await?;
                records.retain(|record| retired_of(name, record));
                let newest = records.into_iter().max_by_key(|record| record.retired);
                let newest = newest.ok_or_else(|| not_found(name))?;
                let handed = newest.handed();
                (newest.chain, handed)
            }
        };
        if way == ChainWay::New {
            return Ok(chain);
        }
        let Some(cross) = handed.last().cloned() else {
            return Err(Error::field(
                "chain",
                format!("No earlier root vouches for the CA of the issuer {name}: use new."),
            ));
        };
        if way == ChainWay::Cross {
            return Ok(handed);
        }
        let roots = self.authorities(vault).await?.into_iter().filter_map(|record| record.chain.last().cloned());
        let old = roots.into_iter().find(|root| signs(root, &cross)).ok_or_else(Error::internal)?;
        Ok(handed.into_iter().chain([old]).collect())
    }

    /// Writes the record of the authority of an issuer object that a version without records made; nothing where it has
    /// one, or no authority.
    pub(in crate::service) async fn record_authority(&self, vault: &VaultName, issuer: &Record) -> Result<()> {
        let Ok(issuer) = self.context.records.read::<IssuerConfig>(issuer) else { return Ok(()) };
        let Some(held) = &issuer.authority else { return Ok(()) };
        let place = place(vault, &held.chain).ok_or_else(Error::internal)?;
        if self.context.has(&place).await? {
            return Ok(());
        }
        let puts = vec![self.context.records.put(&place, None, &self.unrecorded(vault, &issuer, held)?, None)?];
        // Whoever was faster wrote it.
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
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

    /// The key of an authority, sealed, wherever it is: with its issuer object while it signs, else in its record; none
    /// where it was erased.
    pub(in crate::service) async fn key_of(&self, authority: &AuthorityRecord) -> Result<Option<SealedKey>> {
        let sealed = match &authority.sealed_key {
            Some(sealed) => Some(sealed.clone()),
            None => {
                let issuer = self.context.load(&key::issuer(&authority.vault, &authority.issuer)).await?;
                let held = issuer.and_then(|(_, issuer)| issuer.authority);
                held.filter(|held| held.chain.first() == authority.chain.first()).map(|held| held.sealed_key)
            }
        };
        let public_key = authority.chain.first().and_then(|der| public_key_of(&der.0)).unwrap_or_default();
        let context = SealContext::authority_key(authority.vault.as_str(), authority.issuer.as_str());
        Ok(sealed.map(|sealed| SealedKey { sealed, context, public_key }))
    }

    /// Whether an authority of an issuer is requested or next.
    pub(in crate::service) async fn is_waiting(&self, vault: &VaultName, issuer: &IssuerName) -> Result<bool> {
        Ok(self.authorities(vault).await?.iter().any(|record| record.issuer == *issuer && record.waits()))
    }

    /// Every authority that a vault has or had; those of issuers of versions without records as if they had one.
    pub(in crate::service) async fn all_of(&self, vault: &VaultName) -> Result<Vec<AuthorityRecord>> {
        match self.readable_of(vault).await? {
            Readable { records, damaged: None } => Ok(records),
            Readable { damaged: Some(error), .. } => Err(error),
        }
    }

    /// As [`Authorities::all_of`], of those whose records can be read: a damaged one stands in no other one's way.
    pub(in crate::service) async fn readable_of(&self, vault: &VaultName) -> Result<Readable> {
        let mut damaged = None;
        let mut records = self.readable(&key::authorities_of(vault), &mut damaged).await?;
        for issuer in self.readable(&key::issuers_of(vault), &mut damaged).await? {
            let Some(held) = issuer.ca() else { continue };
            if !records.iter().any(|record: &AuthorityRecord| record.chain.first() == held.chain.first()) {
                records.push(self.unrecorded(vault, &issuer, held)?);
            }
        }
        Ok(Readable { records, damaged })
    }

    /// As [`Authorities::readable_of`], of those that have a record: without a look at every issuer object.
    pub(in crate::service) async fn recorded_of(&self, vault: &VaultName) -> Result<Vec<AuthorityRecord>> {
        self.readable(&key::authorities_of(vault), &mut None).await
    }

    async fn authorities(&self, vault: &VaultName) -> Result<Vec<AuthorityRecord>> {
        self.all(&key::authorities_of(vault)).await
    }

    async fn all<T: Stored>(&self, prefix: &Prefix<T>) -> Result<Vec<T>> {
        let mut damaged = None;
        let all = self.readable(prefix, &mut damaged).await?;
        damaged.map_or(Ok(all), Err)
    }

    /// All that can be read, and what is said of the first that cannot.
    async fn readable<T: Stored>(&self, prefix: &Prefix<T>, damaged: &mut Option<Error>) -> Result<Vec<T>> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, PAGE).await?;
            let full = page.len() == PAGE;
            for record in page {
                match self.context.records.read(&record) {
                    Ok(value) => all.push(value),
                    Err(error) if concerns_a_record(&error) => {
                        damaged.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
                after = record.key;
            }
            if !full {
                return Ok(all);
            }
        }
    }
}

/// The authorities of a vault that can be read.
pub(in crate::service) struct Readable {
    pub(in crate::service) records: Vec<AuthorityRecord>,
    /// Names the first record that cannot be read.
    pub(in crate::service) damaged: Option<Error>,
}

/// Whether a certificate names the key of this root as the one that signed it.
pub(in crate::service) fn signs(root: &Blob, certificate: &Blob) -> bool {
    let named = issuer_of(&certificate.0).and_then(|(key_id, _)| key_id);
    named.is_some_and(|named| authority::Signer::read(&root.0).is_ok_and(|signer| signer.key_id() == named))
}

pub(in crate::service) fn place(vault: &VaultName, chain: &[Blob]) -> Option<Key<AuthorityRecord>> {
    let id = chain.first().and_then(|Blob(der)| authority::identifier(der))?;
    Some(key::authority(vault, &id))
}

/// Whether an authority signed for the issuer, and its key is still there.
fn retired_of(issuer: &IssuerName, record: &AuthorityRecord) -> bool {
    record.issuer == *issuer && record.state() == AuthorityState::Retired && record.was_activated()
}

fn nothing_to_attach(issuer: &IssuerName) -> Error {
    Error::field(
        "credentials.account_id",
        format!(
            "There is no CA of a deleted issuer {issuer} whose key is still there: use \"root\" or \"intermediate\" for a new one."
        ),
    )
}

pub(super) fn not_found(name: &IssuerName) -> Error {
    Error::new(Reason::IssuerNotFound, "Issuer not found")
        .with(Detail::Resource { kind: "issuer", name: name.to_string() })
}
