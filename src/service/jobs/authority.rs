//! Retired built-in CAs: their keys are erased when no certificate depends on them any more.

use super::{Due, Jobs};
use crate::domain::Result;
use crate::domain::authority::AuthorityRecord;
use crate::store::Batch;

impl Jobs {
    /// Erases the key of a retired authority whose certificates have all expired. The rest of the record stays: no
    /// other authority gets its name.
    pub(super) async fn erase_authority(&self, due: Due) -> Result<()> {
        let mut record: AuthorityRecord = self.context.records.read(&due.record)?;
        if record.erasable_at().is_some_and(|at| at <= self.context.now()) {
            record.sealed_key = None;
            tracing::info!(vault = %record.vault, issuer = %record.issuer, "erased the key of a retired CA: all of its certificates have expired");
        }
        let puts = vec![self.context.records.replace(&due.record, &record, record.erasable_at())?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }
}
