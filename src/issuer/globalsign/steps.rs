//! The steps of one order, each from what the checkpoint and GlobalSign say.

use super::names::names;
use super::problem::{Failure, Verdict};
use super::request::{Wanted, order_request};
use super::search::Search;
use super::service::{ORDER, QUERY, Service, call_service, order_header, query_header};
use super::settings::Settings;
use super::soap::{Node, element};
use super::state::Saved;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::text::readable;
use crate::issuer::answers::{is_for_request, pem_chain};
use crate::issuer::polls::next_wait;
use crate::issuer::provider::{Action, ActionKind, Order, Progress};
use crate::issuer::{FailureClass, IssuerError, Step};
use crate::outbound::Exchange;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The waits between questions, in seconds; the last one stays.
const POLLS: [u64; 7] = [1, 5, 15, 30, 60, 150, 300];
/// How long an order whose answer was lost is given to be listed.
pub(super) const SETTLE: Duration = Duration::from_secs(60);
/// Domains that may be ordered for.
const USABLE: [&str; 4] = ["3", "7", "9", "10"];

/// One call of the port.
pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) http: Arc<dyn Exchange>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: &'a Settings,
    pub(super) saved: Saved,
}

impl Run<'_> {
    pub(super) async fn advance(mut self) -> Result<Progress, IssuerError> {
        let names = match names(&self.order.policy) {
            Ok(names) => names,
            Err(error) => return Ok(Progress::failed(FailureClass::RequestRejected, error.message).quiet()),
        };
        let Some(since) = self.saved.since else { return self.prepare().await };
        match self.saved.order.clone() {
            Some(order) => self.look(&order).await,
            None => self.submit(&names, since).await,
        }
    }

    /// Before the order: what is there already must not be taken for it.
    async fn prepare(&mut self) -> Result<Progress, IssuerError> {
        let now = self.clock.now();
        // A caller's own CSR may come again, and the same RSA key and policy give the same one.
        self.saved.earlier = self.search().placed(now).await?.into_iter().map(|found| found.order).collect();
        self.saved.since = Some(now);
        // From here on a step that is cut short may have placed the order.
        self.saved.unsure = true;
        Ok(self.pending(Duration::ZERO, None))
    }

    /// Looks whether the order is there, and places it where it is not.
    async fn submit(&mut self, names: &[String], since: Timestamp) -> Result<Progress, IssuerError> {
        let cty = self.order.policy.issuer.certificate_type.as_deref();
        let product = self.settings.product(cty).map_err(|error| misconfigured(error.message))?.to_owned();
        let wanted = self.order.policy.x509.validity_months;
        let months = self.settings.months(wanted, &product, self.order.created);
        self.saved.note = (months < wanted).then(|| {
            format!("The policy asks for {wanted} months of validity; {months} were ordered, the most that is allowed.")
        });
        if let Some(order) = self.find_placed(since).await? {
            return Ok(self.placed(order));
        }
        let (profile, domain) = self.profile_and_domain(names, &product).await?;
        let wanted = Wanted { names, product: &product, months, profile: &profile, domain: &domain };
        let request = order_request(self.order, self.settings, &wanted);
        let answer = match self.call(ORDER, "PVOrder", &request).await {
            Ok(answer) => answer,
            Err(failure) => return self.not_placed(failure),
        };
        match answer.text_of("OrderID") {
            Some(order) => Ok(self.placed(order.to_owned())),
            None => self.not_placed(Failure::Unreadable("GlobalSign's answer names no order.".to_owned())),
        }
    }

    fn placed(&mut self, order: String) -> Progress {
        let details = format!("GlobalSign has the order {order}.");
        self.saved.order = Some(order);
        self.saved.unsure = false;
        self.pending(Duration::ZERO, Some(details))
    }

    fn not_placed(&mut self, failure: Failure) -> Result<Progress, IssuerError> {
        match failure.verdict() {
            Verdict::Retry { after, message, unsure: true } => {
                self.saved.unsure = true;
                let details = format!("It is not known whether GlobalSign took the order; it is looked for. {message}");
                Ok(self.pending(after.unwrap_or_default().max(SETTLE), Some(details)))
            }
            Verdict::Rejected(message) => Ok(Progress::failed(FailureClass::RequestRejected, message)),
            verdict => Err(verdict.into_error()),
        }
    }

    /// The order of this request, if GlobalSign has it: one that is still of use before one that ended.
    async fn find_placed(&self, since: Timestamp) -> Result<Option<String>, IssuerError> {
        let found = self.search().placed(since).await?;
        let ours = found.into_iter().filter(|found| !self.saved.earlier.contains(&found.order));
        Ok(ours.min_by_key(|found| found.over).map(|found| found.order))
    }

    fn search(&self) -> Search<'_> {
        Search { order: self.order, http: &*self.http, clock: &*self.clock, settings: self.settings }
    }

    /// The domain of the common name that may be ordered for: the longest that it ends with.
    async fn profile_and_domain(&self, names: &[String], product: &str) -> Result<(String, String), IssuerError> {
        if let (Some(profile), Some(domain)) = (&self.settings.profile, &self.settings.domain) {
            return Ok((profile.clone(), domain.clone()));
        }
        if let (Some(profile), true) = (&self.settings.profile, product.contains("INTRA")) {
            return Ok((profile.clone(), "INTRANETSSLDOMAIN".to_owned()));
        }
        let answer = self.call(ORDER, "GetMSSLDomains", &query_header(self.settings)).await?;
        let mut details = Vec::new();
        answer.all("SearchMsslDomainDetail", &mut details);
        let name = names.first().map(|name| name.trim_start_matches("*.").to_ascii_lowercase()).unwrap_or_default();
        let fits = |detail: &&&Node| {
            let domain = detail.text_of("MSSLDomainName").unwrap_or_default().to_ascii_lowercase();
            let usable = detail.text_of("MSSLDomainStatus").is_none_or(|status| USABLE.contains(&status));
            let wanted = self.settings.domain.as_deref();
            let named = wanted.is_none_or(|wanted| detail.text_of("MSSLDomainID") == Some(wanted));
            usable && named && !domain.is_empty() && (name == domain || name.ends_with(&format!(".{domain}")))
        };
        let found =
            details.iter().filter(fits).max_by_key(|detail| detail.text_of("MSSLDomainName").map_or(0, str::len));
        let found = found.and_then(|detail| {
            let profile = self.settings.profile.as_deref().or(detail.text_of("MSSLProfileID"))?;
            Some((profile.to_owned(), detail.text_of("MSSLDomainID")?.to_owned()))
        });
        found.ok_or_else(|| {
            misconfigured(format!("The GCC account has no usable domain for {name}: add it there, or set domain."))
        })
    }

    /// Asks where the order stands.
    async fn look(&mut self, order: &str) -> Result<Progress, IssuerError> {
        let detail = match self.detail(order).await {
            Ok(detail) => detail,
            // A list may lag behind the answer that named the order.
            Err(failure) => return Err(failure.into()),
        };
        match detail.text_of("CertificateStatus").unwrap_or_default() {
            "4" => Ok(self.issued(order, &detail)),
            "3" | "5" => {
                let message = format!("The order {order} was cancelled at GlobalSign.");
                Ok(Progress::failed(FailureClass::RequestRejected, message))
            }
            "10" => {
                let message = format!("GlobalSign denied the order {order}.");
                Ok(Progress::failed(FailureClass::RequestRejected, message))
            }
            status @ ("6" | "7" | "9") => {
                let what = if status == "9" { "locked" } else { "revoked" };
                let message = format!("The order {order} is {what} at GlobalSign.");
                Ok(Progress::failed(FailureClass::IssuerError, message))
            }
            "8" => {
                let action = Action {
                    kind: ActionKind::Approval,
                    name: format!("GlobalSign order {order}"),
                    value: "Approve the order in GCC.".to_owned(),
                    expires: None,
                };
                let mut progress = self.poll(format!("Approve order {order} in GCC."));
                progress.actions = vec![action];
                Ok(progress)
            }
            "1" | "2" => Ok(self.poll(format!("GlobalSign is working on the order {order}."))),
            other => {
                warn!(status = other, order, "GlobalSign answered a status that is not known");
                let other = readable(other, 40);
                Ok(self.poll(format!("GlobalSign's status of the order is {other:?}.")))
            }
        }
    }

    async fn detail(&self, order: &str) -> Result<Node, Failure> {
        let option = element("ReturnOrderOption", "true")
            + &element("ReturnCertificateInfo", "true")
            + &element("ReturnFulfillment", "true")
            + &element("ReturnCACerts", "true");
        let request = query_header(self.settings)
            + &element("OrderID", order)
            + &format!("<OrderQueryOption>{option}</OrderQueryOption>");
        self.call(QUERY, "GetOrderByOrderID", &request).await
    }

    fn issued(&mut self, order: &str, detail: &Node) -> Progress {
        let mut texts = Vec::new();
        for name in ["X509Cert", "CACert"] {
            let mut found = Vec::new();
            detail.all(name, &mut found);
            texts.extend(found.iter().map(|node| node.text.trim().to_owned()));
        }
        let chain = pem_chain(texts.join("\n").as_bytes());
        match chain.filter(|chain| chain.iter().any(|one| is_for_request(one, &self.order.csr))) {
            Some(chain) => Progress::new(Step::Issued { chain }),
            None => self.poll(format!("The certificate of the order {order} is issued, and cannot be read yet.")),
        }
    }

    /// Asks for the cancellation. An order whose answer was lost is looked for first.
    pub(super) async fn cancel(mut self) -> Result<Progress, IssuerError> {
        let Some(since) = self.saved.since else { return Ok(Progress::new(Step::Cancelled).quiet()) };
        let Some(order) = self.saved.order.clone() else {
            return match self.find_placed(since).await? {
                Some(order) => Ok(self.placed(order)),
                None if self.saved.unsure => {
                    self.saved.unsure = false;
                    Ok(self.pending(SETTLE, Some("The order is looked for once more.".to_owned())))
                }
                None => Ok(Progress::new(Step::Cancelled)),
            };
        };
        let detail = self.detail(&order).await?;
        match detail.text_of("CertificateStatus").unwrap_or_default() {
            "3" | "5" | "6" | "7" | "10" => return Ok(Progress::new(Step::Cancelled)),
            "4" => return Ok(self.issued(&order, &detail)),
            _ => {}
        }
        let request =
            order_header(self.settings) + &element("OrderID", &order) + &element("ModifyOrderOperation", "CANCEL");
        match self.call(ORDER, "ModifyMSSLOrder", &request).await {
            Ok(_) => Ok(Progress::new(Step::Cancelled)),
            Err(Failure::Refused(errors)) => {
                let reason = match Failure::Refused(errors).verdict() {
                    verdict @ Verdict::Retry { .. } => return Err(verdict.into_error()),
                    Verdict::Misconfigured(message) | Verdict::Rejected(message) => message,
                };
                let mut progress = self.look(&order).await?;
                if let Step::Pending { details, .. } = &mut progress.step {
                    let known = details.take().unwrap_or_default();
                    *details = Some(format!("GlobalSign did not grant the cancellation: {reason} {known}"));
                }
                Ok(progress)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn pending(&self, again: Duration, details: Option<String>) -> Progress {
        Progress::new(Step::Pending { checkpoint: self.saved.write(), details, again })
    }

    fn poll(&mut self, details: String) -> Progress {
        let wait = Duration::from_secs(next_wait(&POLLS, &mut self.saved.polls));
        let details = match &self.saved.note {
            Some(note) => format!("{details} {note}"),
            None => details,
        };
        self.pending(wait, Some(details))
    }

    async fn call(&self, service: Service, call: &str, request: &str) -> Result<Node, Failure> {
        call_service(&*self.http, &*self.clock, self.settings, service, call, request).await
    }
}

fn misconfigured(message: impl Into<String>) -> IssuerError {
    IssuerError::Misconfigured { source: message.into().into() }
}
