//! GlobalSign Managed SSL, over the SOAP services of GCC.

mod names;
mod problem;
mod request;
mod search;
mod service;
mod settings;
mod soap;
mod state;
mod steps;

use super::cache::ClientCache;
use super::dns::Tools;
use super::options::problem as option_problem;
use super::provider::{Health, IssuerInput, IssuerSchema, Needs, OptionSchema, Order, Progress, Provider, State};
use super::{Checkpoint, IssuerError};
use crate::domain::requested_policy::CSR;
use crate::domain::subject::common_name;
use crate::domain::{self, Policy, RequestFacts};
use crate::outbound::Exchange;
use async_trait::async_trait;
use problem::Verdict;
use settings::Settings;
use state::{GlobalSignState, Saved};
use std::sync::Arc;
use std::time::Duration;
use steps::Run;

/// The provider `GlobalSign`.
pub struct GlobalSign {
    tools: Tools,
    clients: ClientCache,
}

impl GlobalSign {
    pub fn new(tools: Tools) -> Self {
        Self { tools, clients: ClientCache::default() }
    }

    fn http(&self, settings: &Settings) -> Result<Arc<dyn Exchange>, IssuerError> {
        self.clients.client(&*self.tools.clients, settings.ca_file.as_deref())
    }
}

#[async_trait]
impl Provider for GlobalSign {
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
        if let Some(ca_file) = settings.ca_file.as_deref() {
            let made = self.tools.clients.client(Some(ca_file));
            made.map_err(|error| option_problem("ca_file", error.to_string()))?;
        }
        Ok(GlobalSignState::new(settings).write())
    }

    fn accept(&self, policy: &Policy, state: &State) -> domain::Result<()> {
        let state = GlobalSignState::read(state).map_err(|_| domain::Error::internal())?;
        state.settings.product(policy.issuer.certificate_type.as_deref())?;
        names::names(policy).map(|_| ())
    }

    /// The common name is taken from the request; the other names are sent beside it.
    fn accept_request(&self, request: &RequestFacts, policy: &Policy, _state: &State) -> domain::Result<()> {
        let of = |subject: &str| common_name(subject).map(|name| name.map(|name| name.to_lowercase()));
        if of(&request.subject)? == of(&policy.x509.subject)? {
            return Ok(());
        }
        let problem = "GlobalSign takes the common name from the request: make one with the common name of the policy.";
        Err(domain::Error::field(CSR, problem))
    }

    fn needs(&self) -> Needs {
        Needs { sealed_key: false, common_name_in_sans: true }
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let state = GlobalSignState::read(state)?;
        let (http, clock) = (self.http(&state.settings)?, Arc::clone(&self.tools.clock));
        Run { order, http, clock, settings: &state.settings, saved: Saved::read(at)? }.advance().await
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let state = GlobalSignState::read(state)?;
        let (http, clock) = (self.http(&state.settings)?, Arc::clone(&self.tools.clock));
        Run { order, http, clock, settings: &state.settings, saved: Saved::read(at)? }.cancel().await
    }

    async fn check(&self, state: &State) -> Health {
        let looked = async {
            let state = GlobalSignState::read(state)?;
            let http = self.http(&state.settings)?;
            let domains = service::check(&*http, &*self.tools.clock, &state.settings).await;
            domains.map_err(|failure| match failure.verdict() {
                Verdict::Rejected(message) | Verdict::Misconfigured(message) => {
                    IssuerError::Misconfigured { source: message.into() }
                }
                verdict => verdict.into_error(),
            })
        };
        match looked.await {
            Ok(domains) => Health::Good(format!("GlobalSign knows the user; it may order for {domains} domains.")),
            Err(IssuerError::Retry { source, .. }) => Health::Unknown(source.to_string()),
            Err(IssuerError::Misconfigured { source }) => Health::Bad(source.to_string()),
        }
    }
}
