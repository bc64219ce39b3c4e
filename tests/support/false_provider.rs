//! A provider whose answers a test writes: the one false CA of all suites.

use async_trait::async_trait;
use certmint::domain::{self, IssuerConfig, Policy, VaultName};
use certmint::issuer::provider::{
    Health, IssuerInput, IssuerSchema, Needs, OptionSchema, Order, Progress, Provider, RenewalWindow, State,
};
use certmint::issuer::{Checkpoint, IssuerError};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// One call of a step.
pub(crate) struct Call {
    pub(crate) order: Order,
    /// The state as text: the account id, unless the test keeps another one.
    pub(crate) state: String,
    pub(crate) at: Checkpoint,
    pub(crate) cancelling: bool,
}

type Answer = BoxFuture<'static, Result<Progress, IssuerError>>;
/// What it answers for a certificate in DER.
pub(crate) type Windows = Box<dyn Fn(&[u8]) -> Result<Option<RenewalWindow>, IssuerError> + Send + Sync>;
/// What its answer waits for.
pub(crate) type Holds = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The account id is its state, kept in the issuer object, unless `keeper` makes one.
pub(crate) struct FalseProvider {
    name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) settles: Duration,
    pub(crate) keeper: Option<Arc<dyn Keeper>>,
    /// When it wants its certificates renewed.
    pub(crate) windows: Option<Windows>,
    pub(crate) holds_windows: Option<Holds>,
    answer: Box<dyn Fn(Call) -> Answer + Send + Sync>,
}

/// The part of a provider that has to do with options and a state.
pub(crate) trait Keeper: Send + Sync {
    fn options(&self) -> Vec<OptionSchema>;
    fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State>;
    fn activate(&self, state: &State) -> Result<Option<State>, IssuerError>;
    fn accept(&self, policy: &Policy) -> domain::Result<()>;
}

impl FalseProvider {
    pub(crate) fn new<F, A>(name: &'static str, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Progress, IssuerError>> + Send + 'static,
    {
        let answer = Box::new(move |call| -> Answer { Box::pin(answer(call)) });
        Self {
            name,
            needs: Needs::default(),
            settles: Duration::ZERO,
            keeper: None,
            windows: None,
            holds_windows: None,
            answer,
        }
    }

    async fn answer(
        &self,
        order: &Order,
        state: &State,
        at: &Checkpoint,
        cancelling: bool,
    ) -> Result<Progress, IssuerError> {
        let state = String::from_utf8(state.0.to_vec()).unwrap();
        (self.answer)(Call { order: order.clone(), state, at: at.clone(), cancelling }).await
    }
}

fn account(account_id: Option<&str>) -> State {
    State(Zeroizing::new(account_id.unwrap_or_default().as_bytes().to_vec()))
}

#[async_trait]
impl Provider for FalseProvider {
    fn schema(&self) -> IssuerSchema {
        let options = self.keeper.as_ref().map_or_else(Vec::new, |keeper| keeper.options());
        IssuerSchema { provider: self.name, summary: "A test.", options }
    }

    fn state_in_object(&self, _: &VaultName, issuer: &IssuerConfig) -> Option<State> {
        self.keeper.is_none().then(|| account(issuer.credentials.account_id.as_deref()))
    }

    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State> {
        match &self.keeper {
            Some(keeper) => keeper.configure(input, old),
            None => Ok(account(input.account_id.as_deref())),
        }
    }

    async fn activate(&self, state: &State) -> Result<Option<State>, IssuerError> {
        self.keeper.as_ref().map_or(Ok(None), |keeper| keeper.activate(state))
    }

    fn accept(&self, policy: &Policy, _: &State) -> domain::Result<()> {
        self.keeper.as_ref().map_or(Ok(()), |keeper| keeper.accept(policy))
    }

    fn needs(&self) -> Needs {
        self.needs
    }

    fn settles(&self) -> Duration {
        self.settles
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        self.answer(order, state, at, false).await
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        self.answer(order, state, at, true).await
    }

    fn tells_windows(&self) -> bool {
        self.windows.is_some()
    }

    async fn renewal(&self, certificate: &[u8], _: &State) -> Result<Option<RenewalWindow>, IssuerError> {
        let answer = self.windows.as_ref().map_or(Ok(None), |windows| windows(certificate));
        if let Some(holds) = &self.holds_windows {
            holds().await;
        }
        answer
    }

    async fn check(&self, _: &State) -> Health {
        Health::Good(String::new())
    }
}
