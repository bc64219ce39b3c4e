//! Purging a certificate, in steps of bounded size: first the entry is marked, then its versions are removed, and
//! finally the entry itself. A due record ensures that a purge that has started is finished.

use super::Deletions;
use super::deleted::not_deleted;
use crate::domain::{
    CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Result, Timestamp, VaultName,
};
use crate::service::access::{CertificateRef, Permit};
use crate::service::records::{PurgingRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Delete, Put, Record, Revision};

/// Versions that one commit removes or brings.
pub(in crate::service) const CHUNK: usize = 100;
/// Commits of one request, or of one step of the worker. What is left after them is done by the worker: a request ends
/// in bounded time, and a certificate with very many versions does not keep others waiting.
const CHUNKS_AT_ONCE: usize = 5;

impl Deletions {
    /// Removes a deleted certificate with all its versions and keys; nothing brings it back.
    ///
    /// [`Reason::PurgeProtected`] where the vault forbids it before the time is over.
    pub async fn purge_certificate(&self, wanted: Permit<CertificateRef>) -> Result<()> {
        let (vault, name) = &*wanted;
        retry!({
            let found = self.context.load(&key::certificate(vault, name)).await?;
            let (record, entry) = found.ok_or_else(|| not_deleted(name))?;
            let (purge, protected) = match entry.state {
                EntryState::Live => return Err(not_deleted(name)),
                EntryState::Purging => return Err(self.entries.leaving_refusal(vault, name).await?),
                EntryState::Deleted { purge, protected, .. } => (purge, protected),
            };
            if protected || self.context.settings(vault).purge_protection {
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
            let listed = self.context.removal(&key::deleted(vault, name)).await?;
            Ok(self.begin_purge(record, entry, listed).await?.then_some(()))
        })?;
        self.remove_all(&wanted).await
    }

    /// From here on the certificate is invisible; whatever happens, the worker finishes the purge.
    pub(in crate::service) async fn begin_purge(
        &self,
        record: Record,
        entry: CertificateEntry,
        listed: Option<Delete>,
    ) -> Result<bool> {
        let entry = CertificateEntry { state: EntryState::Purging, ..entry };
        let mut batch = Batch { deletes: listed.into_iter().collect(), ..Batch::default() };
        self.context.records.put_entry(&mut batch, Some(&record), &entry)?;
        batch.puts.push(self.purging(&entry.vault, &entry.name, false, None)?);
        Ok(self.context.try_commit(batch).await?.is_some())
    }

    /// The record that is due when whoever began has had the time of a lease.
    pub(in crate::service) fn purging(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        restoring: bool,
        expected: Option<Revision>,
    ) -> Result<Put> {
        self.leaving_at(vault, name, restoring, expected, self.context.now().plus(self.context.limits().work_lease))
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
        self.context.records.put(&key::purging(vault, name), expected, &record, Some(due))
    }

    /// Removes the versions, then what stands under the name; the worker goes on where they are very many. Two who do
    /// it at once help each other.
    pub(in crate::service) async fn remove_all(&self, wanted: &Permit<CertificateRef>) -> Result<()> {
        let (vault, name) = &**wanted;
        let versions = key::versions_of(vault, name);
        let restoring = self.entries.is_restoring(vault, name).await?;
        for chunk in 1..=CHUNKS_AT_ONCE {
            let removed_all = retry!({
                let Some(leaving) = self.context.removal(&key::purging(vault, name)).await? else {
                    return Ok(Some(true));
                };
                let page = self.context.store.list(versions.as_str(), "", CHUNK).await?;
                // What hosts reported goes with them.
                let hosts = key::installations_of(vault, name);
                let reports = self.context.store.list(hosts.as_str(), "", CHUNK).await?;
                let last = page.len() < CHUNK && reports.len() < CHUNK;
                let deletes = page
                    .into_iter()
                    .chain(reports)
                    .map(|Record { key, revision, .. }| Delete { key, expected: revision });
                let mut batch = Batch { deletes: deletes.collect(), ..Batch::default() };
                // Written or removed each time: a name that is in use again must not lose its versions.
                if last {
                    batch.deletes.extend(self.context.removal(&key::certificate(vault, name)).await?);
                    batch.deletes.extend(self.context.removal(&key::suspended(vault, name)).await?);
                    batch.deletes.push(leaving);
                } else if chunk == CHUNKS_AT_ONCE {
                    batch.puts.push(self.leaving_at(
                        vault,
                        name,
                        restoring,
                        Some(leaving.expected),
                        self.context.now(),
                    )?);
                } else {
                    batch.puts.push(self.purging(vault, name, restoring, Some(leaving.expected))?);
                }
                Ok(self.context.try_commit(batch).await?.map(|_| last))
            })?;
            if removed_all {
                break;
            }
        }
        Ok(())
    }
}
