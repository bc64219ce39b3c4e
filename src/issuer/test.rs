//! `Test`: a provider whose account decides the outcome, for testing clients. The
//! configuration has to allow it.

use super::provider::{
    Health, IssuerInput, IssuerSchema, Needs, OptionKind, OptionSchema, Order, Progress, Provider, State,
};
use super::{Checkpoint, FailureClass, IssuerError, Step};
use crate::domain::{self, IssuerConfig, VaultName};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The account id decides, without case: `hold` stays in progress until it is cancelled, `fail`
/// fails by the issuer's fault, `reject` by the requester's, `stuck` never answers; every other one,
/// and none, completes.
pub struct TestIssuer {
    complete: Arc<dyn Provider>,
}

// A cancellation wakes the operation at once, so looking again is only for form.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

impl TestIssuer {
    /// `complete` signs what is to be completed, whatever its state.
    pub fn new(complete: Arc<dyn Provider>) -> Self {
        Self { complete }
    }
}

/// The account id is the whole state.
fn state(account_id: Option<&str>) -> State {
    State(Zeroizing::new(account_id.unwrap_or_default().as_bytes().to_vec()))
}

#[async_trait]
impl Provider for TestIssuer {
    fn schema(&self) -> IssuerSchema {
        let summary = "For tests: does what its account id says.";
        IssuerSchema { provider: "Test", summary, options: Vec::new() }
    }

    fn members(&self) -> Vec<OptionSchema> {
        vec![OptionSchema {
            name: "account_id",
            kind: OptionKind::Choice(&["complete", "hold", "fail", "reject", "stuck"]),
            required: false,
            default: Some("complete"),
            help: "The outcome of each request.",
        }]
    }

    fn state_in_object(&self, _vault: &VaultName, issuer: &IssuerConfig) -> Option<State> {
        Some(state(issuer.credentials.account_id.as_deref()))
    }

    async fn configure(&self, input: &IssuerInput, _old: Option<&State>) -> domain::Result<State> {
        Ok(state(input.account_id.as_deref()))
    }

    fn needs(&self) -> Needs {
        self.complete.needs()
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        match String::from_utf8_lossy(&state.0).to_ascii_lowercase().as_str() {
            "hold" => Ok(Progress::new(Step::Pending {
                checkpoint: at.clone(),
                details: Some("The test issuer holds this request until it is cancelled.".to_owned()),
                again: LOOK_AGAIN,
            })),
            "fail" => {
                Ok(Progress::failed(FailureClass::IssuerError, "The test issuer failed, as its account id says."))
            }
            "reject" => Ok(Progress::failed(
                FailureClass::RequestRejected,
                "The test issuer rejected the request, as its account id says.",
            )),
            "stuck" => std::future::pending().await,
            _ => self.complete.advance(order, &State::default(), at).await,
        }
    }

    async fn cancel(&self, _order: &Order, _state: &State, _at: &Checkpoint) -> Result<Progress, IssuerError> {
        Ok(Progress::new(Step::Cancelled))
    }

    async fn check(&self, _state: &State) -> Health {
        Health::Good("The test issuer needs no credentials.".to_owned())
    }
}
