//! The steps of one order. GlobalSign knows no reference of ours, so an order is found again by its
//! CSR, which every pending operation has its own, among those since the first try.

use super::names::{is_covered, names, san_type};
use super::problem::{Failure, Verdict};
use super::service::{ORDER, QUERY, Service, call_service, date, order_header, query_header};
use super::settings::{Contact, Settings};
use super::soap::{Node, element};
use super::state::Saved;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::issuer::answers::{is_for_request, pem_chain};
use crate::issuer::provider::{Action, ActionKind, Order, Progress};
use crate::issuer::{FailureClass, IssuerError, Step};
use crate::outbound::Exchange;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The waits between questions, in seconds; the last one stays.
const POLLS: [u64; 7] = [1, 5, 15, 30, 60, 150, 300];
/// How long an order whose answer was lost is given to be listed.
pub(super) const SETTLE: Duration = Duration::from_secs(60);
/// Clocks differ.
const MARGIN: Duration = Duration::from_secs(24 * 3600);
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
            Err(error) => return Ok(Progress::failed(FailureClass::RequestRejected, error.message)),
        };
        let Some(since) = self.saved.since else {
            self.saved.since = Some(self.clock.now());
            // From here on a step that is cut short may have placed the order.
            self.saved.unsure = true;
            return Ok(self.pending(Duration::ZERO, None));
        };
        match self.saved.order.clone() {
            Some(order) => self.look(&order).await,
            None => self.submit(&names, since).await,
        }
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
        let request = self.order_request(names, &product, months, &profile, &domain);
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

    /// The order with this CSR, if GlobalSign has it: one that is still of use before one that ended.
    async fn find_placed(&self, since: Timestamp) -> Result<Option<String>, IssuerError> {
        let option = element("ReturnOrderOption", "true")
            + &element("ReturnCertificateInfo", "true")
            + &element("ReturnFulfillment", "true")
            + &element("ReturnOriginalCSR", "true");
        let request = query_header(self.settings)
            + &element("FromDate", &date(since.minus(MARGIN)))
            + &element("ToDate", &date(self.clock.now().plus(MARGIN)))
            + &format!("<OrderQueryOption>{option}</OrderQueryOption>");
        let answer = self.call(QUERY, "GetOrderByDateRange", &request).await?;
        let mut details = Vec::new();
        answer.all("OrderDetail", &mut details);
        let ours = |detail: &&&Node| detail.text_of("OriginalCSR").is_some_and(|csr| self.is_our_csr(csr));
        let over =
            |detail: &&&Node| ["3", "5", "10"].contains(&detail.text_of("CertificateStatus").unwrap_or_default());
        let found = details.iter().filter(ours).min_by_key(over);
        Ok(found.and_then(|detail| detail.text_of("OrderID")).map(str::to_owned))
    }

    fn is_our_csr(&self, text: &str) -> bool {
        let text = text.replace("-----BEGIN CERTIFICATE REQUEST-----", "");
        let text = text.replace("-----END CERTIFICATE REQUEST-----", "");
        let base64: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        STANDARD.decode(base64).is_ok_and(|der| der == self.order.csr)
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

    fn order_request(&self, names: &[String], product: &str, months: u32, profile: &str, domain: &str) -> String {
        let Contact { first_name, last_name, phone, email } = &self.settings.contact;
        let contact = element("FirstName", first_name)
            + &element("LastName", last_name)
            + &element("Phone", phone)
            + &element("Email", email);
        let common_name = names.first().map(String::as_str).unwrap_or_default();
        let csr = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &self.order.csr);
        let base_option = if product.contains("INTRA") {
            element("BaseOption", "private")
        } else if common_name.starts_with("*.") {
            element("BaseOption", "wildcard")
        } else {
            String::new()
        };
        let sans: String = names
            .iter()
            .filter(|name| !is_covered(name, common_name))
            .map(|name| {
                let entry = element("SANOptionType", san_type(name)) + &element("SubjectAltName", name);
                format!("<SANEntry>{entry}</SANEntry>")
            })
            .collect();
        let options = if sans.is_empty() {
            String::new()
        } else {
            let option = element("OptionName", "SAN") + &element("OptionValue", "True");
            format!("<Options><Option>{option}</Option></Options>")
        };
        let parameter = element("ProductCode", product)
            + &base_option
            + &element("OrderKind", "new")
            + &element("Licenses", "1")
            + &options
            + &format!("<ValidityPeriod>{}</ValidityPeriod>", element("Months", &months.to_string()))
            + &element("CSR", &csr.unwrap_or_default());
        let sans = if sans.is_empty() { sans } else { format!("<SANEntries>{sans}</SANEntries>") };
        format!(
            "{}<OrderRequestParameter>{parameter}</OrderRequestParameter>{}{}<ContactInfo>{contact}</ContactInfo>{sans}",
            order_header(self.settings),
            element("MSSLProfileID", profile),
            element("MSSLDomainID", domain),
        )
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
                let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
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
        let Some(since) = self.saved.since else { return Ok(Progress::new(Step::Cancelled)) };
        let Some(order) = self.saved.order.clone() else {
            return match self.find_placed(since).await? {
                Some(order) => Ok(self.placed(order)),
                None if self.saved.unsure => {
                    self.saved.unsure = false;
                    Ok(self.pending(SETTLE, Some("It is looked for the order once more.".to_owned())))
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
        let index = usize::try_from(self.saved.polls).unwrap_or(usize::MAX).min(POLLS.len() - 1);
        let wait = Duration::from_secs(POLLS.get(index).copied().unwrap_or_default());
        self.saved.polls = self.saved.polls.saturating_add(1);
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
