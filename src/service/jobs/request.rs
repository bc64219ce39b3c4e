//! Remembered requests: forgotten when their time is over.

use super::{Due, Jobs};
use crate::domain::{Error, Result, VaultName};
use crate::service::records::{Kind, Place, RequestRecord, key};
use crate::store::Batch;

impl Jobs {
    /// Forgets a request; one whose operation is still there is kept for longer.
    pub(super) async fn forget_request(&self, due: Due) -> Result<()> {
        let known: RequestRecord = self.context.records.read(&due.record)?;
        let place = Place::of(&due.record.key).ok_or_else(Error::internal)?;
        let vault = VaultName::parse(place.vault)?;
        let pending = self.context.load(&key::pending(&vault, &known.certificate)).await?;
        let alive = pending.is_some_and(|(_, pending)| pending.operation.request_id == known.request_id);
        // The order of an operation that is gone may still wait for its cancellation: another operation of the same
        // request_id would be taken for it.
        let ordered = self.context.has(&key::abandoned_order(&vault, known.request_id)).await?;
        if (alive || ordered) && place.kind == Kind::Request {
            let again = Some(self.context.now().plus(self.context.options.request_memory));
            let known = RequestRecord { revision: known.revision.or(Some(due.record.revision)), ..known };
            let puts = vec![self.context.records.replace(&due.record, &known, again)?];
            return self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ());
        }
        self.context.remove(&due.record).await
    }
}
