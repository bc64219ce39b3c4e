//! Deleted certificates whose retention is over: purged.

use super::{Due, Jobs};
use crate::domain::{CertificateEntry, EntryState, Error, Result};
use crate::service::access::Permit;
use crate::service::records::{DeletedRecord, Place, key};
use crate::store::{Batch, Delete};

impl Jobs {
    /// The retention of a deleted certificate is over.
    pub(super) async fn purge_overdue(&self, due: Due) -> Result<()> {
        // The key says all that the record does: one that is damaged keeps nothing from being purged.
        let (vault, name) = Place::of(&due.record.key).ok_or_else(Error::internal)?.certificate()?;
        let listed = Delete { key: due.record.key, expected: due.record.revision };
        match self.context.load(&key::certificate(&vault, &name)).await? {
            // The time of the entry counts; the due time of a record carries no code.
            Some((_, CertificateEntry { name, state: EntryState::Deleted { purge, .. }, .. }))
                if self.context.now() < purge =>
            {
                let listed_until = DeletedRecord { vault: vault.clone(), name: name.clone() };
                let place = key::deleted(&vault, &name);
                let puts = vec![self.context.records.put(&place, Some(listed.expected), &listed_until, Some(purge))?];
                self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
            }
            Some((record, entry)) if matches!(entry.state, EntryState::Deleted { .. }) => {
                tracing::info!(%vault, certificate = %name, "purging a deleted certificate whose retention has ended");
                if self.deletions.begin_purge(record, entry, Some(listed)).await? {
                    self.deletions.remove_all(&Permit::service((vault, name))).await?;
                }
                Ok(())
            }
            _ => self.context.try_commit(Batch { deletes: vec![listed], ..Batch::default() }).await.map(|_| ()),
        }
    }
}
