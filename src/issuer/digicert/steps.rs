//! The steps of one order, each from what the checkpoint and DigiCert say. A step ends before the
//! next outside effect that needs something saved first.

use super::api::Api;
use super::board::{Board, News};
use super::names::{Names, names};
use super::problem::{Failure, Verdict};
use super::settings::{Organization, validates_names_alone};
use super::state::{DigiCertState, Phase, Saved};
use super::submit::Placing;
use super::wire;
use crate::domain::text::readable;
use crate::issuer::dns::{SolveError, Tools};
use crate::issuer::polls::next_wait;
use crate::issuer::provider::{Action, ActionKind, Order, Progress};
use crate::issuer::{FailureClass, IssuerError, Step};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The waits between questions; the last one stays, and from then on one question is asked for all orders.
const POLLS: [u64; 8] = [1, 2, 5, 15, 30, 60, 60, 300];
/// So many looks at what changed are followed by one at the order itself.
const LOOK_AGAIN: u32 = 12;

/// One call of the port.
pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) tools: &'a Tools,
    pub(super) api: Api,
    pub(super) board: Arc<Board>,
    pub(super) state: DigiCertState,
    pub(super) saved: Saved,
}

/// Why a step came to no progress of its own.
pub(super) enum Stop {
    Api(Failure),
    Solve(SolveError),
    Port(IssuerError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Api(failure)
    }
}

impl From<SolveError> for Stop {
    fn from(error: SolveError) -> Self {
        Self::Solve(error)
    }
}

impl From<IssuerError> for Stop {
    fn from(error: IssuerError) -> Self {
        Self::Port(error)
    }
}

impl From<Stop> for IssuerError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Api(failure) => failure.verdict().into_error(),
            Stop::Solve(error) => error.into(),
            Stop::Port(error) => error,
        }
    }
}

