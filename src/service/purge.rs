//! Purging a certificate, in steps of bounded size: first the entry is marked, then its versions are removed, and
//! finally the entry itself. A due record ensures that a purge that has started is finished.

use super::deleted::not_deleted;
use super::records::{DeletedRecord, Place, PurgingRecord, key};
use super::{CONFLICT_ATTEMPTS, Due, Service, contended};
use crate::domain::{
    CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Result, Timestamp, VaultName,
};
use crate::store::{Batch, Delete, Put, Record, Revision};

/// Versions that one commit removes or brings.
pub(super) const CHUNK: usize = 100;
/// Commits of one request, or of one step of the worker. What is left after them is done by the worker: a request ends
/// in bounded time, and a certificate with very many versions does not keep others waiting.
const CHUNKS_AT_ONCE: usize = 5;

impl Service {
    /// Removes a deleted certificate with all its versions and keys; nothing brings it back.
    /// [`Reason::PurgeProtected`] if the vault forbids it before the end of the retention.
    pub async fn purge_certificate(&self, vault: &VaultName, name: &CertificateName) -> Result<()> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let found = self.load(&key::certificate(vault, name)).await?;
            let (record, entry) = found.ok_or_else(|| not_deleted(name))?;
            let purge = match entry.state {
                EntryState::Live => return Err(not_deleted(name)),
                EntryState::Purging => return Err(self.leaving_refusal(vault, name).await?),
                EntryState::Deleted { purge, .. } => purge,
            };
            if self.settings(vault).purge_protection {
                return Err(Error::new(
                    Reason::PurgeProtected,
                    format!("Operation \"purge\" is not allowed: the vault {vault} has purge protection. The certificate {name} is purged automatically when its retention ends."),
                )
                .with(Detail::Resource { kind: "certificate", name: name.to_string() })
                .with(Detail::Precondition {
                    kind: "PURGE_PROTECTED",
                    subject: name.to_string(),
                    description: format!("It will be purged at {} (seconds since 1970).", purge.seconds()),
                }));
            }
            let listed = self.removal(&key::deleted(vault, name)).await?;
            if self.begin_purge(record, entry, listed).await? {
                return self.remove_all(vault, name).await;
            }
        }
        Err(contended())
    }

    /// The retention of a deleted certificate is over.
    pub(super) async fn purge_overdue(&self, due: Due) -> Result<()> {
        // The key says all that the record does: one that is damaged keeps nothing from being purged.
        let (vault, name) = place_of(&due.record)?;
        let listed = Delete { key: due.record.key, expected: due.record.revision };
        match self.load(&key::certificate(&vault, &name)).await? {
            // The time of the entry counts; the due time of a record carries no code.
            Some((_, CertificateEntry { name, state: EntryState::Deleted { purge, .. }, .. }))
                if self.now() < purge =>
            {
                let listed_until = DeletedRecord { vault: vault.clone(), name: name.clone() };
                let place = key::deleted(&vault, &name);
                let puts = vec![self.records.put(&place, Some(listed.expected), &listed_until, Some(purge))?];
                self.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
            }
            Some((record, entry)) if matches!(entry.state, EntryState::Deleted { .. }) => {
                tracing::info!(%vault, certificate = %name, "purging a deleted certificate whose retention has ended");
                if self.begin_purge(record, entry, Some(listed)).await? {
                    self.remove_all(&vault, &name).await?;
                }
                Ok(())
            }
            _ => self.try_commit(Batch { deletes: vec![listed], ..Batch::default() }).await.map(|_| ()),
        }
    }

    /// A removal, or a restore, that was cut short.
    pub(super) async fn finish_purge(&self, due: Due) -> Result<()> {
        let (vault, name) = place_of(&due.record)?;
        match self.load(&key::certificate(&vault, &name)).await? {
            // The entry decides: nothing of a certificate that is in use goes because of this record.
            Some((_, entry)) if entry.state != EntryState::Purging => self.remove(&due.record).await,
            _ => self.remove_all(&vault, &name).await,
        }
    }

    /// From here on the certificate is invisible; whatever happens, the worker finishes the purge.
    async fn begin_purge(&self, record: Record, entry: CertificateEntry, listed: Option<Delete>) -> Result<bool> {
        let entry = CertificateEntry { state: EntryState::Purging, ..entry };
        let mut batch = Batch { deletes: listed.into_iter().collect(), ..Batch::default() };
        self.records.put_entry(&mut batch, Some(&record), &entry)?;
        batch.puts.push(self.purging(&entry.vault, &entry.name, false, None)?);
        Ok(self.try_commit(batch).await?.is_some())
    }

    /// The record that is due when whoever began has had the time of a lease.
    pub(super) fn purging(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        restoring: bool,
        expected: Option<Revision>,
    ) -> Result<Put> {
        self.leaving_at(vault, name, restoring, expected, self.now().plus(self.limits.lease))
    }

    fn leaving_at(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        restoring: bool,
        expected: Option<Revision>,
        due: Timestamp,
    ) -> Result<Put> {
        let record = PurgingRecord { vault: vault.clone(), name: name.clone(), restoring };
        self.records.put(&key::purging(vault, name), expected, &record, Some(due))
    }

    /// Removes the versions, then what stands under the name; the worker goes on where they are very many. Two who do
    /// it at once help each other.
    async fn remove_all(&self, vault: &VaultName, name: &CertificateName) -> Result<()> {
        let versions = key::versions_of(vault, name);
        let restoring = self.is_restoring(vault, name).await?;
        let (mut refused, mut chunks) = (0, 0);
        while refused < CONFLICT_ATTEMPTS {
            let Some(leaving) = self.removal(&key::purging(vault, name)).await? else { return Ok(()) };
            let page = self.store.list(versions.as_str(), "", CHUNK).await?;
            let last = page.len() < CHUNK;
            let deletes = page.into_iter().map(|Record { key, revision, .. }| Delete { key, expected: revision });
            let mut batch = Batch { deletes: deletes.collect(), ..Batch::default() };
            // Written or removed each time: a name that is in use again must not lose its versions.
            if last {
                batch.deletes.extend(self.removal(&key::certificate(vault, name)).await?);
                batch.deletes.extend(self.removal(&key::suspended(vault, name)).await?);
                batch.deletes.push(leaving);
            } else if chunks + 1 == CHUNKS_AT_ONCE {
                batch.puts.push(self.leaving_at(vault, name, restoring, Some(leaving.expected), self.now())?);
            } else {
                batch.puts.push(self.purging(vault, name, restoring, Some(leaving.expected))?);
            }
            match self.try_commit(batch).await? {
                Some(_) if last || chunks + 1 == CHUNKS_AT_ONCE => return Ok(()),
                Some(_) => chunks += 1,
                None => refused += 1,
            }
        }
        Err(contended())
    }
}

/// The certificate that a record belongs to.
fn place_of(record: &Record) -> Result<(VaultName, CertificateName)> {
    Place::of(&record.key).ok_or_else(Error::internal)?.certificate()
}
