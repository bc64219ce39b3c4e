//! How the authorities of an issuer follow one another: what is written when one is there, begins to sign, or takes the
//! place of another.

use super::first::no_list;
use super::log::IssuedLog;
use super::view::{AuthorityView, GATHERED};
use crate::domain::authority::{Above, AuthorityRecord, Lists, Stage};
use crate::domain::issuer::{Authority, LOCAL_CA, Organization, is_local_ca};
use crate::domain::subject::{self, DistinguishedName};
use crate::domain::{Blob, Credentials, Error, IssuerConfig, IssuerName, Result, Revocation, Timestamp, VaultName};
use crate::keys::authority::{self, Plan};
use crate::keys::{SealContext, crl};
use crate::service::context::Context;
use crate::service::issuers::{Authorities, has_a_next, is_reserved, place, signs};
use crate::service::records::{RevokedRecord, key};
use crate::service::retry::contended;
use crate::store::{Batch, Record, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is said where clients of the CA that signs do not believe the next one.
const CANNOT_VOUCH: &str =
    "The CA that signs cannot vouch for the next one: clients have to trust the next root before it is activated.";
const WOULD_VOUCH_FOR_OTHERS: &str =
    "It would vouch for every other CA below that root, of which its clients never heard.";

/// Writes the authorities of issuers.
#[derive(Clone)]
pub(in crate::service) struct Generations {
    pub(super) context: Arc<Context>,
    pub(super) authorities: Authorities,
    pub(super) log: IssuedLog,
}

/// An issuer object as it was read, or is to be: what is made for the issuer is committed with it, so that of two calls, or
/// replicas, that make a next authority at once one is refused.
#[derive(Debug, Default)]
pub(in crate::service) struct IssuerObject {
    /// Of the record, if there is one.
    pub(in crate::service) revision: Option<Revision>,
    /// `None`: it is made without anything but its CA.
    pub(in crate::service) config: Option<IssuerConfig>,
    /// What is written with it.
    pub(in crate::service) beside: Batch,
}

impl IssuerObject {
    fn found(found: Option<(Record, IssuerConfig)>) -> Self {
        match found {
            Some((record, config)) => {
                Self { revision: Some(record.revision), config: Some(config), beside: Batch::default() }
            }
            None => Self::default(),
        }
    }

    fn ca(&self) -> Option<&Authority> {
        self.config.as_ref().and_then(IssuerConfig::ca)
    }

    /// Whether its CA is no root: one in its place would cut clients off that trust the root above it.
    pub(super) fn is_below_another(&self) -> bool {
        self.ca().is_some_and(|active| active.chain.len() > 1)
    }
}

/// An authority that is there.
pub(super) struct Brought {
    pub(super) made: Authority,
    /// What another program published for it, where it was that program's.
    pub(super) earlier: Option<crl::Read>,
    /// By which an earlier root vouches for its root.
    pub(super) cross: Option<Blob>,
    /// Its root is of this CA alone: whoever vouches for it vouches for nobody else.
    pub(super) has_own_root: bool,
    /// A CA that is not of this server signed its certificate.
    pub(super) external: bool,
}

impl Brought {
    /// One that was made here.
    pub(super) fn made(made: Authority) -> Self {
        Self { made, earlier: None, cross: None, has_own_root: true, external: false }
    }
}

impl Generations {
    pub(in crate::service) fn new(context: Arc<Context>, authorities: Authorities) -> Self {
        Self { log: IssuedLog::new(context.clone()), context, authorities }
    }

    /// An authority that is there with its certificates: with the certificate by which the one that signs vouches for
    /// it, if that one can.
    pub(super) async fn bring(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        brought: Brought,
        object: IssuerObject,
    ) -> Result<(AuthorityView, Vec<String>)> {
        let Brought { made, earlier, cross, has_own_root, external } = brought;
        let mut record = self.new_record(vault, issuer, made.chain).await?;
        record.sealed_key = Some(made.sealed_key);
        record.above = Above { stage: Some(Stage::Next), csr: None, cross, external };
        if let Some(crl::Read { number, revoked }) = earlier {
            // What it signed names one list, or none, and any of it may live as long as the authority.
            record.lists = Lists { shards: 1, last_crl: number };
            let signer = record.chain.first().ok_or_else(Error::internal)?;
            record.last_expiry = Some(authority::Signer::read(&signer.0)?.not_after());
            // Before the authority: a list without them would make them valid again, and a repeat after a crash finds
            // those that are there.
            self.take_over(&AuthorityView::of(record.clone())?, revoked).await?;
        }
        let mut warnings = Vec::new();
        if let (Some(config), Some(active)) = (&object.config, object.ca())
            && let Some(root) = active.chain.last()
            && record.chain.last() != Some(root)
            && !record.above.cross.as_ref().is_some_and(|cross| signs(root, cross))
        {
            // The root of another issuer, or of another program, has other CAs below it: clients of this one never heard
            // of them.
            let made = if has_own_root { self.cross(config, active, &record).await? } else { None };
            match made {
                Some(cross) => record.above.cross = Some(cross),
                None if has_own_root => warnings.push(CANNOT_VOUCH.to_owned()),
                None => warnings.push(format!("{CANNOT_VOUCH} {WOULD_VOUCH_FOR_OTHERS}")),
            }
        }
        let signs_at_once = object.config.as_ref().is_none_or(|config| config.authority.is_none());
        let done = match signs_at_once {
            true => self.settle(None, record, object).await?,
            false => {
                let place = place(vault, &record.chain).ok_or_else(Error::internal)?;
                let mut batch = self.with_object(vault, issuer, object)?;
                batch.puts.push(self.context.records.put(&place, None, &record, None)?);
                batch.puts.extend(self.authorities.publications(&record).await?);
                self.commit_new(batch).await?;
                Some(AuthorityView::of(record)?)
            }
        };
        Ok((done.ok_or_else(contended)?, warnings))
    }

    /// The authority signs from now on, in the place of the one that the object has, if it has one. `None` where somebody
    /// else was faster.
    pub(super) async fn settle(
        &self,
        there: Option<&Record>,
        mut authority: AuthorityRecord,
        object: IssuerObject,
    ) -> Result<Option<AuthorityView>> {
        let (vault, name) = (authority.vault.clone(), authority.issuer.clone());
        if let Some(config) = &object.config {
            // The name may have gone to another CA while this authority waited.
            has_a_ca(config)?;
        }
        let IssuerObject { revision, config, beside: mut batch } = object;
        let before = config.as_ref().filter(|config| config.authority.is_some());
        if let Some(before) = before {
            batch.puts.extend(self.authorities.retire_authority(&vault, before).await?);
        }
        let (now, has_one) = (self.context.now(), before.is_some());
        let mut config = config.unwrap_or_else(|| new_issuer(&name, now));
        let sealed_key = authority.sealed_key.take().ok_or_else(Error::internal)?;
        authority.above.stage = None;
        config.authority = Some(Authority { chain: authority.chain.clone(), sealed_key, handed: authority.handed() });
        if has_one {
            // What was said of the one before is not true of it; its profiles are those of the issuer.
            config.options.retain(|name, _| is_reserved(name));
            config.organization = config.organization.map(|it| Organization { id: None, ..it });
        }
        config.credentials.account_id =
            Some(if authority.chain.len() > 1 { "intermediate" } else { "root" }.to_owned());
        config.updated = now;
        batch.puts.push(self.context.records.put(&key::issuer(&vault, &name), revision, &config, None)?);
        let place = place(&vault, &authority.chain).ok_or_else(Error::internal)?;
        batch.puts.push(self.context.records.put(&place, there.map(|record| record.revision), &authority, None)?);
        batch.puts.extend(self.authorities.publications(&authority).await?);
        let view = AuthorityView::of(authority)?;
        Ok(self.context.try_commit(batch).await?.map(|_| view))
    }

    /// The authority has its certificate, and signs when it is activated. `None` where somebody else was faster.
    pub(super) async fn stays_next(
        &self,
        there: &Record,
        authority: AuthorityRecord,
        object: IssuerObject,
    ) -> Result<Option<AuthorityView>> {
        if let Some(config) = &object.config {
            has_a_ca(config)?;
        }
        // Under the key of its request, which is that of its certificate.
        let mut puts = vec![self.context.records.replace(there, &authority, None)?];
        puts.extend(self.authorities.publications(&authority).await?);
        let view = AuthorityView::of(authority)?;
        Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| view))
    }

    /// The issuer object, to be committed with what is made for it.
    ///
    /// # Errors
    /// `IssuerInUse` while an authority is requested or next.
    pub(super) async fn refuse_second(&self, vault: &VaultName, issuer: &IssuerName) -> Result<IssuerObject> {
        // Before the search for another one: whoever makes one afterwards meets another revision.
        let found = self.object(vault, issuer).await?;
        if let Some(config) = &found.config {
            has_a_ca(config)?;
        }
        if self.authorities.is_waiting(vault, issuer).await? { Err(has_a_next(issuer)) } else { Ok(found) }
    }

    pub(super) async fn free_subject(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        subject: Option<&DistinguishedName>,
    ) -> Result<DistinguishedName> {
        let subject = match subject {
            Some(subject) => subject.clone(),
            None => Plan::new(&authority::common_name(vault, issuer, None)?).subject,
        };
        let name = subject::common_name(&subject.to_string())?
            .filter(|name| !name.trim().is_empty() && name.chars().count() <= authority::MAX_COMMON_NAME)
            .ok_or_else(|| {
                Error::field("subject", "It needs a common name of at most 64 characters, such as CN=Example Root.")
            })?;
        let taken = self.authorities.authority_names(vault).await?;
        let is_taken = |name: &String| taken.contains(&authority::comparable_name(name));
        let free = |name: &String| !authority::names(name).iter().any(is_taken);
        let name = authority::name_and_next(&name).find(free).unwrap_or_else(|| name.clone());
        Ok(authority::renamed(&subject, &name))
    }

    pub(super) async fn new_record(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        chain: Vec<Blob>,
    ) -> Result<AuthorityRecord> {
        let earlier = self.authorities.all_of(vault).await?;
        Ok(self.authorities.new_record(vault, issuer, chain, &earlier))
    }

    /// The write of an issuer object as it is; of one without a CA where there is none.
    pub(super) fn with_object(&self, vault: &VaultName, issuer: &IssuerName, object: IssuerObject) -> Result<Batch> {
        let IssuerObject { revision, config, beside: mut batch } = object;
        let config = config.unwrap_or_else(|| new_issuer(issuer, self.context.now()));
        batch.puts.push(self.context.records.put(&key::issuer(vault, issuer), revision, &config, None)?);
        Ok(batch)
    }

    /// The issuer object as it is now.
    pub(super) async fn object(&self, vault: &VaultName, issuer: &IssuerName) -> Result<IssuerObject> {
        self.context.load(&key::issuer(vault, issuer)).await.map(IssuerObject::found)
    }

    /// Takes the log and the lists of a CA that another program had for this vault. Whoever does that writes the record of
    /// its list, so that of two vaults that do it at once one is refused.
    ///
    /// # Errors
    /// `BadParameter` where another vault has or had it.
    pub(super) async fn claim(&self, vault: &VaultName, chain: &[Blob], number: u64) -> Result<()> {
        let id = chain.first().and_then(|signer| authority::identifier(&signer.0)).ok_or_else(Error::internal)?;
        let place = key::crl(&id, 0);
        let there = self.context.load(&place).await?;
        let is_others = there.as_ref().is_some_and(|(_, list)| list.vault != *vault);
        if is_others || self.authorities.is_elsewhere(vault, chain).await? {
            return Err(Error::field(
                "value",
                "Its key is that of an authority of another vault: one CA has one log and one series of revocation lists.",
            ));
        }
        // An attempt that was cut off may have known an earlier list only.
        if there.as_ref().is_none_or(|(_, list)| list.der.0.is_empty() && list.number < number) {
            let list = no_list(vault, &id, number, self.context.now());
            let expected = there.map(|(record, _)| record.revision);
            let puts = vec![self.context.records.put(&place, expected, &list, None)?];
            self.commit_new(Batch { puts, ..Batch::default() }).await?;
        }
        Ok(())
    }

    /// The entries of the last list of a CA that was taken over: they stay revoked.
    async fn take_over(&self, authority: &AuthorityView, revoked: Vec<crl::ReadEntry>) -> Result<()> {
        for entries in revoked.chunks(200) {
            let mut puts = Vec::new();
            for entry in entries {
                let shard = authority.record.shard_of(&entry.serial);
                let place = key::revoked(&authority.id, shard, &entry.serial);
                if self.context.has(&place).await? {
                    continue;
                }
                let record = RevokedRecord {
                    vault: authority.record.vault.clone(),
                    authority: authority.id.clone(),
                    shard,
                    serial: entry.serial.clone(),
                    revocation: Revocation {
                        time: entry.time,
                        reason: entry.reason,
                        invalidity_time: entry.invalidity_time,
                        by: String::new(),
                        crl: None,
                    },
                    // When its certificate ends is not known: no later than that of the CA.
                    not_after: authority.validity.map_or(entry.time, |(_, end)| end),
                };
                puts.push(self.context.records.put(&place, None, &record, Some(self.context.now().plus(GATHERED)))?);
            }
            self.commit_new(Batch { puts, ..Batch::default() }).await?;
        }
        Ok(())
    }

    pub(super) async fn commit_new(&self, batch: Batch) -> Result<()> {
        let committed = self.context.try_commit(batch).await?;
        committed.map(|_| ()).ok_or_else(contended)
    }
}

pub(super) fn seal_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::authority_key(vault.as_str(), issuer.as_str())
}

/// Whether the CA of an issuer is on this server.
fn has_a_ca(IssuerConfig { name, provider, .. }: &IssuerConfig) -> Result<()> {
    if is_local_ca(provider) {
        return Ok(());
    }
    let message = format!("The issuer {name} has the provider {provider}, and no CA on this server.");
    Err(Error::field("issuer_name", message))
}

fn new_issuer(name: &IssuerName, now: Timestamp) -> IssuerConfig {
    IssuerConfig {
        name: name.clone(),
        provider: LOCAL_CA.to_owned(),
        credentials: Credentials::default(),
        organization: None,
        enabled: true,
        created: now,
        updated: now,
        authority: None,
        options: BTreeMap::new(),
        paused: None,
    }
}
