//! How the authorities of an issuer follow one another: what is written when one is there, begins to sign, or takes the
//! place of another.

use super::first::missing;
use super::log::{IssuedLog, random_serial};
use super::view::{AuthorityView, GATHERED};
use crate::domain::authority::{Above, AuthorityRecord, Lists, Stage};
use crate::domain::issued::{Door, IssuedFor, IssuedRecord, IssuedState};
use crate::domain::issuer::{Authority, LOCAL_CA, Organization, is_local_ca};
use crate::domain::subject::{self, DistinguishedName};
use crate::domain::{
    Blob, Credentials, Detail, Error, IssuerConfig, IssuerName, Reason, Result, Revocation, Timestamp, VaultName,
};
use crate::keys::authority::{self, Plan};
use crate::keys::certificate::signed;
use crate::keys::hierarchy::{can_cross_sign, cross_certificate};
use crate::keys::issued::content_of;
use crate::keys::{Caller, SealContext, SealedKey, Work, crl, open_key, public_key_of};
use crate::service::context::Context;
use crate::service::issuers::{Authorities, is_reserved, place};
use crate::service::records::{RevokedRecord, key};
use crate::service::retry::contended;
use crate::store::{Batch, Put, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes the authorities of issuers.
#[derive(Clone)]
pub(super) struct Generations {
    context: Arc<Context>,
    authorities: Authorities,
    log: IssuedLog,
}

impl Generations {
    pub(super) fn new(context: Arc<Context>, authorities: Authorities, log: IssuedLog) -> Self {
        Self { context, authorities, log }
    }

    /// An authority that is there with its certificates: with the certificate by which the one that signs vouches for
    /// it, if that one can. `earlier` is what another program published for it, where it was that program's.
    pub(super) async fn bring(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        made: Authority,
        earlier: Option<crl::Read>,
    ) -> Result<(AuthorityView, Vec<String>)> {
        let mut record = self.new_record(vault, issuer, made.chain).await?;
        record.sealed_key = Some(made.sealed_key);
        record.above.stage = Some(Stage::Next);
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
        let old = self.context.load(&key::issuer(vault, issuer)).await?;
        if let Some((_, config)) = &old
            && let Some(active) = config.ca()
        {
            match self.cross(config, active, &record).await? {
                Some(cross) => record.above.cross = Some(cross),
                None => warnings.push(
                    "The CA that signs cannot vouch for the next one: clients have to trust the next root before it is activated."
                        .to_owned(),
                ),
            }
        }
        let signs_at_once = old.as_ref().is_none_or(|(_, config)| config.authority.is_none());
        let done = match signs_at_once {
            true => self.settle(None, record, old).await?,
            false => {
                let place = place(vault, &record.chain).ok_or_else(Error::internal)?;
                let mut puts = vec![self.context.records.put(&place, None, &record, None)?];
                puts.extend(self.publications(&record).await?);
                self.commit_new(puts).await?;
                Some(AuthorityView::of(record)?)
            }
        };
        Ok((done.ok_or_else(contended)?, warnings))
    }

    /// The certificate by which the root that signs vouches for the root of the next authority: in the log before it is
    /// signed, as any other.
    async fn cross(&self, issuer: &IssuerConfig, active: &Authority, next: &AuthorityRecord) -> Result<Option<Blob>> {
        let ([old_root], Some(new_root)) = (&active.chain[..], next.chain.last()) else { return Ok(None) };
        if !can_cross_sign(&old_root.0, next.chain.len() - 1) || next.chain.len() > 2 {
            return Ok(None);
        }
        let serial = random_serial();
        let number = <[u8; 16]>::try_from(serial.bytes()).map_err(|_| Error::internal())?;
        let now = self.context.now();
        let made = cross_certificate(&old_root.0, &new_root.0, number, now)?;
        let id = authority::identifier(&old_root.0).ok_or_else(Error::internal)?;
        let mut issued = IssuedRecord {
            authority: id.clone(),
            serial: serial.clone(),
            state: IssuedState::Intended,
            content: content_of(&new_root.0).ok_or_else(Error::internal)?,
            tbs: Some(Blob(made.tbs.clone())),
            cer: None,
            asked: IssuedFor {
                vault: next.vault.clone(),
                issuer: issuer.name.clone(),
                certificate: None,
                version: None,
                request_id: None,
                principal: String::new(),
                door: Door::Authority,
                profile: String::new(),
            },
            created: now,
            revocation: None,
        };
        (issued.content.not_before, issued.content.not_after) = (made.not_before, made.not_after);
        let mut batch = Batch::default();
        self.log.store(&mut batch, &issued)?;
        self.commit_new(batch.puts).await?;
        let sealed = SealedKey {
            sealed: active.sealed_key.clone(),
            context: seal_context(&next.vault, &issuer.name),
            public_key: public_key_of(&old_root.0).unwrap_or_default(),
        };
        let (sealer, key_type) =
            (self.context.keys.sealer().clone(), authority::Signer::read(&old_root.0)?.key_type()?);
        let sign = move || signed(&made.tbs, &open_key(&sealer, &sealed)?);
        let cer = self.context.keys.run(&Caller::server(), Work::Use(key_type), sign).await?;
        let found = self.context.load(&key::issued(&id, &serial)).await?;
        let (there, _) = found.ok_or_else(Error::internal)?;
        issued.state = IssuedState::Issued;
        (issued.tbs, issued.cer) = (None, Some(Blob(cer.clone())));
        self.commit_new(vec![self.context.records.replace(&there, &issued, self.log.due(&issued))?]).await?;
        self.authorities.note_end(&next.vault, &id, issued.content.not_after).await?;
        Ok(Some(Blob(cer)))
    }

    /// The authority signs from now on, if the issuer has no other or `old` says which one it takes the place of; else it
    /// stays next. `None` where somebody else was faster.
    pub(super) async fn settle(
        &self,
        there: Option<&Record>,
        mut authority: AuthorityRecord,
        old: Option<(Record, IssuerConfig)>,
    ) -> Result<Option<AuthorityView>> {
        let (vault, name) = (authority.vault.clone(), authority.issuer.clone());
        let replaces = old.is_some();
        let object = match old {
            Some(found) => Some(found),
            None => self.context.load(&key::issuer(&vault, &name)).await?,
        };
        if let Some((_, config)) = &object {
            // The name may have gone to another CA while this authority waited.
            has_a_ca(config)?;
        }
        let mut batch = Batch::default();
        let present = object.as_ref().and_then(|(_, config)| config.authority.clone());
        if present.is_none() || replaces {
            let now = self.context.now();
            let mut config = match &object {
                Some((_, config)) => config.clone(),
                None => new_issuer(&name, now),
            };
            if let Some((_, before)) = object.as_ref().filter(|_| present.is_some()) {
                batch.puts.extend(self.authorities.retire_authority(&vault, before).await?);
            }
            let sealed_key = authority.sealed_key.take().ok_or_else(Error::internal)?;
            authority.above.stage = None;
            let handed = if authority.above.cross.is_some() { authority.handed() } else { Vec::new() };
            config.authority = Some(Authority { chain: authority.chain.clone(), sealed_key, handed });
            // What was said of the one before is not true of it; its profiles are those of the issuer.
            config.options.retain(|name, _| is_reserved(name));
            config.organization = config.organization.map(|it| Organization { id: None, ..it });
            config.credentials.account_id =
                Some(if authority.chain.len() > 1 { "intermediate" } else { "root" }.to_owned());
            config.updated = now;
            let expected = object.as_ref().map(|(record, _)| record.revision);
            batch.puts.push(self.context.records.put(&key::issuer(&vault, &name), expected, &config, None)?);
        }
        let place = place(&vault, &authority.chain).ok_or_else(Error::internal)?;
        batch.puts.push(self.context.records.put(&place, there.map(|record| record.revision), &authority, None)?);
        batch.puts.extend(self.publications(&authority).await?);
        let view = AuthorityView::of(authority)?;
        Ok(self.context.try_commit(batch).await?.map(|_| view))
    }

    async fn publications(&self, authority: &AuthorityRecord) -> Result<Vec<Put>> {
        let id = authority.chain.first().and_then(|signer| authority::identifier(&signer.0));
        match id.filter(|_| self.context.options.ca.publishes()) {
            Some(id) => missing(&self.context, authority, &id, self.context.now()).await,
            None => Ok(Vec::new()),
        }
    }

    pub(super) async fn refuse_second(&self, vault: &VaultName, issuer: &IssuerName) -> Result<()> {
        let waiting = self.authorities.is_waiting(vault, issuer).await?;
        let found = self.context.load(&key::issuer(vault, issuer)).await?;
        if let Some((_, config)) = &found {
            has_a_ca(config)?;
        }
        if !waiting {
            return Ok(());
        }
        let description = "Install and activate it, or retire it first.".to_owned();
        let message = format!("The issuer {issuer} has an authority that is requested or next. {description}");
        Err(Error::new(Reason::IssuerInUse, message)
            .with(Detail::Resource { kind: "issuer", name: issuer.to_string() })
            .with(Detail::Precondition { kind: "NO_NEXT_AUTHORITY", subject: issuer.to_string(), description }))
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
        let name = (1..=u32::MAX).map(|number| authority::numbered(&name, number)).find(free).unwrap_or(name);
        Ok(authority::renamed(&subject, &name))
    }

    pub(super) async fn new_record(
        &self,
        vault: &VaultName,
        issuer: &IssuerName,
        chain: Vec<Blob>,
    ) -> Result<AuthorityRecord> {
        let earlier = self.authorities.all_of(vault).await?;
        let generations = earlier.iter().filter(|record| record.issuer == *issuer).map(|record| record.generation);
        Ok(AuthorityRecord {
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
        })
    }

    /// The write of an issuer object without a CA, where there is none yet.
    pub(super) async fn issuer_object(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Option<Put>> {
        let place = key::issuer(vault, issuer);
        if self.context.has(&place).await? {
            return Ok(None);
        }
        self.context.records.put(&place, None, &new_issuer(issuer, self.context.now()), None).map(Some)
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
            self.commit_new(puts).await?;
        }
        Ok(())
    }

    pub(super) async fn commit_new(&self, puts: Vec<Put>) -> Result<()> {
        let committed = self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
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
