//! The ends of an order: the certificate, or a cancellation.

use super::names::{Names, names};
use super::problem::{Failure, Verdict};
use super::state::Phase;
use super::steps::{Run, Stop};
use super::submit::{Placing, SETTLE};
use super::wire;
use crate::domain::Timestamp;
use crate::issuer::answers::{is_for_request, pem_chain};
use crate::issuer::dns;
use crate::issuer::provider::Progress;
use crate::issuer::{FailureClass, IssuerError, Step};
use serde_json::json;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tracing::warn;

impl Run<'_> {
    /// The certificates of an answer, if one of them is for this request.
    pub(super) fn fitting(&self, pem: &[u8]) -> Option<Vec<Vec<u8>>> {
        pem_chain(pem).filter(|chain| chain.iter().any(|one| is_for_request(one, &self.order.csr)))
    }

    /// The certificate is there. The API sometimes gives the one before, or another one of the order.
    pub(super) async fn download(&mut self) -> Result<Progress, Stop> {
        let placed = self.saved.order.clone();
        let Some(certificate) = placed.as_ref().and_then(|placed| placed.certificate) else {
            let text = "The certificate is issued, and DigiCert does not name it yet.".to_owned();
            return Ok(self.poll(text, Vec::new()));
        };
        let answer = match self.api.download(&format!("/certificate/{certificate}/download/format/pem_all")).await {
            Ok(answer) => answer,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(message) | Verdict::NotNow(message) | Verdict::Rejected(message) => {
                    let text = format!("The certificate is issued, and cannot be downloaded yet. {message}");
                    return Ok(self.poll(text, Vec::new()));
                }
                verdict => return Err(verdict.into_error().into()),
            },
        };
        match self.fitting(&answer.body) {
            Some(chain) => Ok(self.issued(chain).await),
            None => {
                warn!(order = self.number(), certificate, "DigiCert gave a certificate of another key");
                let text = "DigiCert gave a certificate of another key; it is asked again.".to_owned();
                Ok(self.poll(text, Vec::new()))
            }
        }
    }

    pub(super) async fn issued(&mut self, chain: Vec<Vec<u8>>) -> Progress {
        self.clean().await;
        let mut progress = Progress::new(Step::Issued { chain });
        progress.withdraw = self.saved.files();
        progress
    }

    /// A reissue has its own line among the certificates of its order.
    pub(super) async fn look_at_reissue(&mut self, names: &Names, now: Timestamp) -> Result<Progress, Stop> {
        let order = self.number();
        let answer: wire::Reissues = self.api.get(&format!("/order/certificate/{order}/reissue")).await?;
        let id = self.saved.order.as_ref().and_then(|placed| placed.certificate);
        let by_id = answer.certificates.iter().find(|one| id.is_some() && one.id == id);
        let ours = |one: &&wire::Certificate| Placing(self).is_our_reissue(one);
        let found = by_id.or_else(|| answer.certificates.iter().find(ours)).cloned();
        self.saved.looked = Some(now);
        let Some(found) = found else {
            return Ok(self.poll(format!("DigiCert does not list the reissue of the order {order} yet."), Vec::new()));
        };
        if let Some(placed) = &mut self.saved.order {
            placed.certificate = found.id.or(placed.certificate);
        }
        match found.status.to_ascii_lowercase().as_str() {
            "issued" | "approved" => self.download().await,
            "rejected" | "denied" | "canceled" | "cancelled" => {
                let message = format!("The reissue of the order {order} was {} at DigiCert.", found.status);
                Ok(self.fail(FailureClass::RequestRejected, message).await)
            }
            "revoked" | "expired" => {
                let message = format!("The reissue of the order {order} is {} at DigiCert.", found.status);
                Ok(self.fail(FailureClass::IssuerError, message).await)
            }
            "needs_approval" => self.wait_for_approval().await,
            _ => self.pending_order(names).await,
        }
    }

    /// Asks for the cancellation. An order whose answer was lost is looked for first.
    pub(super) async fn cancel(mut self) -> Result<Progress, IssuerError> {
        Ok(Cancelling(&mut self).cancelled().await?)
    }

    /// Removes the records of the names. Nothing waits for that: what cannot be removed now is logged.
    pub(super) async fn clean(&mut self) {
        let Some(proof) = self.saved.proof.as_mut().filter(|proof| proof.written) else { return };
        proof.written = false;
        let records = proof.records();
        let Some(settings) = &self.state.settings.validation.dns else { return };
        let solver = match dns::solver(settings, self.tools) {
            Ok(solver) => solver,
            Err(error) => return warn!(?error, "DNS records could not be removed"),
        };
        dns::erase(&*solver, &records).await;
    }
}

