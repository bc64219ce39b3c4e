//! GlobalSign Atlas, over its HVCA API: HTTPS with a certificate of the client, and a token for an API key. It issues
//! within seconds and knows no orders: a certificate whose answer was lost is found among those of its time.

mod account;
mod problem;
mod request;
mod settings;
mod state;
mod steps;
mod wire;

use super::cache::Cache;
use super::dns::Tools;
use super::options::problem as option_problem;
use super::provider::{Health, IssuerInput, IssuerSchema, Needs, OptionSchema, Order, Progress, Provider, State};
use super::{Checkpoint, IssuerError};
use crate::domain::{self, Policy, RequestFacts};
use account::Account;
use async_trait::async_trait;
use problem::Verdict;
use settings::Settings;
use state::{AtlasState, Saved};
use std::sync::Arc;
use std::time::Duration;
use steps::Run;

/// More accounts than this start with an empty memory again, which costs a login each.
const ACCOUNTS: usize = 256;
/// The client certificate is warned of so long before it expires.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// The provider `GlobalSignAtlas`.
pub struct Atlas {
    tools: Tools,
    /// By everything that a connection and a login depend on.
    accounts: Cache<String, Arc<Account>>,
}

impl Atlas {
    pub fn new(tools: Tools) -> Self {
        Self { tools, accounts: Cache::new(ACCOUNTS) }
    }

    fn account(&self, settings: &Settings) -> Result<Arc<Account>, IssuerError> {
        self.accounts.get_or_make(settings.fingerprint(), || {
            let http = self.tools.clients.client_with(settings.ca_file.as_deref(), &settings.identity());
            let http = http.map_err(|error| IssuerError::Misconfigured { source: error.into() })?;
            Ok(Arc::new(Account::new(http, Arc::clone(&self.tools.clock), settings.clone())))
        })
    }

    fn run<'a>(&'a self, order: &'a Order, state: &State, at: &Checkpoint) -> Result<Run<'a>, IssuerError> {
        let state = AtlasState::read(state)?;
        let account = self.account(&state.settings)?;
        Ok(Run { order, account, clock: Arc::clone(&self.tools.clock), saved: Saved::read(at)? })
    }
}

#[async_trait]
impl Provider for Atlas {
    fn schema(&self) -> IssuerSchema {
        settings::schema()
    }

    fn settles(&self) -> Duration {
        steps::SETTLE
    }

    fn members(&self) -> Vec<OptionSchema> {
        settings::members()
    }

    async fn configure(&self, input: &IssuerInput, _old: Option<&State>) -> domain::Result<State> {
        let settings = Settings::parse(input)?;
        let made = self.tools.clients.client_with(settings.ca_file.as_deref(), &settings.identity());
        made.map_err(|error| option_problem("client_certificate_file", error.to_string()))?;
        Ok(AtlasState::new(settings).write())
    }

    fn accept(&self, policy: &Policy, _state: &State) -> domain::Result<()> {
        request::names(policy).map(|_| ())
    }

    /// Of a request HVCA reads the public key alone.
    fn accept_request(&self, _request: &RequestFacts, _policy: &Policy, _state: &State) -> domain::Result<()> {
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs { sealed_key: false, common_name_in_sans: true }
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        self.run(order, state, at)?.advance().await
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        self.run(order, state, at)?.cancel().await
    }

    async fn check(&self, state: &State) -> Health {
        let account = match AtlasState::read(state).and_then(|state| self.account(&state.settings)) {
            Ok(account) => account,
            Err(IssuerError::Retry { source, .. }) => return Health::Unknown(source.to_string()),
            Err(IssuerError::Misconfigured { source }) => return Health::Bad(source.to_string()),
        };
        match account.quota().await.map_err(problem::Failure::verdict) {
            Ok(0) => Health::Bad("GlobalSign knows the API key, and its quota of certificates is used up.".to_owned()),
            Ok(left) => Health::Good(format!("GlobalSign knows the API key; it may issue {left} more certificates.")),
            Err(Verdict::Retry { message, .. }) => Health::Unknown(message),
            Err(Verdict::Misconfigured(message) | Verdict::Rejected(message) | Verdict::Missing(message)) => {
                Health::Bad(message)
            }
        }
    }

    fn warnings(&self, state: &State) -> Vec<String> {
        let Ok(state) = AtlasState::read(state) else { return Vec::new() };
        let Some(end) = state.settings.client_expiry() else { return Vec::new() };
        let now = self.tools.clock.now();
        if end > now.plus(EXPIRES_SOON) {
            return Vec::new();
        }
        let when = if end <= now { "has expired" } else { "expires within 30 days" };
        vec![format!("The client certificate {when}: set client_certificate_file and client_key to the next one.")]
    }
}
