//! `Test`: an issuer whose account decides the outcome, for testing clients. It must be enabled in the configuration.

use super::{Checkpoint, FailureClass, Issuer, IssuerError, Order, Step};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The account id decides, without case: `hold` stays in progress until it is cancelled, `fail`
/// fails by the issuer's fault, `reject` by the requester's, `stuck` never answers; every other one,
/// and none, completes.
pub struct TestIssuer {
    complete: Arc<dyn Issuer>,
}

// A cancellation wakes the operation at once, so looking again is only for form.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

impl TestIssuer {
    /// `complete` signs what is to be completed.
    pub fn new(complete: Arc<dyn Issuer>) -> Self {
        Self { complete }
    }
}

#[async_trait]
impl Issuer for TestIssuer {
    async fn advance(&self, order: &Order, checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        let account = order.issuer.as_ref().and_then(|issuer| issuer.credentials.account_id.as_deref()).unwrap_or("");
        match account.to_ascii_lowercase().as_str() {
            "hold" => Ok(Step::Pending {
                checkpoint: checkpoint.clone(),
                details: Some("The test issuer holds this request until it is cancelled.".to_owned()),
                again: LOOK_AGAIN,
            }),
            "fail" => Ok(Step::Failed {
                class: FailureClass::IssuerError,
                message: "The test issuer failed, as its account id says.".to_owned(),
            }),
            "reject" => Ok(Step::Failed {
                class: FailureClass::RequestRejected,
                message: "The test issuer rejected the request, as its account id says.".to_owned(),
            }),
            "stuck" => std::future::pending().await,
            _ => self.complete.advance(order, checkpoint).await,
        }
    }

    async fn cancel(&self, _order: &Order, _checkpoint: &Checkpoint) -> Result<Step, IssuerError> {
        Ok(Step::Cancelled)
    }
}
