//! The revocation lists of the CAs of this server. A list is a record, replaced at the revision that was read: whichever
//! replicas make it, its number rises by one with each.

use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::revocation::LISTED_AFTER_THE_END;
use crate::domain::{Blob, Error, Result, Serial, VaultName};
use crate::keys::authority::Signer;
use crate::keys::certificate::BACKDATE;
use crate::keys::crl::{self, CrlTemplate};
use crate::keys::{Caller, Work, open_key};
use crate::service::context::Context;
use crate::service::issuers::Authorities;
use crate::service::records::{CrlRecord, RevokedRecord, Scan, key};
use crate::service::retry::contended;
use crate::store::{Batch, Delete, Put, Record};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A list is good for a week, and made anew each day: clients go on for six days while no server runs.
const GOOD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Entries that one commit marks as listed; the others are marked when they are due.
const MARKED: usize = 200;
/// Above these a list is slow for its readers: `crl_shards` splits those of new authorities.
const MANY: usize = 16_000;
/// So many numbers are noted with the authority as given out before they are: where the record of a list is lost, the
/// next one has a number behind them.
pub(super) const NUMBERS: u64 = 1000;
/// How often it is tried at once where another replica makes the same list.
const TRIES: usize = 3;

/// Makes revocation lists.
#[derive(Clone)]
pub(in crate::service) struct RevocationLists {
    pub(super) context: Arc<Context>,
    authorities: Authorities,
}

/// What goes into a list, and the writes that mark it.
struct Gathered {
    entries: Vec<u8>,
    serials: HashSet<Serial>,
    unmarked: Vec<(Record, RevokedRecord)>,
}

impl RevocationLists {
    pub(in crate::service) fn new(context: Arc<Context>, authorities: Authorities) -> Self {
        Self { context, authorities }
    }

    /// A revoked certificate that is due: it is on no list yet, or needs to be on none any more.
    pub(in crate::service) async fn list(&self, record: &Record, revoked: RevokedRecord) -> Result<()> {
        let RevokedRecord { vault, authority, shard, serial, revocation, not_after } = &revoked;
        if let Some(number) = revocation.crl {
            if not_after.plus(LISTED_AFTER_THE_END) > self.context.now() {
                return self.mark(record, revoked.clone(), number).await;
            }
            // After days without a server the list that was made after the end is still to come.
            let (_, last) = self.last(authority, *shard).await?;
            let is_on_it = last.is_some_and(|crl| crl.this_update > *not_after);
            if !is_on_it && self.make(vault, authority, *shard).await? {
                return Ok(());
            }
            return self.forget(record, &revoked, number).await;
        }
        let entry = crl::entry(serial, revocation.time, revocation.reason, revocation.invalidity_time)?;
        let (_, current) = self.last(authority, *shard).await?;
        if let Some(crl) = current.filter(|crl| holds(&crl.der.0, &entry)) {
            return self.mark(record, revoked.clone(), crl.number).await;
        }
        self.make(vault, authority, *shard).await.map(|_| ())
    }

    /// As [`RevocationLists::make`], each day: after the first of its lists the whole log of the authority is compared
    /// with them. That takes its time, and the list does not wait for it: what is found is on the next one in seconds.
    pub(in crate::service) async fn renew(&self, vault: &VaultName, authority: &str, shard: u32) -> Result<()> {
        if self.make(vault, authority, shard).await? && shard == 0 {
            let found = self.context.load(&key::authority(vault, authority)).await?;
            if let Some((_, authority_record)) = found {
                self.restore_from_log(&authority_record, authority, None).await?;
            }
        }
        Ok(())
    }

