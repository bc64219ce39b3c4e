//! Purges and restores that were cut short: finished or undone.

use super::{Due, Jobs};
use crate::domain::{EntryState, Error, Result};
use crate::service::access::Permit;
use crate::service::records::{Place, key};

impl Jobs {
    /// A removal, or a restore, that was cut short.
    pub(super) async fn finish_purge(&self, due: Due) -> Result<()> {
        let (vault, name) = Place::of(&due.record.key).ok_or_else(Error::internal)?.certificate()?;
        match self.context.load(&key::certificate(&vault, &name)).await? {
            // The entry decides: nothing of a certificate that is in use goes because of this record.
            Some((_, entry)) if entry.state != EntryState::Purging => self.context.remove(&due.record).await,
            _ => self.deletions.remove_all(&Permit::service((vault, name))).await,
        }
    }
}
