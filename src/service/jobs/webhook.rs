//! What is due for webhooks: events to be sent, and a look at certificates that end.

use super::{Due, Jobs};
use crate::domain::Result;
use crate::service::webhooks::WebhookWork;

impl Jobs {
    /// Sends an event, or says when it is sent again.
    pub(super) async fn deliver(&self, due: Due) -> Result<()> {
        WebhookWork(&self.context).deliver(due.record).await
    }

    /// Looks for certificates that end, and makes due what waits.
    pub(super) async fn watch_expiry(&self, due: Due) -> Result<()> {
        WebhookWork(&self.context).watch_expiry(due.record).await
    }
}
