//! ACME (RFC 8555): certificates from any CA that speaks it. The engine is a sequence of small steps over an opaque
//! state and a checkpoint; nothing that matters is only in memory, so every step may be repeated on any replica after a
//! crash at any point.
//!
//! The order of writing: account key, *saved*, newAccount, *address saved*, newOrder, *address
//! saved*, challenges chosen and published, *saved*, the CA is asked to validate, *saved*, finalization,
//! download.

mod account;
mod chain;
mod end;
mod jws;
mod names;
mod problem;
mod prove;
mod renewal;
mod responder;
mod session;
mod settings;
mod state;
mod steps;
mod tls_alpn;
mod wire;

pub use super::dns::{Hook, HookForm, Tools};
pub use responder::{Lookup, Responder};
pub use settings::{PRESETS, Preset};
pub use tls_alpn::{ACME_TLS_ALPN, certified_key};

use super::cache::Cache;
use super::options::problem;
use super::provider::{
    AccountCommand, Health, IssuerInput, IssuerSchema, Needs, Order, Progress, Provider, RenewalWindow, State,
};
use super::{Checkpoint, IssuerError};
use crate::domain::{self, Policy};
use async_trait::async_trait;
use problem::{Failure, Verdict};
use session::Session;
use settings::Settings;
use state::{AcmeState, Method};
use std::sync::Arc;
use steps::Run;

/// More issuer objects than this start with an empty memory again, which costs requests alone.
const SESSIONS: usize = 1024;

/// The directory of a CA and the roots that are trusted for it.
type SessionKey = (String, Option<String>);

/// The ACME provider under one of its names.
pub struct Acme {
    preset: Preset,
    tools: Tools,
    sessions: Cache<SessionKey, Arc<Session>>,
}

impl Acme {
    pub fn new(preset: Preset, tools: Tools) -> Self {
        Self { preset, tools, sessions: Cache::new(SESSIONS) }
    }

    /// The session of an issuer object. Objects with the same CA share one; accounts differ by key.
    fn session(&self, settings: &Settings) -> Result<Arc<Session>, IssuerError> {
        let key = (settings.directory.clone(), settings.ca_file.clone());
        self.sessions.get_or_make(key, || {
            let http = self.tools.clients.client(settings.ca_file.as_deref());
            let http = http.map_err(|error| IssuerError::Misconfigured { source: error.into() })?;
            Ok(Arc::new(Session::new(http, Arc::clone(&self.tools.clock), settings.directory.clone())))
        })
    }

    fn run<'a>(&'a self, order: &'a Order, state: &State, at: &Checkpoint) -> Result<Run<'a>, IssuerError> {
        let state = AcmeState::read(state)?;
        let session = self.session(&state.settings)?;
        let key = account::key(&state).map_err(account::to_error)?;
        Ok(Run { order, tools: &self.tools, session, key, state, saved: state::Saved::read(at)? })
    }
}

#[async_trait]
impl Provider for Acme {
    fn schema(&self) -> IssuerSchema {
        settings::offered(settings::schema(&self.preset), self.tools.tls_alpn_01)
    }

    async fn configure(&self, input: &IssuerInput, old: Option<&State>) -> domain::Result<State> {
        let settings = Settings::parse(&self.preset, input)?;
        if settings.method == Method::TlsAlpn01 && !self.tools.tls_alpn_01 {
            let hint = "This server does not answer tls-alpn-01: use http-01 or dns-01.";
            return Err(problem("challenge", hint));
        }
        if let Some(ca_file) = settings.ca_file.as_deref() {
            self.tools.clients.client(Some(ca_file)).map_err(|error| problem("ca_file", error.to_string()))?;
        }
        if let Some(mut old) = old.and_then(|old| AcmeState::read(old).ok()) {
            let kid = |settings: &Settings| settings.binding.as_ref().map(|binding| binding.kid.clone());
            if old.settings.directory == settings.directory && kid(&old.settings) == kid(&settings) {
                old.settings = settings;
                return Ok(old.write());
            }
        }
        // Another CA, or another external account: another key.
        let key = jws::AccountKey::generate().map_err(|_| domain::Error::internal())?;
        Ok(AcmeState::new(settings, key.to_vec()).write())
    }

