//! Built-in CAs: the next one is made before one ends, and the key of a retired one is erased when no certificate depends
//! on it any more.

use super::{Due, Jobs};
use crate::domain::Result;
use crate::domain::authority::AuthorityRecord;
use crate::service::context::Context;
use crate::store::Batch;

impl Jobs {
    /// Looks at an authority.
    pub(super) async fn step_authority(&self, due: Due) -> Result<()> {
        let record: AuthorityRecord = self.context.records.read(&due.record)?;
        match record.retired {
            Some(_) => erase(&self.context, &due, record).await,
            None => self.cas.successions.look(&due.record, record).await,
        }
    }
}

/// Erases the key of a retired authority whose certificates have all expired. The rest of the record stays: no other
/// authority gets its name.
async fn erase(context: &Context, due: &Due, mut record: AuthorityRecord) -> Result<()> {
    if record.erasable_at().is_some_and(|at| at <= context.now()) {
        record.sealed_key = None;
        tracing::info!(vault = %record.vault, issuer = %record.issuer, "erased the key of a retired CA: all of its certificates have expired");
    }
    let puts = vec![context.records.replace(&due.record, &record, record.erasable_at())?];
    context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
}
