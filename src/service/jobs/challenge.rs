//! Challenges that nobody needs any more: removed.

use super::{Due, Jobs};
use crate::domain::Result;
use crate::service::records::ChallengeRecord;
use crate::store::Batch;

impl Jobs {
    /// Removes a challenge that its order forgot: it is of no use any more.
    pub(super) async fn expire_challenge(&self, due: Due) -> Result<()> {
        let Due { record, until: _ } = due;
        let challenge: ChallengeRecord = self.context.records.read(&record)?;
        if challenge.expires <= self.context.now() {
            return self.context.remove(&record).await;
        }
        // The clock was set back since it was claimed.
        let puts = vec![self.context.records.replace(&record, &challenge, Some(challenge.expires))?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }
}
