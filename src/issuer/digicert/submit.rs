//! Placing the order. DigiCert does not refuse a second order of the same `alternative_order_id`, so
//! it is looked for before each try, and an answer that was lost leads back to the look.

use super::names::{Names, Validity};
use super::problem::{Failure, Verdict};
use super::settings::{is_private, validates_names_alone};
use super::state::{Before, Phase, Placed};
use super::steps::{Run, Stop};
use super::wire;
use crate::domain::Timestamp;
use crate::issuer::provider::Progress;
use crate::issuer::{FailureClass, IssuerError};
use base64::{Engine, engine::general_purpose::STANDARD};
use der::pem::LineEnding;
use serde_json::{Value, json};
use std::ops::Deref;
use std::time::Duration;

/// How long an order whose answer was lost is given to be listed.
pub(super) const SETTLE: Duration = Duration::from_secs(30);

impl Run<'_> {
    pub(super) fn validity(&self) -> Validity {
        let product = self.product().unwrap_or_default();
        let most = self.state.settings.ordering.most_days(&product, self.order.created);
        Validity::of(&self.order.policy, self.order.created, most)
    }

    /// Looks whether the order is there, and places it where it is not.
    pub(super) async fn submit(&mut self, names: &Names) -> Result<Progress, Stop> {
        self.saved.validity = Some(self.validity());
        if let Some(placed) = Placing(self).find_placed().await? {
            return Ok(self.placed(placed));
        }
        let product = self.product()?;
        let (path, body) = match self.saved.before {
            Some(Before { order, reissue: true, .. }) => {
                (format!("/order/certificate/{order}/reissue"), Placing(self).reissue_body(names))
            }
            _ => (format!("/order/certificate/{product}"), Placing(self).order_body(names, &product)),
        };
        let answer: wire::Placed = match self.api.post(&path, &body).await {
            Ok(answer) => answer,
            Err(failure) => return self.not_placed(failure).await,
        };
        let reissued = self.saved.before.as_ref().filter(|before| before.reissue).map(|before| before.order);
        let Some(order) = reissued.or(answer.id) else {
            return self.not_placed(Failure::Unreadable("DigiCert's answer names no order.".to_owned())).await;
        };
        let placed = Placed {
            order,
            certificate: answer.certificate_id,
            requests: answer.requests.iter().filter_map(|request| request.id).take(20).collect(),
            reissue: reissued.is_some(),
            random_value: answer.dcv_random_value.filter(|value| !value.is_empty()),
        };
        let chain: Vec<&str> = answer.certificate_chain.iter().map(|certificate| certificate.pem.as_str()).collect();
        if let Some(chain) = self.fitting(chain.join("\n").as_bytes()) {
            return Ok(self.issued(chain).await);
        }
        Ok(self.placed(placed))
    }

    /// DigiCert has the order: what is known of it is saved before anything else is asked.
    fn placed(&mut self, placed: Placed) -> Progress {
        self.saved.phase = Phase::Ordered;
        self.saved.unsure = false;
        self.saved.looked = Some(self.tools.clock.now());
        let details = format!("DigiCert has the order {}.", placed.order);
        self.saved.order = Some(placed);
        self.pending(Duration::ZERO, Some(details))
    }

    async fn not_placed(&mut self, failure: Failure) -> Result<Progress, Stop> {
        match failure.verdict() {
            Verdict::Retry { after, message, unsure: true } => {
                self.saved.unsure = true;
                let wait = after.unwrap_or_default().max(SETTLE);
                let details = format!("It is not known whether DigiCert took the order; it is looked for. {message}");
                Ok(self.pending(wait, Some(details)))
            }
            Verdict::Rejected(message) => Ok(self.fail(FailureClass::RequestRejected, message).await),
            Verdict::NotNow(message) => Err(IssuerError::Retry { after: None, source: message.into() }.into()),
            // Nothing of the request is named by the path but the product.
            Verdict::Missing(message) => Err(IssuerError::Misconfigured { source: message.into() }.into()),
            verdict => Err(verdict.into_error().into()),
        }
    }
}

/// What DigiCert has of a request, and what it is sent to place one.
pub(super) struct Placing<'r, 'a>(pub(super) &'r Run<'a>);