impl Run<'_> {
    pub(super) async fn advance(mut self) -> Result<Progress, IssuerError> {
        Ok(self.step().await?)
    }

    pub(super) async fn step(&mut self) -> Result<Progress, Stop> {
        let names = match names(&self.order.policy, &self.state.settings) {
            Ok(names) => names,
            Err(error) if self.saved.phase == Phase::New => {
                return Ok(self.fail(FailureClass::RequestRejected, error.message).await.quiet());
            }
            // DigiCert may have the order: an option that was changed since is to be put right.
            Err(error) => return Err(IssuerError::Misconfigured { source: error.message.into() }.into()),
        };
        match self.saved.phase {
            Phase::New => self.prepare(&names).await,
            Phase::Submitting => self.submit(&names).await,
            Phase::Ordered => self.look(&names).await,
        }
    }

    /// The product that the policy's certificate type stands for.
    pub(super) fn product(&self) -> Result<String, Stop> {
        let cty = self.order.policy.issuer.certificate_type.as_deref();
        let product = self.state.settings.product(cty).map(str::to_owned);
        product.map_err(|error| Stop::Port(IssuerError::Misconfigured { source: error.message.into() }))
    }

    /// The number of the organization. Where it has to be looked up it is kept in the state.
    pub(super) fn organization(&self) -> Option<u64> {
        match self.state.settings.organization {
            Organization::Id(id) => Some(id),
            Organization::Name(_) | Organization::Only => self.state.organization,
        }
    }

    /// Before the order: whom it is for, and whether it renews another one.
    async fn prepare(&mut self, names: &Names) -> Result<Progress, Stop> {
        let product = self.product()?;
        if self.organization().is_none() && !validates_names_alone(&product) {
            self.state.organization = Some(find_organization(&self.api, &self.state.settings.organization).await?);
            let mut progress = self.pending(Duration::ZERO, None);
            progress.state = Some(self.state.write());
            return Ok(progress);
        }
        self.saved.before = Placing(self).find_before(names).await?;
        self.saved.phase = Phase::Submitting;
        // From here on a step that is cut short may have placed the order.
        self.saved.unsure = true;
        let progress = self.pending(Duration::ZERO, None);
        // Only the certificate before is asked for here.
        Ok(if self.order.replaces.is_some() { progress } else { progress.quiet() })
    }

    /// Asks where the order stands: at first itself, later what changed among all orders.
    pub(super) async fn look(&mut self, names: &Names) -> Result<Progress, Stop> {
        let Some(placed) = self.saved.order.clone() else {
            self.saved.phase = Phase::Submitting;
            return Ok(self.pending(Duration::ZERO, None));
        };
        let slow = usize::try_from(self.saved.polls).is_ok_and(|polls| polls >= POLLS.len());
        let proving = self.saved.proof.as_ref().is_some_and(|proof| !proof.found);
        if slow
            && !proving
            && !self.saved.polls.is_multiple_of(LOOK_AGAIN)
            && let Some(since) = self.saved.looked
        {
            match self.board.news(&self.api, placed.order, since).await? {
                News::Changed | News::Unknown => {}
                News::None { until } => {
                    self.saved.looked = Some(until);
                    return Ok(self.poll("DigiCert is working on the order.".to_owned(), Vec::new()));
                }
            }
        }
        let now = self.tools.clock.now();
        if placed.reissue {
            return self.look_at_reissue(names, now).await;
        }
        let order: wire::Order = match self.api.get(&format!("/order/certificate/{}", placed.order)).await {
            Ok(order) => order,
            Err(failure) => return self.lost(failure).await,
        };
        self.saved.looked = Some(now);
        self.judge(names, order).await
    }

    /// What the status of an order means.
    async fn judge(&mut self, names: &Names, order: wire::Order) -> Result<Progress, Stop> {
        self.note_requests(&order.requests);
        let certificate = order.certificate.as_ref().and_then(|certificate| certificate.id);
        if let (Some(placed), Some(certificate)) = (&mut self.saved.order, certificate) {
            placed.certificate = Some(certificate);
        }
        match order.status.to_ascii_lowercase().as_str() {
            "issued" | "approved" => self.download().await,
            "pending" | "reissue_pending" => self.pending_order(names).await,
            "processing" => Ok(self.poll("DigiCert is issuing the certificate.".to_owned(), Vec::new())),
            "waiting_pickup" => {
                Ok(self.poll("The certificate waits at DigiCert to be picked up.".to_owned(), Vec::new()))
            }
            "needs_approval" | "pending_approval" => self.wait_for_approval().await,
            "rejected" | "denied" => {
                let reason = order.requests.iter().find_map(|request| request.processor_comment.clone());
                let reason =
                    reason.filter(|text| !text.trim().is_empty()).map_or_else(String::new, |text| format!(": {text}"));
                let message = format!("DigiCert {} the order {}{reason}.", order.status, self.number());
                Ok(self.fail(FailureClass::RequestRejected, message).await)
            }
            "canceled" | "cancelled" => {
                let message = format!("The order {} was canceled at DigiCert.", self.number());
                Ok(self.fail(FailureClass::RequestRejected, message).await)
            }
            "revoked" | "expired" => {
                let message = format!("The order {} is {} at DigiCert.", self.number(), order.status);
                Ok(self.fail(FailureClass::IssuerError, message).await)
            }
            other => {
                warn!(status = other, order = self.number(), "DigiCert answered a status that is not known");
                let other = readable(other, 40);
                Ok(self.poll(format!("DigiCert's status of the order is {other:?}."), Vec::new()))
            }
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.saved.order.as_ref().map_or(0, |placed| placed.order)
    }

    pub(super) fn note_requests(&mut self, requests: &[wire::Request]) {
        let waits = |request: &&wire::Request| request.status.as_deref().is_none_or(|status| status == "pending");
        let open: Vec<u64> = requests.iter().filter(waits).filter_map(|request| request.id).take(20).collect();
        if let Some(placed) = self.saved.order.as_mut().filter(|_| !requests.is_empty()) {
            placed.requests = open;
        }
    }

    /// Somebody in the account has to approve, if the API key may not.
    pub(super) async fn wait_for_approval(&mut self) -> Result<Progress, Stop> {
        let number = self.number();
        let mut reason = String::new();
        if self.state.settings.ordering.approve {
            let requests = self.saved.order.as_ref().map(|placed| placed.requests.clone()).unwrap_or_default();
            for request in requests {
                let body = json!({"status": "approved", "processor_comment": "Approved by certmint."});
                match self.api.put(&format!("/request/{request}/status"), &body).await {
                    Ok(_) => {}
                    Err(failure @ Failure::Refused { status: 400..=499, .. }) => match failure.verdict() {
                        Verdict::Retry { after, message, .. } => {
                            return Err(IssuerError::Retry { after, source: message.into() }.into());
                        }
                        Verdict::Misconfigured(text)
                        | Verdict::Rejected(text)
                        | Verdict::Missing(text)
                        | Verdict::NotNow(text) => reason = format!(" {text}"),
                    },
                    Err(failure) => return Err(failure.into()),
                }
            }
        }
        let action = Action {
            kind: ActionKind::Approval,
            name: format!("DigiCert order {number}"),
            value: "Approve the request in CertCentral.".to_owned(),
            expires: None,
        };
        Ok(self.poll(format!("Approve order {number} in CertCentral.{reason}"), vec![action]))
    }

    /// Not done; what was learned is in the checkpoint.
    pub(super) fn pending(&self, again: Duration, details: Option<String>) -> Progress {
        Progress::new(Step::Pending { checkpoint: self.saved.write(), details, again })
    }

    /// Waits, longer each time.
    pub(super) fn poll(&mut self, details: String, actions: Vec<Action>) -> Progress {
        let wait = Duration::from_secs(next_wait(&POLLS, &mut self.saved.polls));
        let note = self.saved.validity.and_then(super::names::Validity::note);
        let details = note.map_or_else(|| details.clone(), |note| format!("{details} {note}"));
        let mut progress = self.pending(wait, Some(details));
        progress.actions = actions;
        progress
    }

    /// The end: the requester is given the reason.
    pub(super) async fn fail(&mut self, class: FailureClass, message: String) -> Progress {
        self.clean().await;
        let mut progress = Progress::failed(class, message);
        progress.withdraw = self.saved.files();
        progress
    }

    /// DigiCert does not give the order: it may have another account's key now.
    async fn lost(&mut self, failure: Failure) -> Result<Progress, Stop> {
        match failure.verdict() {
            Verdict::Missing(message) => {
                let number = self.number();
                let text =
                    format!("The API key does not show the order {number}, which was made for this request. {message}");
                Err(IssuerError::Misconfigured { source: text.into() }.into())
            }
            verdict => Err(verdict.into_error().into()),
        }
    }
}

