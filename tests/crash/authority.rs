//! An authority outside the process that records its orders.

use async_trait::async_trait;
use certmint::domain::RequestId;
use certmint::issuer::{Checkpoint, FailureClass, Issuer, IssuerError, Order, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the authority knows; it survives the crashes of its client.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// How often each request was placed as an order: the request id is its idempotency key.
    pub(crate) orders: BTreeMap<RequestId, usize>,
    pub(crate) cancelled: BTreeSet<RequestId>,
}

/// Takes an order, works on it for a step, then signs (with the certificate's own key).
pub(crate) struct Authority {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) signs: Arc<dyn Issuer>,
}

fn pending(checkpoint: &[u8]) -> Step {
    Step::Pending { checkpoint: Checkpoint(checkpoint.to_vec()), details: None, again: Duration::ZERO }
}

#[async_trait]
impl Issuer for Authority {
    async fn advance(&self, order: &Order, checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        let account = order.issuer.as_ref().and_then(|issuer| issuer.credentials.account_id.as_deref());
        match (checkpoint.0.as_slice(), account) {
            (b"", _) => {
                self.books.lock().unwrap().orders.entry(order.request_id).or_insert(1);
                Ok(pending(b"ordered"))
            }
            (b"ordered", _) => Ok(pending(b"working")),
            (_, Some("refuses")) => {
                Ok(Step::Failed { class: FailureClass::RequestRejected, message: "refused".to_owned() })
            }
            (_, Some("waits")) => Ok(pending(b"working")),
            _ => self.signs.advance(order, &Checkpoint::default()).await,
        }
    }

    async fn cancel(&self, order: &Order, _: &Checkpoint) -> Result<Step, IssuerError> {
        self.books.lock().unwrap().cancelled.insert(order.request_id);
        Ok(Step::Cancelled)
    }
}