/// The cancellation of an order, and what follows where it is not granted.
struct Cancelling<'r, 'a>(&'r mut Run<'a>);

impl<'a> Deref for Cancelling<'_, 'a> {
    type Target = Run<'a>;

    fn deref(&self) -> &Run<'a> {
        self.0
    }
}

impl DerefMut for Cancelling<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0
    }
}

impl Cancelling<'_, '_> {
    async fn cancelled(&mut self) -> Result<Progress, Stop> {
        if self.saved.phase == Phase::New {
            return Ok(self.over().await.quiet());
        }
        if self.saved.order.is_none() {
            let Some(placed) = Placing(self.0).find_placed().await? else {
                if self.saved.unsure {
                    self.saved.unsure = false;
                    return Ok(self.pending(SETTLE, Some("The order is looked for once more.".to_owned())));
                }
                return Ok(self.over().await);
            };
            self.saved.order = Some(placed);
            self.saved.phase = Phase::Ordered;
            return Ok(self.pending(Duration::ZERO, None));
        }
        let number = self.number();
        let order: wire::Order = match self.api.get(&format!("/order/certificate/{number}")).await {
            Ok(order) => order,
            Err(failure) => match failure.verdict() {
                // Gone, or not ours: there is nothing to cancel.
                Verdict::Missing(_) => return Ok(self.over().await),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        self.note_requests(&order.requests);
        let reissue = self.saved.order.as_ref().is_some_and(|placed| placed.reissue);
        match order.status.to_ascii_lowercase().as_str() {
            "canceled" | "cancelled" | "rejected" | "denied" | "revoked" | "expired" => Ok(self.over().await),
            "needs_approval" => self.reject_requests().await,
            "issued" if !reissue => self.go_on("It was issued before.").await,
            _ => self.ask_to_cancel().await,
        }
    }

    /// The call is allowed for orders that wait; of a reissue it ends the reissue alone.
    async fn ask_to_cancel(&mut self) -> Result<Progress, Stop> {
        let number = self.number();
        let body = json!({"status": "canceled", "note": format!("Canceled by certmint ({}).", self.order.certificate)});
        match self.api.put(&format!("/order/certificate/{number}/status"), &body).await {
            Ok(_) => Ok(self.over().await),
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) => Ok(self.over().await),
                verdict @ Verdict::Retry { .. } => Err(verdict.into_error().into()),
                Verdict::Misconfigured(message) | Verdict::Rejected(message) | Verdict::NotNow(message) => {
                    self.go_on(&message).await
                }
            },
        }
    }

    /// An order that was not approved yet is no order: its request is rejected.
    async fn reject_requests(&mut self) -> Result<Progress, Stop> {
        let requests = self.saved.order.as_ref().map(|placed| placed.requests.clone()).unwrap_or_default();
        if requests.is_empty() {
            return self.ask_to_cancel().await;
        }
        for request in requests {
            let body = json!({"status": "rejected", "processor_comment": "Canceled by certmint."});
            match self.api.put(&format!("/request/{request}/status"), &body).await {
                Ok(_) => {}
                Err(failure @ Failure::Refused { status: 400..=499, .. }) => match failure.verdict() {
                    Verdict::Missing(_) => {}
                    verdict @ Verdict::Retry { .. } => return Err(verdict.into_error().into()),
                    Verdict::Misconfigured(message) | Verdict::Rejected(message) | Verdict::NotNow(message) => {
                        return self.go_on(&message).await;
                    }
                },
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(self.over().await)
    }

    /// The cancellation is not granted: the order goes on, and its certificate is taken.
    async fn go_on(&mut self, reason: &str) -> Result<Progress, Stop> {
        let names = match names(&self.order.policy, &self.state.settings) {
            Ok(names) => names,
            Err(error) => return Err(IssuerError::Misconfigured { source: error.message.into() }.into()),
        };
        // Asked at once: what stands in the list may be older than the cancellation.
        self.saved.looked = None;
        let mut progress = self.look(&names).await?;
        if let Step::Pending { details, .. } = &mut progress.step {
            let order = details.take().unwrap_or_default();
            *details = Some(format!("DigiCert did not grant the cancellation: {reason} {order}").trim().to_owned());
        }
        Ok(progress)
    }

    async fn over(&mut self) -> Progress {
        self.clean().await;
        let mut progress = Progress::new(Step::Cancelled);
        progress.withdraw = self.saved.files();
        progress
    }
}