impl<'a> Deref for Placing<'_, 'a> {
    type Target = Run<'a>;

    fn deref(&self) -> &Run<'a> {
        self.0
    }
}

impl Placing<'_, '_> {
    /// The order of the certificate that this one replaces. Another CA's is not known to DigiCert.
    pub(super) async fn find_before(&self, names: &Names) -> Result<Option<Before>, Stop> {
        let Some(certificate) = &self.order.replaces else { return Ok(None) };
        let print: String =
            crate::keys::chain::thumbprint(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
        let order: wire::Order = match self.api.get(&format!("/order/certificate/{print}")).await {
            Ok(order) => order,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) | Verdict::Rejected(_) => return Ok(None),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let Some(number) = order.id.filter(|_| order.status == "issued") else { return Ok(None) };
        let validity = self.validity();
        let end = self.tools.clock.now().plus(Duration::from_secs(u64::from(validity.days) * 86_400));
        let covers = order.order_valid_till.as_deref().and_then(end_of_day).is_some_and(|till| till >= end);
        let product = self.product()?;
        let same = order.product.as_ref().is_none_or(|known| known.name_id == product)
            && order.certificate.as_ref().is_some_and(|certificate| keeps_names(certificate, names));
        let reissue = self.state.settings.ordering.reissue && covers && same;
        let earlier = if reissue { self.earlier_reissues(number).await? } else { Vec::new() };
        Ok(Some(Before { order: number, reissue, earlier }))
    }

    /// The order of this request at DigiCert: the oldest that is still of use.
    pub(super) async fn find_placed(&self) -> Result<Option<Placed>, Stop> {
        if let Some(Before { order, reissue: true, .. }) = self.saved.before {
            return self.find_reissue(order).await;
        }
        let path = format!("/order/alternate/{}", self.order.request_id);
        let found: wire::Found = match self.api.get(&path).await {
            Ok(found) => found,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) => return Ok(None),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let mut orders: Vec<(u64, wire::FoundOrder)> =
            found.orders.into_iter().filter_map(|one| Some((one.order_id?, one))).collect();
        orders.sort_by_key(|(order, one)| (is_over(&one.status), *order));
        Ok(orders.into_iter().next().map(|(order, one)| Placed {
            order,
            certificate: one.certificate_id,
            requests: Vec::new(),
            reissue: false,
            random_value: None,
        }))
    }

    /// The reissues of an order that have the CSR of this request, though it was not sent yet: a caller's own CSR may
    /// come again, and the same RSA key and policy give the same one.
    async fn earlier_reissues(&self, order: u64) -> Result<Vec<u64>, Stop> {
        let answer: wire::Reissues = match self.api.get(&format!("/order/certificate/{order}/reissue")).await {
            Ok(answer) => answer,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) => return Ok(Vec::new()),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let ours = |one: &&wire::Certificate| one.csr.as_deref().is_some_and(|csr| self.is_our_csr(csr));
        Ok(answer.certificates.iter().filter(ours).filter_map(|one| one.id).collect())
    }

    /// Whether a reissue has the CSR of this request, and was not there before it.
    pub(super) fn is_our_reissue(&self, one: &wire::Certificate) -> bool {
        one.csr.as_deref().is_some_and(|csr| self.is_our_csr(csr))
            && !self.saved.before.as_ref().is_some_and(|before| one.id.is_some_and(|id| before.earlier.contains(&id)))
    }

    /// The reissue of this request: the one with its CSR.
    async fn find_reissue(&self, order: u64) -> Result<Option<Placed>, Stop> {
        let answer: wire::Reissues = match self.api.get(&format!("/order/certificate/{order}/reissue")).await {
            Ok(answer) => answer,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) => return Ok(None),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let ours = |one: &&wire::Certificate| self.is_our_reissue(one);
        let found = answer.certificates.iter().filter(ours).min_by_key(|one| (is_over(&one.status), one.id));
        Ok(found.map(|one| Placed {
            order,
            certificate: one.id,
            requests: Vec::new(),
            reissue: true,
            random_value: None,
        }))
    }

    pub(super) fn is_our_csr(&self, text: &str) -> bool {
        let lines = text.lines().filter(|line| !line.contains("-----"));
        let base64: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
        // On one line the words stand beside the base64.
        let base64 = match text.trim().strip_prefix("-----BEGIN CERTIFICATE REQUEST-----") {
            Some(rest) if !text.trim().contains('\n') => rest
                .trim_end_matches("-----END CERTIFICATE REQUEST-----")
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect(),
            _ => base64,
        };
        STANDARD.decode(base64).is_ok_and(|der| der == self.order.csr)
    }

    fn certificate_body(&self, names: &Names) -> Value {
        let csr = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, &self.order.csr);
        json!({
            "common_name": names.common_name,
            "dns_names": names.dns_names,
            // DER that was made here is never too long for it.
            "csr": csr.unwrap_or_default(),
            "signature_hash": self.state.settings.ordering.signature_hash,
            "server_platform": {"id": -1},
            "cert_validity": {"days": self.validity().days},
        })
    }

