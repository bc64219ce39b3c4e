//! Plug-ins: CAs that another process speaks to, in any language, over the contract `certmint.issuer.v1`. A plug-in is
//! asked and never believed: its chains are checked as those of every provider, its words are bounded and cleaned, and
//! where it does not answer, orders wait.

mod address;
mod connect;
mod description;
mod follow;
mod link;
mod message;
mod options;
mod settings;
mod state;
mod trial;
mod words;

pub use address::{Address, AddressError};
pub use connect::PluginTls;
pub use follow::Hint;
pub use settings::PluginOptions;
pub use trial::{Promise, Trial};

use super::provider::{
    Health, IssuerInput, IssuerSchema, Needs, OptionSchema, Order, Progress, Provider, RenewalWindow, State,
};
use super::{Checkpoint, IssuerError, Step};
use crate::domain::{self, Detail, Policy};
use crate::proto::plugin::v1 as pb;
use async_trait::async_trait;
use description::{Description, interned};
use link::{Link, PROTOCOL, Status};
use state::PluginState;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use words::{Secrets, words};

/// How long setting an issuer waits for the plug-in, which does not contact its CA for it.
const AT_SET: Duration = Duration::from_secs(5);
/// Most problems of an issuer object that are shown, and the longest, in characters.
const MAX_PROBLEMS: usize = 20;
const MAX_PROBLEM: usize = 300;
/// RFC 5280 section 5.3.1.
const CESSATION_OF_OPERATION: u32 = 5;
/// As `grpc.health.v1` knows the plug-in.
const SERVICE: &str = "certmint.issuer.v1.IssuerPluginService";

/// A provider in another process.
pub struct Plugin {
    link: Link,
    known: RwLock<Option<Arc<Description>>>,
}

impl Plugin {
    /// Does not connect yet: a plug-in that is down keeps no server from starting. Needs a runtime.
    ///
    /// # Errors
    /// Settings that do not fit together; also where plug-ins have filled the room for names.
    pub fn new(options: PluginOptions) -> Result<Self, String> {
        let tls = options.tls()?;
        let PluginOptions { name, address, timeout, .. } = options;
        let link = Link::new(interned(&name)?, address, tls, timeout);
        Ok(Self { link, known: RwLock::default() })
    }

    fn known(&self) -> Option<Arc<Description>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn describe(&self) -> Result<Arc<Description>, IssuerError> {
        let protocol_versions = Some(pb::VersionRange { minimum: PROTOCOL, maximum: PROTOCOL });
        let request = self.link.request(pb::DescribeRequest { protocol_versions });
        let mut client = self.link.client();
        let answer = self.link.within(client.describe(request)).await;
        let answer = answer.map_err(|status| self.link.error(&status, &Secrets::default()))?;
        let read = Description::read(self.link.name, answer, self.link.connections());
        // The description of an earlier version of the plug-in is no longer valid.
        let described = read.inspect_err(|_| self.forget())?;
        let described = Arc::new(described);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&described));
        Ok(described)
    }

    fn forget(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the plug-in is; asked anew where there was another connection since, which may lead to another version.
    async fn described(&self) -> Result<Arc<Description>, IssuerError> {
        match self.known() {
            Some(known) if known.connection == self.link.connections() => Ok(known),
            _ => self.describe().await,
        }
    }

    /// The issuer object as it is sent, once it fits what the plug-in says of itself: it may have been set while the
    /// plug-in was down.
    async fn issuer(&self, state: &State, name: &str) -> Result<(pb::IssuerConfig, Secrets), IssuerError> {
        let state = PluginState::read(state)?;
        let described = self.described().await?;
        options::check(&described, &state.input())
            .map_err(|error| IssuerError::Misconfigured { source: error.message.into() })?;
        Ok((state.message(self.link.name, name), state.hidden()))
    }

    async fn validate(&self, issuer: pb::IssuerConfig, ask_ca: bool) -> Result<pb::ValidateIssuerResponse, Status> {
        let request = self.link.request(pb::ValidateIssuerRequest { issuer: Some(issuer), ask_ca });
        let mut client = self.link.client();
        match self.link.within(client.validate_issuer(request)).await {
            Err(status) if status.code() == Code::Unimplemented && ask_ca => Ok(pb::ValidateIssuerResponse {
                message: "The plug-in answers; it cannot try credentials.".to_owned(),
                problems: Vec::new(),
            }),
            answer => answer,
        }
    }

    /// False where the plug-in has no revocation.
    async fn revoke(&self, certificate_der: Vec<u8>, state: &State) -> Result<bool, IssuerError> {
        let (issuer, secrets) = self.issuer(state, "").await?;
        let reason = CESSATION_OF_OPERATION;
        let request = self.link.request(pb::RevokeRequest { issuer: Some(issuer), certificate_der, reason });
        let mut client = self.link.client();
        match self.link.within(client.revoke(request)).await {
            Ok(pb::RevokeResponse {}) => Ok(true),
            Err(status) if status.code() == Code::Unimplemented => Ok(false),
            Err(status) => Err(self.link.error(&status, &secrets)),
        }
    }

    /// Whether the plug-in says that it serves; one without the health service does.
    async fn serves(&self) -> Result<bool, Status> {
        let mut client = HealthClient::new(self.link.channel());
        let request = self.link.request(HealthCheckRequest { service: SERVICE.to_owned() });
        match self.link.within(client.check(request)).await {
            Ok(answer) => Ok(answer.status() == ServingStatus::Serving),
            // It knows health, and not this name; or it does not know health.
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(true),
            Err(status) => Err(status),
        }
    }
}

