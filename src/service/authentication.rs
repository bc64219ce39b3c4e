//! Adds authentication codes to records of earlier versions, and finishes interrupted work at startup.

use super::Service;
use super::records::{self, Adopted, MAX_PAGE, PurgingRecord, key};
use crate::domain::{Result, Timestamp};
use crate::store::Batch;
use std::time::Duration;

/// How far a store has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authenticated {
    /// Every record carries a code, and one without it is refused.
    All,
    /// Records without a code are accepted: processes of earlier versions may still write them until about then.
    Until(Timestamp),
}

impl Service {
    /// Gives a code to every record that has none. The store is marked as one in which all have one when none is left
    /// and `window` is over since the first call: zero where no other process writes to the store.
    ///
    /// # Errors
    /// If the store is not available; completed work is kept, and the next call continues.
    pub async fn authenticate_records(&self, window: Duration) -> Result<Authenticated> {
        Ok(match records::adopt(&*self.context.store, &self.context.records, window, self.context.now()).await? {
            Adopted::Done => Authenticated::All,
            Adopted::Until(time) => Authenticated::Until(time),
        })
    }

    /// Finishes what a process that is gone had begun, purges and restores: it is due now and not when its time would
    /// be over. Only where no other process works on the store.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn finish_interrupted(&self) -> Result<()> {
        let prefix = key::all_leaving();
        let mut after = String::new();
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, MAX_PAGE).await?;
            let Some(last) = page.last().map(|record| record.key.clone()) else { return Ok(()) };
            for record in page {
                // One that does not verify was logged, and is due later as well.
                let Ok(leaving) = self.context.records.read::<PurgingRecord>(&record) else { continue };
                let puts = vec![self.context.records.replace(&record, &leaving, Some(self.context.now()))?];
                self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
            }
            after = last;
        }
    }
}
