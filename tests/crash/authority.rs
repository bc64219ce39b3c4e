//! An authority outside the process that records its orders.

use crate::false_provider::Call;
use certmint::domain::RequestId;
use certmint::issuer::provider::{Progress, Provider, State};
use certmint::issuer::{Checkpoint, FailureClass, IssuerError, Step};
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

fn pending(checkpoint: &[u8]) -> Progress {
    Progress::new(Step::Pending { checkpoint: Checkpoint(checkpoint.to_vec()), details: None, again: Duration::ZERO })
}

/// Takes an order, works on it for a step, then `signs` it (with the certificate's own key).
pub(crate) async fn answer(
    books: Arc<Mutex<Books>>,
    signs: Arc<dyn Provider>,
    call: Call,
) -> Result<Progress, IssuerError> {
    let Call { order, state: account, at, cancelling } = call;
    if cancelling {
        books.lock().unwrap().cancelled.insert(order.request_id);
        return Ok(Progress::new(Step::Cancelled));
    }
    match (at.0.as_slice(), account.as_str()) {
        (b"", _) => {
            books.lock().unwrap().orders.entry(order.request_id).or_insert(1);
            Ok(pending(b"ordered"))
        }
        (b"ordered", _) => Ok(pending(b"working")),
        (_, "refuses") => Ok(Progress::failed(FailureClass::RequestRejected, "refused")),
        (_, "waits") => Ok(pending(b"working")),
        _ => signs.advance(&order, &State::default(), &Checkpoint::default()).await,
    }
}