/// What the plug-in says is wrong with an issuer object, as the error of whoever sets it.
fn problems(answer: pb::ValidateIssuerResponse, secrets: &Secrets) -> domain::Result<()> {
    let mut problems = answer.problems.into_iter().take(MAX_PROBLEMS).map(|pb::FieldProblem { field, problem }| {
        let problem = words(&problem, MAX_PROBLEM, secrets);
        (options::path(&words(&field, 100, secrets)), problem)
    });
    let Some((path, problem)) = problems.next() else { return Ok(()) };
    let first = domain::Error::field(path, problem);
    Err(problems.fold(first, |error, (path, problem)| error.with(Detail::Field { path, problem })))
}

#[async_trait]
impl Provider for Plugin {
    fn schema(&self) -> IssuerSchema {
        match self.known() {
            Some(known) => known.schema.clone(),
            None => IssuerSchema {
                provider: self.link.name,
                summary: "A CA behind a plug-in, which has not answered yet.",
                options: Vec::new(),
            },
        }
    }

    fn members(&self) -> Vec<OptionSchema> {
        self.known().map(|known| known.members.clone()).unwrap_or_default()
    }

    fn is_described(&self) -> bool {
        self.known().is_some()
    }

    fn takes_options(&self) -> bool {
        self.known().is_none_or(|known| !known.schema.options.is_empty())
    }

    /// An issuer object can be set while its plug-in is down: what is wrong with it is then said by its orders.
    async fn configure(&self, input: &IssuerInput, _old: Option<&State>) -> domain::Result<State> {
        let state = PluginState::of(input);
        let described = match tokio::time::timeout(AT_SET, self.described()).await {
            Ok(Ok(described)) => Some(described),
            _ => self.known(),
        };
        let Some(described) = described else { return Ok(state.write()) };
        options::check(&described, input)?;
        let issuer = state.message(self.link.name, "");
        if let Ok(Ok(answer)) = tokio::time::timeout(AT_SET, self.validate(issuer, false)).await {
            problems(answer, &state.hidden())?;
        }
        Ok(state.write())
    }

    /// Tries the credentials, so that the log says at once what the first order would.
    async fn activate(&self, state: &State) -> Result<Option<State>, IssuerError> {
        let (issuer, secrets) = self.issuer(state, "").await?;
        let answer = self.validate(issuer, true).await.map_err(|status| self.link.error(&status, &secrets))?;
        problems(answer, &secrets).map_err(|error| IssuerError::Misconfigured { source: error.message.into() })?;
        Ok(None)
    }