    fn reissue_body(&self, names: &Names) -> Value {
        let ordering = &self.state.settings.ordering;
        let mut body = json!({
            "certificate": self.certificate_body(names),
            "skip_approval": ordering.skip_approval,
            "comments": self.comment(),
        });
        if !self.product().is_ok_and(|product| is_private(&product)) {
            body["dcv_method"] = json!(self.state.settings.validation.method.name());
        }
        body
    }

    fn order_body(&self, names: &Names, product: &str) -> Value {
        let ordering = &self.state.settings.ordering;
        let mut certificate = self.certificate_body(names);
        if let Some(ca) = &ordering.ca_cert_id {
            certificate["ca_cert_id"] = json!(ca);
        }
        let years = ordering.years.max(self.validity().days.div_ceil(366));
        let mut body = json!({
            "certificate": certificate,
            "order_validity": {"years": years},
            "skip_approval": ordering.skip_approval,
            "payment_method": ordering.payment_method,
            "disable_renewal_notifications": true,
            "alternative_order_id": self.order.request_id.to_string(),
            "comments": self.comment(),
        });
        if let Some(id) = self.organization().filter(|_| !validates_names_alone(product)) {
            body["organization"] = json!({"id": id});
        }
        if !is_private(product) {
            body["dcv_method"] = json!(self.state.settings.validation.method.name());
        }
        if self.order.policy.issuer.certificate_transparency == Some(false) {
            body["disable_ct"] = json!(1);
        }
        if let Some(container) = ordering.container {
            body["container"] = json!({"id": container});
        }
        if let Some(before) = &self.saved.before {
            body["renewal_of_order_id"] = json!(before.order);
        }
        body
    }

    fn comment(&self) -> String {
        format!("certmint: {}/{}", self.order.vault, self.order.certificate)
    }
}

/// Whether no name of the certificate is left out: a reissue takes its place, and it may be revoked then.
fn keeps_names(certificate: &wire::Certificate, names: &Names) -> bool {
    let mut before = certificate.common_name.iter().chain(&certificate.dns_names);
    let now = || names.dns_names.iter().chain([&names.common_name]);
    before.all(|name| now().any(|known| known.eq_ignore_ascii_case(name)))
}

/// An order or certificate that nothing comes of any more.
fn is_over(status: &str) -> bool {
    ["canceled", "cancelled", "rejected", "denied", "revoked", "expired"]
        .contains(&status.to_ascii_lowercase().as_str())
}

/// The last moment of `yyyy-MM-dd`.
fn end_of_day(text: &str) -> Option<Timestamp> {
    let mut parts = text.get(..10)?.split('-').map(str::parse::<i32>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = time::Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    Some(Timestamp::from_seconds(date.midnight().assume_utc().unix_timestamp() + 86_399))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_the_api_is_the_end_of_that_day() {
        assert_eq!(end_of_day("1970-01-01"), Some(Timestamp::from_seconds(86_399)));
        assert_eq!(end_of_day("1970-01-02T00:00:00Z"), Some(Timestamp::from_seconds(2 * 86_400 - 1)));
        for junk in ["", "1970", "1970-13-01", "1970-02-30", "tomorrow!!"] {
            assert_eq!(end_of_day(junk), None, "{junk}");
        }
    }
}