    /// Makes a list of everything that is revoked by now. False where it cannot be made: the key is gone.
    pub(in crate::service) async fn make(&self, vault: &VaultName, authority: &str, shard: u32) -> Result<bool> {
        let place = key::authority(vault, authority);
        let (mut looked, mut has_key) = (false, true);
        for _ in 0..TRIES {
            let Some((owner, mut record)) = self.context.load(&place).await? else { return Ok(false) };
            let Some(sealed) = self.authorities.key_of(&record).await? else {
                if record.state() == AuthorityState::Gone {
                    tracing::info!(%vault, authority, "the key of a CA is erased: its last revocation list stays as it is");
                    return self.stop(authority, shard).await.map(|()| false);
                }
                // The next one began to sign after the record was read: the key is in the record now.
                has_key = false;
                continue;
            };
            has_key = true;
            let signer = record.chain.first().ok_or_else(Error::internal).and_then(|der| Signer::read(&der.0))?;
            let (before, last) = self.last(authority, shard).await?;
            // Without the list before nothing but the log says which entries it had.
            if last.as_ref().is_none_or(|crl| crl.der.0.is_empty()) && !looked {
                self.restore_from_log(&record, authority, Some(shard)).await?;
                looked = true;
            }
            let number = last.as_ref().map_or(record.lists.last_crl, |crl| crl.number).saturating_add(1);
            // After the record of the list was read: what is committed from here on meets another revision, or is on
            // the next one.
            let mut gathered = self.gather(authority, shard).await?;
            if let Some(last) = &last
                && self.restore_from_list(&record, last, &gathered.serials).await?
            {
                gathered = self.gather(authority, shard).await?;
                if self.restore_from_list(&record, last, &gathered.serials).await? {
                    // No list without them.
                    return Err(contended());
                }
            }
            let Gathered { entries, serials, unmarked } = gathered;
            let (now, count) = (self.context.now(), serials.len());
            let template = CrlTemplate {
                issuer: signer.name().clone(),
                authority_key_id: signer.key_id().to_vec(),
                number,
                this_update: now.minus(BACKDATE),
                next_update: now.plus(GOOD_FOR),
                distribution_point: self.distribution_point(&record, authority, shard),
            };
            let (sealer, sealed) = (self.context.keys.sealer().clone(), sealed.clone());
            let (this_update, next_update) = (template.this_update, template.next_update);
            let sign = move || crl::sign(&template, &entries, &open_key(&sealer, &sealed)?);
            let der = self.context.keys.run(&Caller::server(), Work::Use(signer.key_type()?), sign).await?;
            let list = CrlRecord {
                vault: vault.clone(),
                authority: authority.to_owned(),
                shard,
                number,
                this_update,
                next_update,
                entries: count,
                der: Blob(der),
            };
            if count >= MANY {
                tracing::warn!(%vault, authority, shard, count, "a revocation list is long: set crl_shards and make another authority");
            }
            let mut batch = Batch::default();
            let expected = before.map(|record| record.revision);
            batch.puts.push(self.context.records.put(
                &key::crl(authority, shard),
                expected,
                &list,
                Some(now.plus(DAY)),
            )?);
            if number > record.lists.last_crl {
                record.lists.last_crl = number.saturating_add(NUMBERS);
                let due = record.erasable_at().or(owner.due);
                batch.puts.push(self.context.records.replace(&owner, &record, due)?);
            }
            for (record, revoked) in unmarked {
                batch.puts.push(self.marked(&record, revoked, number)?);
            }
            if self.context.try_commit(batch).await?.is_some() {
                tracing::info!(%vault, authority, shard, number, count, "made a revocation list");
                return Ok(true);
            }
        }
        if !has_key {
            tracing::error!(%vault, authority, shard, "the key of a CA is missing: its revocation list waits for it");
        }
        Ok(true)
    }

    /// The record of a list, and the list; without the list where the record is damaged, which was logged.
    pub(super) async fn last(&self, authority: &str, shard: u32) -> Result<(Option<Record>, Option<CrlRecord>)> {
        let Some(record) = self.context.store.get(key::crl(authority, shard).as_str()).await? else {
            return Ok((None, None));
        };
        let list = self.context.records.unless_damaged(&record)?;
        Ok((Some(record), list))
    }

    /// Where the list is published, if it is one of several.
    fn distribution_point(&self, authority: &AuthorityRecord, id: &str, shard: u32) -> Option<String> {
        let base = self.context.options.ca.base().filter(|_| authority.lists.shards > 1)?;
        Some(super::options::crl_url(base, id, authority.lists.shards, shard))
    }

    async fn gather(&self, authority: &str, shard: u32) -> Result<Gathered> {
        let prefix = key::revoked_of(authority, shard);
        let mut gathered = Gathered { entries: Vec::new(), serials: HashSet::new(), unmarked: Vec::new() };
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            for record in page {
                // One that is damaged is made anew from the last list, if that has it.
                let Some(revoked) = self.context.records.unless_damaged::<RevokedRecord>(&record)? else { continue };
                let RevokedRecord { serial, revocation, .. } = &revoked;
                let entry = crl::entry(serial, revocation.time, revocation.reason, revocation.invalidity_time)?;
                gathered.entries.extend(entry);
                gathered.serials.insert(serial.clone());
                if revocation.crl.is_none() && gathered.unmarked.len() < MARKED {
                    gathered.unmarked.push((record, revoked));
                }
            }
        }
        Ok(gathered)
    }

    fn marked(&self, record: &Record, mut revoked: RevokedRecord, number: u64) -> Result<Put> {
        revoked.revocation.crl = Some(number);
        let due = revoked.not_after.plus(LISTED_AFTER_THE_END);
        self.context.records.replace(record, &revoked, Some(due))
    }

    async fn mark(&self, record: &Record, revoked: RevokedRecord, number: u64) -> Result<()> {
        let puts = vec![self.marked(record, revoked, number)?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }

    /// The certificate is over, and a list was made after its end: what is to be known of it stays in the log.
    async fn forget(&self, record: &Record, revoked: &RevokedRecord, number: u64) -> Result<()> {
        let deletes = vec![Delete { key: record.key.clone(), expected: record.revision }];
        let mut batch = Batch { deletes, ..Batch::default() };
        let place = key::issued(&revoked.authority, &revoked.serial);
        if let Some((there, mut issued)) = self.context.load(&place).await?
            && let Some(revocation) = &mut issued.revocation
        {
            revocation.crl = Some(number);
            batch.puts.push(self.context.records.replace(&there, &issued, there.due)?);
        }
        self.context.try_commit(batch).await.map(|_| ())
    }

    /// The list is not made again.
    async fn stop(&self, authority: &str, shard: u32) -> Result<()> {
        let (Some(record), Some(crl)) = self.last(authority, shard).await? else { return Ok(()) };
        let puts = vec![self.context.records.replace(&record, &crl, None)?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }
}

/// Whether a list has this entry.
fn holds(der: &[u8], entry: &[u8]) -> bool {
    der.windows(entry.len()).any(|part| part == entry)
}
