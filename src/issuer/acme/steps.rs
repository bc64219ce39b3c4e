//! The steps of one order, each from what the checkpoint and the CA say. A step ends before the
//! next outside effect that needs something saved first.

use super::account::{self, to_error};
use super::chain;
use super::jws::{AccountKey, base64url};
use super::names::identifiers;
use super::problem::{Failure, Place, Verdict};
use super::renewal;
use super::session::{Answer, Session};
use super::state::{AcmeState, OpenOrder, Phase, Saved};
use super::wire::{self, OrderStatus};
use crate::issuer::dns::{SolveError, Tools};
use crate::issuer::polls::next_wait;
use crate::issuer::provider::{Action, Order, Progress};
use crate::issuer::{FailureClass, IssuerError, Step};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The waits between questions; the last one stays.
const POLLS: [u64; 9] = [200, 500, 1_000, 2_000, 5_000, 5_000, 15_000, 30_000, 60_000];
/// How often one operation registers the account again.
const REGISTRATIONS: u32 = 3;

/// One call of the port.
pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) tools: &'a Tools,
    pub(super) session: Arc<Session>,
    pub(super) key: AccountKey,
    pub(super) state: AcmeState,
    pub(super) saved: Saved,
}

/// Why a step came to no progress of its own.
pub(super) enum Stop {
    Ca(Failure),
    Solve(SolveError),
    Port(IssuerError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Ca(failure)
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

impl Run<'_> {
    pub(super) async fn advance(mut self) -> Result<Progress, IssuerError> {
        match self.step().await {
            Ok(progress) => Ok(progress),
            Err(Stop::Port(error)) => Err(error),
            Err(Stop::Solve(error)) => Err(error.into()),
            Err(Stop::Ca(failure)) => self.recover(failure.verdict()).await,
        }
    }

    async fn step(&mut self) -> Result<Progress, Stop> {
        if let Some(not_before) = self.saved.not_before {
            let left = not_before.0.saturating_sub(self.tools.clock.now().0);
            if let Ok(left @ 1..) = u64::try_from(left) {
                let details = self.saved.reason.clone();
                return Ok(self.pending(Duration::from_millis(left), details).quiet());
            }
            self.saved.not_before = None;
        }
        if self.state.account_url.is_none() {
            account::register(&self.session, &mut self.state).await?;
            let mut progress = self.pending(Duration::ZERO, None);
            progress.state = Some(self.state.write());
            return Ok(progress);
        }
        let Some(open) = self.saved.order.clone() else { return self.new_order().await };
        match open.phase {
            Phase::New => self.choose(open).await,
            Phase::Answered | Phase::Written => self.prove(open).await,
            Phase::Asked => self.finish(open).await,
        }
    }

    /// Not done; what was learned is in the checkpoint.
    pub(super) fn pending(&self, again: Duration, details: Option<String>) -> Progress {
        Progress::new(Step::Pending { checkpoint: self.saved.write(), details, again })
    }

    /// Waits for the CA or for DNS, longer each time.
    pub(super) fn poll(&mut self, ca_asks: Option<Duration>, details: String, actions: Vec<Action>) -> Progress {
        let mut wait = Duration::ZERO;
        if let Some(open) = &mut self.saved.order {
            wait = Duration::from_millis(next_wait(&POLLS, &mut open.polls));
        }
        let mut progress = self.pending(wait.max(ca_asks.unwrap_or_default()), Some(details));
        progress.actions = actions;
        progress
    }

    pub(super) async fn post(&self, url: &str, payload: Option<&Value>, place: Place) -> Result<Answer, Failure> {
        let kid = self.state.account_url.as_deref();
        self.session.post(&self.key, kid, url, payload, place).await
    }

    /// An address of the CA as it is kept: without the origin of the directory, where it is the same.
    pub(super) fn short(&self, url: &str) -> String {
        let rest = url.strip_prefix(self.origin()).filter(|rest| rest.starts_with('/'));
        rest.unwrap_or(url).to_owned()
    }

    /// The whole address.
    pub(super) fn whole(&self, url: &str) -> String {
        if url.starts_with('/') { format!("{}{url}", self.origin()) } else { url.to_owned() }
    }

    /// Scheme and authority of the directory.
    fn origin(&self) -> &str {
        let directory = self.state.settings.directory.as_str();
        let path = directory.match_indices('/').nth(2).map_or(directory.len(), |(at, _)| at);
        directory.get(..path).unwrap_or(directory)
    }

    /// Makes the order. Its address is saved before anything else is done: newOrder is not
    /// idempotent, and an order that is made twice ends unused.
    async fn new_order(&mut self) -> Result<Progress, Stop> {
        let identifiers = match identifiers(&self.order.policy, self.state.settings.method) {
            Ok(identifiers) => identifiers,
            Err(error) => return Ok(Progress::failed(FailureClass::RequestRejected, error.message).quiet()),
        };
        self.clean().await;
        let directory = self.session.directory().await?;
        let list: Vec<Value> = identifiers.iter().map(|one| json!({"type": one.kind, "value": one.value})).collect();
        let mut payload = json!({"identifiers": list});
        if let Some(profile) = self.profile(&directory.meta)? {
            payload["profile"] = json!(profile);
        }
        let replaced = self.order.replaces.as_deref().filter(|_| !self.saved.without_replaces);
        let replaced = replaced.filter(|_| directory.renewal_info.is_some()).and_then(renewal::identifier);
        if let Some(identifier) = &replaced {
            payload["replaces"] = json!(identifier);
        }
        let answer = match self.post(&directory.new_order, Some(&payload), Place::NewOrder).await {
            // CAs refuse a certificate that they do not know, or that was replaced, in several ways.
            Err(Failure::Problem { status: 400..=499, problem, .. })
                if replaced.is_some()
                    && ["alreadyReplaced", "malformed", "unauthorized", "conflict"].contains(&problem.name()) =>
            {
                self.saved.without_replaces = true;
                return Ok(self.pending(Duration::ZERO, None));
            }
            answer => answer?,
        };
        let order: wire::Order = answer.json()?;
        self.saved.orders = self.saved.orders.saturating_add(1);
        self.saved.reason = None;
        self.saved.order = Some(OpenOrder {
            url: answer.location()?,
            phase: if order.status == OrderStatus::Pending { Phase::New } else { Phase::Asked },
            authorizations: order.authorizations,
            answers: Vec::new(),
            method: None,
            thumbprint: String::new(),
            written: false,
            done: 0,
            polls: 0,
        });
        Ok(self.pending(Duration::ZERO, None))
    }

    /// The profile to request: some CAs choose one at random if none is requested.
    fn profile(&self, meta: &wire::Meta) -> Result<Option<String>, Stop> {
        let settings = &self.state.settings;
        let by_type = self.order.policy.issuer.certificate_type.as_ref();
        let wanted = by_type.and_then(|cty| settings.profiles.get(&cty.to_lowercase())).or(settings.profile.as_ref());
        match wanted {
            Some(wanted) if meta.profiles.is_empty() || meta.profiles.contains_key(wanted) => Ok(Some(wanted.clone())),
            Some(wanted) => {
                let names: Vec<&str> = meta.profiles.keys().map(String::as_str).collect();
                let text = format!("The CA has no profile {wanted:?}. It has: {}.", names.join(", "));
                Err(Stop::Port(IssuerError::Misconfigured { source: text.into() }))
            }
            None => {
                let usual = ["default", "classic"].into_iter().find(|name| meta.profiles.contains_key(*name));
                Ok(usual.map(str::to_owned).or_else(|| meta.profiles.keys().next().cloned()))
            }
        }
    }

    /// After the CA was asked to look: waits, finalizes, downloads, whatever the order says.
    async fn finish(&mut self, open: OpenOrder) -> Result<Progress, Stop> {
        let answer = self.post(&open.url, None, Place::Order).await?;
        let mut order: wire::Order = answer.json()?;
        let mut ca_asks = answer.retry_after;
        if order.status == OrderStatus::Ready {
            // The names are proved; the records are of no more use.
            self.clean().await;
            let payload = json!({"csr": base64url(&self.order.csr)});
            let answer = self.post(&order.finalize, Some(&payload), Place::Finalize).await?;
            order = answer.json()?;
            ca_asks = answer.retry_after;
        }
        match order.status {
            OrderStatus::Valid => self.download(&order).await,
            OrderStatus::Invalid => self.invalid(&order).await,
            OrderStatus::Pending => {
                let names: Vec<&str> = open.answers.iter().map(|answer| answer.identifier.as_str()).collect();
                let names = match names.as_slice() {
                    [] => "the names".to_owned(),
                    [.., _] if names.len() > 5 => format!("{} and {} more", names[..5].join(", "), names.len() - 5),
                    names => names.join(", "),
                };
                Ok(self.poll(ca_asks, format!("The CA is validating {names}."), Vec::new()))
            }
            OrderStatus::Ready | OrderStatus::Processing => {
                Ok(self.poll(ca_asks, "The CA is issuing the certificate.".to_owned(), Vec::new()))
            }
        }
    }

    async fn download(&mut self, order: &wire::Order) -> Result<Progress, Stop> {
        let Some(url) = order.certificate.as_deref() else {
            return Err(Failure::Unreadable("The order is valid and names no certificate.".to_owned()).into());
        };
        let answer = self.post(url, None, Place::Certificate).await?;
        let mut found = chain::read(&answer.response.body)?;
        if let Some(wanted) =
            self.state.settings.preferred_chain.clone().filter(|wanted| !chain::leads_to(&found, wanted))
        {
            for url in chain::alternates(&answer.response.headers) {
                let other = chain::read(&self.post(&url, None, Place::Certificate).await?.response.body)?;
                if chain::leads_to(&other, &wanted) {
                    found = other;
                    break;
                }
            }
        }
        self.clean().await;
        let mut progress = Progress::new(Step::Issued { chain: found });
        progress.withdraw = self.saved.keys();
        Ok(progress)
    }

    /// What to do where a request did not succeed.
    async fn recover(&mut self, verdict: Verdict) -> Result<Progress, IssuerError> {
        match verdict {
            Verdict::AccountForgotten if self.saved.registrations < REGISTRATIONS => {
                self.saved.registrations += 1;
                let withdraw = self.drop_order().await;
                self.state.account_url = None;
                let details = "The CA does not know the account; it is registered again.".to_owned();
                let mut progress = self.pending(Duration::ZERO, Some(details));
                progress.state = Some(self.state.write());
                progress.withdraw = withdraw;
                Ok(progress)
            }
            Verdict::AccountForgotten => Err(IssuerError::Misconfigured {
                source: format!("The CA forgot the account {REGISTRATIONS} times while one order was open.").into(),
            }),
            Verdict::OrderLost(message) => Ok(self.again(FailureClass::IssuerError, message).await),
            Verdict::Rejected(message) => Ok(self.fail(FailureClass::RequestRejected, message).await),
            verdict @ (Verdict::Retry { .. } | Verdict::Misconfigured(_) | Verdict::NotReplaceable) => {
                Err(verdict.into_error())
            }
        }
    }

    /// Asks for the end of the order. RFC 8555 has no cancellation: before the finalization the
    /// pending authorizations are given up; after it the certificate comes.
    pub(super) async fn cancel(mut self) -> Result<Progress, IssuerError> {
        let mut asked = false;
        if let (Some(open), Some(_)) = (self.saved.order.clone(), &self.state.account_url) {
            asked = true;
            let looked = match self.post(&open.url, None, Place::Order).await {
                Ok(answer) => answer.json::<wire::Order>(),
                Err(failure) => Err(failure),
            };
            match looked.map_err(Failure::verdict) {
                Ok(order) if matches!(order.status, OrderStatus::Processing | OrderStatus::Valid) => {
                    return self.advance().await;
                }
                Ok(order) if order.status == OrderStatus::Pending => {
                    self.give_up(&order).await.map_err(to_error)?;
                }
                Ok(_) | Err(Verdict::OrderLost(_) | Verdict::AccountForgotten) => {}
                Err(verdict) => return Err(verdict.into_error()),
            }
        }
        self.clean().await;
        let mut progress = Progress::new(Step::Cancelled);
        progress.withdraw = self.saved.keys();
        progress.asked = asked;
        Ok(progress)
    }
}
