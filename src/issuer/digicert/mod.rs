//! DigiCert CertCentral, over its Services API v2 (dev.digicert.com). Everything that matters is in
//! the checkpoint and at DigiCert: an order is found there by the request id, which is its
//! `alternative_order_id`, so that a crash at any point leads to no second order.

mod acme_mode;
mod api;
mod board;
mod dcv;
mod end;
mod names;
mod problem;
mod schema;
mod settings;
mod state;
mod steps;
mod submit;
mod wire;

use super::cache::ClientCache;
use super::dns::Tools;
use super::options::problem;
use super::provider::{
    Health, IssuerInput, IssuerSchema, Needs, OptionSchema, Order, Progress, Provider, RenewalWindow, State,
};
use super::{Checkpoint, IssuerError};
use crate::domain::{self, Policy, RequestFacts};
use api::Api;
use async_trait::async_trait;
use board::Board;
use settings::{Organization, Settings};
use state::{DigiCertState, Saved};
use std::sync::Arc;
use std::time::Duration;
use steps::{Run, find_organization};

/// The provider `DigiCert`.
pub struct DigiCert {
    tools: Tools,
    /// Orders for issuer objects with `mode=acme`.
    acme: Arc<dyn Provider>,
    clients: ClientCache,
    board: Arc<Board>,
}

impl DigiCert {
    /// `acme` is the provider for a CA whose directory is an option.
    pub fn new(tools: Tools, acme: Arc<dyn Provider>) -> Self {
        Self { tools, acme, clients: ClientCache::default(), board: Arc::default() }
    }

    fn api(&self, settings: &Settings) -> Result<Api, IssuerError> {
        let http = self.clients.client(&*self.tools.clients, settings.access.ca_file.as_deref())?;
        Ok(Api { http, clock: Arc::clone(&self.tools.clock), access: settings.access.clone() })
    }

    fn run<'a>(&'a self, order: &'a Order, state: DigiCertState, at: &Checkpoint) -> Result<Run<'a>, IssuerError> {
        let api = self.api(&state.settings)?;
        let saved = Saved::read(at)?;
        Ok(Run { order, tools: &self.tools, api, board: Arc::clone(&self.board), state, saved })
    }
}

#[async_trait]
impl Provider for DigiCert {
    fn schema(&self) -> IssuerSchema {
        schema::schema()
    }

    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State> {
        let settings = Settings::parse(input, &self.tools)?;
        if let Some(ca_file) = settings.access.ca_file.as_deref() {
            let made = self.tools.clients.client(Some(ca_file));
            made.map_err(|error| problem("ca_file", error.to_string()))?;
        }
        let old = old.and_then(|old| DigiCertState::read(old).ok());
        let mut next = DigiCertState::new(settings);
        if let Some(old) = &old
            && old.settings.access == next.settings.access
            && old.settings.organization == next.settings.organization
        {
            next.organization = old.organization;
        }
        if next.settings.acme.is_some() {
            self.configure_acme(&mut next, old.as_ref()).await?;
        }
        Ok(next.write())
    }

    async fn activate(&self, state: &State) -> Result<Option<State>, IssuerError> {
        let mut state = DigiCertState::read(state)?;
        if state.settings.acme.is_some() {
            return self.activate_acme(&mut state).await;
        }
        if matches!(state.settings.organization, Organization::Id(_)) || state.organization.is_some() {
            return Ok(None);
        }
        let api = self.api(&state.settings)?;
        state.organization = Some(find_organization(&api, &state.settings.organization).await?);
        Ok(Some(state.write()))
    }

    fn accept(&self, policy: &Policy, state: &State) -> domain::Result<()> {
        let state = DigiCertState::read(state).map_err(|_| domain::Error::internal())?;
        state.settings.product(policy.issuer.certificate_type.as_deref())?;
        if state.settings.acme.is_some() {
            return self.accept_acme(policy, &state);
        }
        names::names(policy, &state.settings).map(|_| ())
    }

    /// The names of an order are sent beside the request, but for ACME.
    fn accept_request(&self, request: &RequestFacts, policy: &Policy, state: &State) -> domain::Result<()> {
        let state = DigiCertState::read(state).map_err(|_| domain::Error::internal())?;
        if state.settings.acme.is_some() { request.names_all_of(policy) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        Needs { sealed_key: false, common_name_in_sans: true }
    }

    fn wants_replaced(&self) -> bool {
        true
    }

    fn settles(&self) -> Duration {
        submit::SETTLE
    }

    fn members(&self) -> Vec<OptionSchema> {
        schema::members()
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let state = DigiCertState::read(state)?;
        if state.settings.acme.is_some() {
            return self.advance_acme(state, order, at, false).await;
        }
        self.run(order, state, at)?.advance().await
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let state = DigiCertState::read(state)?;
        if state.settings.acme.is_some() {
            return self.advance_acme(state, order, at, true).await;
        }
        self.run(order, state, at)?.cancel().await
    }

    async fn check(&self, state: &State) -> Health {
        let looked = async {
            let state = DigiCertState::read(state)?;
            let api = self.api(&state.settings)?;
            let answer: wire::Organizations = api.get("/organization").await.map_err(steps::Stop::from)?;
            let wanted = match &state.settings.organization {
                Organization::Id(id) => *id,
                other => find_organization(&api, other).await?,
            };
            let found = answer.organizations.into_iter().find(|one| one.id == Some(wanted));
            Ok::<_, IssuerError>((wanted, found))
        };
        match looked.await {
            Ok((id, Some(found))) if found.is_active() => {
                Health::Good(format!("DigiCert knows the API key and the organization {id} ({}).", found.name))
            }
            Ok((id, Some(_))) => Health::Bad(format!("The organization {id} is not active at DigiCert.")),
            Ok((id, None)) => Health::Bad(format!("The account has no organization {id}.")),
            Err(IssuerError::Retry { source, .. }) => Health::Unknown(source.to_string()),
            Err(IssuerError::Misconfigured { source }) => Health::Bad(source.to_string()),
        }
    }

    fn tells_windows(&self) -> bool {
        true
    }

    async fn renewal(&self, certificate: &[u8], state: &State) -> Result<Option<RenewalWindow>, IssuerError> {
        let state = DigiCertState::read(state)?;
        match &state.account {
            Some(account) => {
                let engine = State(zeroize::Zeroizing::new(account.engine.0.clone()));
                self.acme.renewal(certificate, &engine).await
            }
            None => Ok(None),
        }
    }
}
