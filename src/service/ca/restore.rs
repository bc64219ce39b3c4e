//! Records of a CA that were lost or damaged outside the server, made anew from its log and its last revocation list: a
//! list never loses an entry that is in force, whichever record is gone.

use super::crl::RevocationLists;
use super::view::GATHERED;
use crate::domain::authority::AuthorityRecord;
use crate::domain::issued::IssuedRecord;
use crate::domain::revocation::LISTED_AFTER_THE_END;
use crate::domain::{Result, Revocation, Serial, Timestamp};
use crate::keys::authority::Signer;
use crate::keys::{Caller, Work, crl};
use crate::service::records::{CrlRecord, IssuedIndex, Kind, Place, RevokedRecord, Scan, key};
use crate::store::{Batch, MAX_KEYS, Put, Record};
use std::collections::HashSet;

/// Records that one commit makes anew.
const AT_ONCE: usize = 200;

/// What the log says of a revocation that lists have to have: none for a certificate that is not revoked, or is over.
fn in_force(issued: &IssuedRecord, now: Timestamp) -> Option<&Revocation> {
    issued.revocation.as_ref().filter(|_| issued.content.not_after.plus(LISTED_AFTER_THE_END) > now)
}

impl RevocationLists {
    /// Compares the log of an authority with what belongs to it: entries of its lists, of all or of one of them, and
    /// the second places of its certificates.
    pub(super) async fn restore_from_log(
        &self,
        authority: &AuthorityRecord,
        id: &str,
        shard: Option<u32>,
    ) -> Result<()> {
        let prefix = key::issued_of(id);
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            let mut puts = Vec::new();
            for record in page {
                // One that is damaged was logged.
                let Ok(issued) = self.context.records.read::<IssuedRecord>(&record) else { continue };
                if shard.is_none_or(|shard| shard == authority.shard_of(&issued.serial)) {
                    puts.extend(self.row(authority, &issued)?);
                }
                // Not of one that leaves the log at this moment.
                let end = issued.content.not_after.plus(self.context.options.ca.issued_retention);
                if end > self.context.now().plus(GATHERED) {
                    puts.extend(self.second_places(&issued)?);
                }
            }
            self.put_lost(puts).await?;
        }
        Ok(())
    }

    /// Whether entries of the last list that are in force had lost their records, which were made anew if nobody else
    /// wrote them at the same time. `there` are those that have theirs.
    pub(super) async fn restore_from_list(
        &self,
        authority: &AuthorityRecord,
        last: &CrlRecord,
        there: &HashSet<Serial>,
    ) -> Result<bool> {
        let mut listed = self.listed(authority, last).await?;
        listed.retain(|entry| !there.contains(&entry.serial));
        self.restore_entries(authority, last, listed).await
    }

    /// Makes a damaged record of a revoked certificate anew, if the log or the last list has it.
    pub(in crate::service) async fn restore_row(&self, damaged: &Record) -> Result<()> {
        let Some((authority, shard)) = self.owner(&damaged.key).await? else { return Ok(()) };
        let Some(Place { vault: id, id: serial, .. }) = Place::of(&damaged.key) else { return Ok(()) };
        let Some(serial) = Serial::spellings(serial).ok().and_then(|known| known.into_iter().next()) else {
            return Ok(());
        };
        let issued = self.context.load_many(&[Some(key::issued(id, &serial))]).await?;
        if let Some(Ok(Some(issued))) = issued.into_iter().next()
            && issued.revocation.is_some()
        {
            let puts = self.row(&authority, &issued)?;
            return self.put_lost(puts.into_iter().collect()).await.map(|_| ());
        }
        let (_, Some(last)) = self.last(id, shard).await? else { return Ok(()) };
        let mut listed = self.listed(&authority, &last).await?;
        listed.retain(|entry| entry.serial == serial);
        self.restore_entries(&authority, &last, listed).await.map(|_| ())
    }

    /// Makes the list anew whose record is damaged.
    pub(in crate::service) async fn replace(&self, damaged: &Record) -> Result<()> {
        let Some((authority, shard)) = self.owner(&damaged.key).await? else { return Ok(()) };
        let id = Place::of(&damaged.key).map(|place| place.vault).unwrap_or_default();
        self.make(&authority.vault, id, shard).await.map(|_| ())
    }

    /// The authority and the number of the list that a record belongs to, by its key.
    async fn owner(&self, key: &str) -> Result<Option<(AuthorityRecord, u32)>> {
        let Some(Place { vault: id, name: shard, .. }) = Place::of(key) else { return Ok(None) };
        let Ok(shard) = shard.parse() else { return Ok(None) };
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                if Place::of(&record.key).is_some_and(|place| place.name == id) {
                    return Ok(Some((self.context.records.read(&record)?, shard)));
                }
            }
        }
        Ok(None)
    }

    /// The entries of a list. It may have tens of thousands, so that it is read where keys work.
    async fn listed(&self, authority: &AuthorityRecord, last: &CrlRecord) -> Result<Vec<crl::ReadEntry>> {
        let Some(signer) = authority.chain.first().cloned().filter(|_| !last.der.0.is_empty()) else {
            return Ok(Vec::new());
        };
        let (list, id) = (last.der.clone(), last.authority.clone());
        let read = move || {
            let read = crl::read(&list.0, &signer.0).map(|read| read.revoked);
            Ok(read.unwrap_or_else(|problem| {
                tracing::error!(authority = id, problem, "the last revocation list cannot be read");
                Vec::new()
            }))
        };
        self.context.keys.run(&Caller::server(), Work::Small, read).await
    }

    async fn restore_entries(
        &self,
        authority: &AuthorityRecord,
        last: &CrlRecord,
        listed: Vec<crl::ReadEntry>,
    ) -> Result<bool> {
        let CrlRecord { authority: id, shard, .. } = last;
        let places: Vec<_> = listed.iter().map(|entry| Some(key::issued(id, &entry.serial))).collect();
        let found = self.context.load_many(&places).await?;
        let signer = authority.chain.first().map(|der| Signer::read(&der.0)).transpose()?;
        let mut puts = Vec::new();
        for (entry, found) in listed.into_iter().zip(found) {
            if let Ok(Some(issued)) = &found
                && issued.revocation.is_some()
            {
                puts.extend(self.row(authority, issued)?);
                continue;
            }
            // Of another program, or lost in the log as well: no certificate outlives its CA.
            let not_after = signer.as_ref().map_or(entry.time, Signer::not_after);
            if not_after.plus(LISTED_AFTER_THE_END) > self.context.now() {
                let crl::ReadEntry { serial, time, reason, invalidity_time } = entry;
                let revocation = Revocation { time, reason, invalidity_time, by: String::new(), crl: None };
                puts.push(self.revoked(authority, id, *shard, &serial, revocation, not_after)?);
            }
        }
        self.put_lost(puts).await.map(|restored| restored > 0)
    }

    /// What puts a certificate on its list, if it is to be on one.
    fn row(&self, authority: &AuthorityRecord, issued: &IssuedRecord) -> Result<Option<Put>> {
        let IssuedRecord { authority: id, serial, content, .. } = issued;
        let Some(revocation) = in_force(issued, self.context.now()) else { return Ok(None) };
        let (shard, revocation) = (authority.shard_of(serial), revocation.clone());
        self.revoked(authority, id, shard, serial, revocation, content.not_after).map(Some)
    }

    fn revoked(
        &self,
        authority: &AuthorityRecord,
        id: &str,
        shard: u32,
        serial: &Serial,
        revocation: Revocation,
        not_after: Timestamp,
    ) -> Result<Put> {
        let record = RevokedRecord {
            vault: authority.vault.clone(),
            authority: id.to_owned(),
            shard,
            serial: serial.clone(),
            revocation,
            not_after,
        };
        let due = Some(self.context.now().plus(GATHERED));
        self.context.records.put(&key::revoked(id, shard, serial), None, &record, due)
    }

    fn second_places(&self, issued: &IssuedRecord) -> Result<[Put; 2]> {
        let IssuedRecord { authority, serial, created, content, .. } = issued;
        let index = IssuedIndex { authority: authority.clone() };
        let put = |place| self.context.records.put(&place, None, &index, None);
        Ok([put(key::issued_by_time(authority, *created, serial))?, put(key::issued_by_key(&content.key, serial))?])
    }

    /// Writes those of these records that are not there or are damaged, and answers how many those are.
    async fn put_lost(&self, puts: Vec<Put>) -> Result<usize> {
        let mut lost = Vec::new();
        let keys: Vec<String> = puts.iter().map(|put| put.key.clone()).collect();
        let mut there = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            there.extend(self.context.store.get_many(keys).await?);
        }
        for (put, there) in puts.into_iter().zip(there) {
            if there.as_ref().is_none_or(|record| self.context.records.is_damaged(record)) {
                tracing::error!(key = put.key, "a record of a CA was lost or damaged: it is made anew");
                lost.push(Put { expected: there.map(|record| record.revision), ..put });
            }
        }
        for puts in lost.chunks(AT_ONCE) {
            if self.context.try_commit(Batch { puts: puts.to_vec(), ..Batch::default() }).await?.is_some() {
                continue;
            }
            // Somebody else wrote one of them, which says nothing of the others.
            for put in puts {
                self.context.try_commit(Batch { puts: vec![put.clone()], ..Batch::default() }).await?;
            }
        }
        Ok(lost.len())
    }
}
