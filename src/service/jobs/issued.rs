//! Certificates in the log of a CA: intents that nobody ended, and what is to be forgotten.

use super::{Due, Jobs};
use crate::domain::Result;

impl Jobs {
    /// Ends an intent whose operation is over, or forgets what is too old for the log.
    pub(super) async fn settle_issued(&self, due: Due) -> Result<()> {
        self.cas.log.settle(&due.record).await
    }
}
