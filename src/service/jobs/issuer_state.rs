//! States of issuer objects that are gone: kept to cancel what is open at the CA, then removed.

use super::{Due, Jobs};
use crate::domain::Result;

impl Jobs {
    /// Removes the state once no order is open any more.
    pub(super) async fn forget_retired_state(&self, due: Due) -> Result<()> {
        let Due { record, until: _ } = due;
        self.issuing.forget_retired_state(record).await
    }
}