/// The organization of a name, or the only one that can be ordered for.
pub(super) async fn find_organization(api: &Api, wanted: &Organization) -> Result<u64, Stop> {
    let answer: wire::Organizations = api.get("/organization").await?;
    let active: Vec<(u64, &wire::Organization)> =
        answer.organizations.iter().filter(|one| one.is_active()).filter_map(|one| Some((one.id?, one))).collect();
    let matching: Vec<u64> = match wanted {
        Organization::Id(id) => vec![*id],
        Organization::Only => active.iter().map(|(id, _)| *id).collect(),
        Organization::Name(name) => {
            let is = |one: &wire::Organization| {
                one.name.trim().eq_ignore_ascii_case(name) || one.display_name.trim().eq_ignore_ascii_case(name)
            };
            active.iter().filter(|(_, one)| is(one)).map(|(id, _)| *id).collect()
        }
    };
    if let [id] = matching.as_slice() {
        return Ok(*id);
    }
    let known: Vec<String> = active.iter().take(10).map(|(id, one)| format!("{id} ({})", one.name)).collect();
    let which = match wanted {
        Organization::Name(name) if matching.is_empty() => format!("no active organization {name:?}"),
        Organization::Name(name) => format!("several organizations {name:?}"),
        _ if active.is_empty() => "no active organization".to_owned(),
        _ => "several organizations".to_owned(),
    };
    let text = format!(
        "The account has {which}: set the id of the organization (org_details.id) to one of: {}.",
        known.join(", ")
    );
    Err(Stop::Port(IssuerError::Misconfigured { source: text.into() }))
}