    async fn activate(&self, state: &State) -> Result<Option<State>, IssuerError> {
        let mut state = AcmeState::read(state)?;
        let session = self.session(&state.settings)?;
        if state.account_url.is_none() {
            account::register(&session, &mut state).await?;
            // The address is kept before anything else is asked.
            return Ok(Some(state.write()));
        }
        Ok(account::update_contacts(&session, &mut state).await?.then(|| state.write()))
    }

    fn accept(&self, policy: &Policy, state: &State) -> domain::Result<()> {
        let state = AcmeState::read(state).map_err(|_| domain::Error::internal())?;
        names::identifiers(policy, state.settings.method).map(|_| ())
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
        let state = match AcmeState::read(state) {
            Ok(state) => state,
            Err(error) => return Health::Bad(error.to_string()),
        };
        let session = match self.session(&state.settings) {
            Ok(session) => session,
            Err(error) => return Health::Bad(error.to_string()),
        };
        let (looked, good) = match &state.account_url {
            Some(url) => (account::look(&session, &state, url).await, format!("The CA knows the account {url}.")),
            None => {
                let looked = session.directory().await;
                let wants_binding = looked.as_ref().is_ok_and(|known| known.meta.external_account_required);
                if wants_binding && state.settings.binding.is_none() {
                    let hint = "The CA registers accounts only with an external account: set eab_kid and eab_hmac.";
                    return Health::Bad(hint.to_owned());
                }
                let terms = looked.as_ref().ok().and_then(|directory| directory.meta.terms_of_service.clone());
                let terms = terms.map_or_else(String::new, |terms| format!(" Its terms of service: {terms}."));
                (looked.map(|_| ()), format!("The CA answers. No account is registered yet.{terms}"))
            }
        };
        match looked.map_err(Failure::verdict) {
            Ok(()) => Health::Good(good),
            Err(Verdict::Retry { message, .. } | Verdict::OrderLost(message)) => Health::Unknown(message),
            Err(Verdict::Misconfigured(message) | Verdict::Rejected(message)) => Health::Bad(message),
            Err(Verdict::AccountForgotten | Verdict::NotReplaceable) => {
                Health::Unknown("The CA does not know the account; the next order registers it again.".to_owned())
            }
        }
    }

    fn warnings(&self, state: &State) -> Vec<String> {
        let Ok(state) = AcmeState::read(state) else { return Vec::new() };
        let mut warnings = Vec::new();
        if state.settings.method == Method::Http01 && !self.tools.http_01 {
            warnings.push(
                "This server does not answer http-01: set http_listen in [acme], or use another challenge. Orders fail \
                 their validation until a server does."
                    .to_owned(),
            );
        }
        if self.preset.needs_binding && state.settings.binding.is_none() && state.account_url.is_none() {
            let name = self.preset.provider;
            warnings.push(format!(
                "{name} registers accounts only with an external account: set eab_kid and the secret eab_hmac, which \
                 {name} shows in its console."
            ));
        }
        warnings
    }

    /// RFC 9773 section 5: an order that names what it replaces is exempt from rate limits at some CAs.
    fn wants_replaced(&self) -> bool {
        true
    }

    fn tells_windows(&self) -> bool {
        true
    }

    async fn renewal(&self, certificate: &[u8], state: &State) -> Result<Option<RenewalWindow>, IssuerError> {
        let state = AcmeState::read(state)?;
        let session = self.session(&state.settings)?;
        renewal::window(&session, certificate).await.map_err(account::to_error)
    }

    async fn command(&self, command: AccountCommand, state: &State) -> Result<State, IssuerError> {
        let mut state = AcmeState::read(state)?;
        let session = self.session(&state.settings)?;
        match command {
            AccountCommand::PrepareKey => account::next_key(&mut state)?,
            AccountCommand::RollKey => account::roll_key(&session, &mut state).await?,
            AccountCommand::Deactivate => account::deactivate(&session, &mut state).await?,
        }
        Ok(state.write())
    }
}