    fn wants_replaced(&self) -> bool {
        true
    }

    fn accept(&self, policy: &Policy, _state: &State) -> domain::Result<()> {
        self.known().map_or(Ok(()), |known| known.accept(policy))
    }

    fn needs(&self) -> Needs {
        // Host names among the alternative names are right for every CA that was not asked yet.
        let common_name_in_sans = self.known().is_none_or(|known| known.common_name_in_sans);
        Needs { sealed_key: false, common_name_in_sans }
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let (issuer, secrets) = self.issuer(state, &order.policy.issuer.name).await?;
        let request = self.link.request(pb::AdvanceRequest {
            order: Some(message::order(order)),
            issuer: Some(issuer),
            checkpoint: at.0.clone(),
        });
        let mut client = self.link.client();
        match self.link.within(client.advance(request)).await {
            Ok(pb::AdvanceResponse { progress }) => message::progress(self.link.name, progress, &secrets),
            Err(status) => Err(self.link.error(&status, &secrets)),
        }
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        let (issuer, secrets) = self.issuer(state, &order.policy.issuer.name).await?;
        let request = self.link.request(pb::CancelRequest {
            order: Some(message::order(order)),
            issuer: Some(issuer),
            checkpoint: at.0.clone(),
        });
        let mut client = self.link.client();
        match self.link.within(client.cancel(request)).await {
            Ok(pb::CancelResponse { progress }) => message::progress(self.link.name, progress, &secrets),
            // A CA without cancellation: what was not begun ends, and the rest goes on to its end.
            Err(status) if status.code() == Code::Unimplemented && at.0.is_empty() => {
                Ok(Progress::new(Step::Cancelled))
            }
            Err(status) if status.code() == Code::Unimplemented => self.advance(order, state, at).await,
            Err(status) => Err(self.link.error(&status, &secrets)),
        }
    }

    async fn check(&self, state: &State) -> Health {
        let (issuer, secrets) = match self.issuer(state, "").await {
            Ok(issuer) => issuer,
            Err(error @ IssuerError::Misconfigured { .. }) => return Health::Bad(error.to_string()),
            Err(error @ IssuerError::Retry { .. }) => return Health::Unknown(error.to_string()),
        };
        let verdict = |status: Status| match self.link.error(&status, &secrets) {
            error @ IssuerError::Misconfigured { .. } => Health::Bad(error.to_string()),
            error @ IssuerError::Retry { .. } => Health::Unknown(error.to_string()),
        };
        match self.serves().await {
            Ok(true) => {}
            Ok(false) => {
                return Health::Unknown(format!("The plug-in {} says that it does not serve.", self.link.name));
            }
            Err(status) => return verdict(status),
        }
        let answer = match self.validate(issuer, true).await {
            Ok(answer) => answer,
            Err(status) => return verdict(status),
        };
        let message = words(&answer.message, MAX_PROBLEM, &secrets);
        match problems(answer, &secrets) {
            Err(error) => Health::Bad(error.message),
            Ok(()) if message.is_empty() => Health::Good("The plug-in finds nothing wrong.".to_owned()),
            Ok(()) => Health::Good(message),
        }
    }

    fn tells_windows(&self) -> bool {
        true
    }

    async fn renewal(&self, certificate: &[u8], state: &State) -> Result<Option<RenewalWindow>, IssuerError> {
        let (issuer, secrets) = self.issuer(state, "").await?;
        let certificate_der = certificate.to_vec();
        let request = self.link.request(pb::RenewalInfoRequest { issuer: Some(issuer), certificate_der });
        let mut client = self.link.client();
        match self.link.within(client.renewal_info(request)).await {
            Ok(answer) => Ok(message::window(answer, &secrets)),
            Err(status) if status.code() == Code::Unimplemented => Ok(None),
            Err(status) => Err(self.link.error(&status, &secrets)),
        }
    }
}
