//! Finding an order again whose answer was lost. Orders carry the request id as their `SubID`; where the list does not
//! repeat it, an order is known by its CSR. Only the orders of one common name are looked at: the orders of a whole day
//! are a large answer, and an account has many.

use super::names::names;
use super::problem::{Failure, Verdict};
use super::service::{QUERY, call_service, date, query_header};
use super::settings::Settings;
use super::soap::{Node, element};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::issuer::IssuerError;
use crate::issuer::provider::Order;
use crate::outbound::Exchange;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;
use tracing::warn;

/// Clocks differ.
const MARGIN: Duration = Duration::from_secs(24 * 3600);
/// So many orders of one name are asked for their CSR; in two days there are fewer.
const MOST: usize = 50;

/// An order that is one of this request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) order: String,
    /// Cancelled or denied.
    pub(super) over: bool,
}

pub(super) struct Search<'a> {
    pub(super) order: &'a Order,
    pub(super) http: &'a dyn Exchange,
    pub(super) clock: &'a dyn Clock,
    pub(super) settings: &'a Settings,
}

impl Search<'_> {
    /// The orders with the request id or the CSR of this request, made at `since` or later.
    pub(super) async fn placed(&self, since: Timestamp) -> Result<Vec<Found>, IssuerError> {
        let common_name = names(&self.order.policy).ok().and_then(|names| names.into_iter().next()).unwrap_or_default();
        let request = query_header(self.settings) + &self.range(since) + &element("FQDN", &common_name);
        let answer = match self.call("GetCertificateOrders", &request).await {
            Ok(answer) => answer,
            Err(failure @ Failure::Refused(_)) => match failure.verdict() {
                verdict @ Verdict::Retry { .. } => return Err(verdict.into_error()),
                Verdict::Misconfigured(message) | Verdict::Rejected(message) => {
                    warn!(message, "GlobalSign does not list the orders of a name; all orders of the day are listed");
                    return self.of_the_day(since).await;
                }
            },
            Err(failure) => return Err(failure.into()),
        };
        let mut listed = Vec::new();
        answer.all("SearchOrderDetail", &mut listed);
        let own = self.order.request_id.to_string();
        let (mut found, mut looks) = (Vec::new(), 0);
        for detail in listed {
            let Some(number) = detail.text_of("OrderID").filter(|number| !number.is_empty()) else { continue };
            let reference = detail.text_of("SubId").or(detail.text_of("SubID")).unwrap_or_default().trim();
            let ours = match reference {
                // Not repeated here, or an order of before there was one.
                "" if looks < MOST => {
                    looks += 1;
                    self.has_our_csr(number).await?
                }
                "" => return self.of_the_day(since).await,
                reference => reference == own,
            };
            if ours {
                let over = is_over(detail.text_of("OrderStatus").unwrap_or_default());
                found.push(Found { order: number.to_owned(), over });
            }
        }
        Ok(found)
    }

    async fn has_our_csr(&self, number: &str) -> Result<bool, IssuerError> {
        let option = element("ReturnOrderOption", "true") + &element("ReturnOriginalCSR", "true");
        let request = query_header(self.settings)
            + &element("OrderID", number)
            + &format!("<OrderQueryOption>{option}</OrderQueryOption>");
        let answer = self.call("GetOrderByOrderID", &request).await?;
        Ok(answer.text_of("OriginalCSR").is_some_and(|csr| self.is_our_csr(csr)))
    }

    /// All orders since then, with their CSRs.
    async fn of_the_day(&self, since: Timestamp) -> Result<Vec<Found>, IssuerError> {
        let option = element("ReturnOrderOption", "true")
            + &element("ReturnCertificateInfo", "true")
            + &element("ReturnOriginalCSR", "true");
        let request = query_header(self.settings)
            + &self.range(since)
            + &format!("<OrderQueryOption>{option}</OrderQueryOption>");
        let answer = self.call("GetOrderByDateRange", &request).await?;
        let mut details = Vec::new();
        answer.all("OrderDetail", &mut details);
        let ours =
            details.iter().filter(|detail| detail.text_of("OriginalCSR").is_some_and(|csr| self.is_our_csr(csr)));
        let found = ours.filter_map(|detail| {
            let order = detail.text_of("OrderID").or(detail.text_of("OrderId"))?.to_owned();
            Some(Found { order, over: is_over(detail.text_of("CertificateStatus").unwrap_or_default()) })
        });
        Ok(found.collect())
    }

    fn range(&self, since: Timestamp) -> String {
        element("FromDate", &date(since.minus(MARGIN))) + &element("ToDate", &date(self.clock.now().plus(MARGIN)))
    }

    fn is_our_csr(&self, text: &str) -> bool {
        let text = text.replace("-----BEGIN CERTIFICATE REQUEST-----", "");
        let text = text.replace("-----END CERTIFICATE REQUEST-----", "");
        let base64: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        STANDARD.decode(base64).is_ok_and(|der| der == self.order.csr)
    }

    async fn call(&self, call: &str, request: &str) -> Result<Node, Failure> {
        call_service(self.http, self.clock, self.settings, QUERY, call, request).await
    }
}

/// Nothing comes of an order in this state.
fn is_over(status: &str) -> bool {
    ["3", "5", "10"].contains(&status)
}
