//! The steps of one request, each from what the checkpoint and GlobalSign say. HVCA takes no reference of the caller: a
//! certificate whose answer was lost is found among those that begin at the second that was asked for, by its key.

use super::account::Account;
use super::problem::Verdict;
use super::request::{body, names};
use super::state::Saved;
use crate::clock::Clock;
use crate::domain::text::readable;
use crate::issuer::answers::{is_for_request, pem_chain};
use crate::issuer::polls::next_wait;
use crate::issuer::provider::{Order, Progress};
use crate::issuer::{FailureClass, IssuerError, Step};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// The waits between questions, in seconds; the last one stays.
const POLLS: [u64; 6] = [1, 2, 5, 15, 30, 60];
/// How long a certificate whose answer was lost is given to be listed.
pub(super) const SETTLE: Duration = Duration::from_secs(30);
/// A certificate that begins longer ago is refused by usual policies (two minutes); another time is asked for.
const STALE: i64 = 90;
/// Clocks differ; in seconds.
const MARGIN: i64 = 120;
/// So many beginnings are looked for.
const BEGINNINGS: usize = 50;
const DAY: i64 = 86_400;

/// One call of the port.
pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) account: Arc<Account>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) saved: Saved,
}

impl Run<'_> {
    pub(super) async fn advance(mut self) -> Result<Progress, IssuerError> {
        if let Err(error) = names(&self.order.policy) {
            return Ok(Progress::failed(FailureClass::RequestRejected, error.message).quiet());
        }
        match (self.saved.serial.clone(), self.saved.beginnings.last().copied()) {
            (Some(serial), _) => self.fetch(&serial).await,
            (None, Some(begins)) => self.submit(begins).await,
            (None, None) => self.prepare().await,
        }
    }

    /// Before the request: how long it may be valid, and what is there already.
    async fn prepare(&mut self) -> Result<Progress, IssuerError> {
        let months = i64::from(self.order.policy.x509.validity_months);
        let wanted = (months * 365 + 11) / 12 * DAY;
        let allowed = self.account.longest_validity().await?.unwrap_or(wanted);
        let most = self.account.settings.max_days.map_or(allowed, |days| allowed.min(i64::from(days) * DAY));
        self.saved.seconds = wanted.min(most);
        if wanted > most {
            let days = most / DAY;
            let text = format!("The policy asks for {months} months of validity; {days} days were asked for, the most");
            self.saved.note = Some(format!("{text} that is allowed."));
        }
        let now = self.clock.now().seconds();
        // A caller's own CSR may come again, as may a key: what begins now is not of this request.
        self.saved.earlier = self.found(now, |begins| begins >= now).await?;
        self.begin(now);
        // From here on a step that is cut short may have made the certificate.
        self.saved.unsure = true;
        Ok(self.pending(Duration::ZERO, None))
    }

    fn begin(&mut self, at: i64) {
        self.saved.beginnings.push(at);
        let above = self.saved.beginnings.len().saturating_sub(BEGINNINGS);
        self.saved.beginnings.drain(..above);
    }

    /// Looks whether the certificate is there, and asks for it where it is not.
    async fn submit(&mut self, begins: i64) -> Result<Progress, IssuerError> {
        if let Some(serial) = self.find().await? {
            return Ok(self.placed(serial));
        }
        let now = self.clock.now().seconds();
        if now - begins > STALE {
            self.begin(now);
            return Ok(self.pending(Duration::ZERO, None));
        }
        let body = body(&self.order.policy, &self.order.csr, &self.account.settings, begins, self.saved.seconds);
        let body = match body {
            Ok(body) => body,
            Err(error) => return Ok(Progress::failed(FailureClass::RequestRejected, error.message)),
        };
        match self.account.request(&body).await {
            Ok(serial) => Ok(self.placed(serial)),
            Err(failure) => match failure.verdict() {
                Verdict::Retry { after, message, unsure: true } => {
                    self.saved.unsure = true;
                    let details =
                        format!("It is not known whether GlobalSign took the request; it is looked for. {message}");
                    Ok(self.pending(after.unwrap_or_default().max(SETTLE), Some(details)))
                }
                Verdict::Rejected(message) => Ok(Progress::failed(FailureClass::RequestRejected, message)),
                Verdict::Missing(message) => Err(IssuerError::Misconfigured { source: message.into() }),
                verdict => Err(verdict.into_error()),
            },
        }
    }

    fn placed(&mut self, serial: String) -> Progress {
        let details = format!("GlobalSign makes the certificate {serial}.");
        self.saved.serial = Some(serial);
        self.saved.unsure = false;
        self.pending(Duration::ZERO, Some(details))
    }

    /// The certificate of this request, if GlobalSign made it.
    async fn find(&self) -> Result<Option<String>, IssuerError> {
        let since = self.saved.beginnings.first().copied().unwrap_or_default();
        let found = self.found(since, |begins| self.saved.beginnings.contains(&begins)).await?;
        Ok(found.into_iter().find(|serial| !self.saved.earlier.contains(serial)))
    }

    /// Certificates with the key of this request, of those since then whose beginning fits.
    async fn found(&self, since: i64, fits: impl Fn(i64) -> bool) -> Result<Vec<String>, IssuerError> {
        let to = self.clock.now().seconds().saturating_add(MARGIN);
        let listed = self.account.issued(since.saturating_sub(MARGIN), to).await?;
        let mut found = Vec::new();
        for line in listed.into_iter().filter(|line| fits(line.not_before)) {
            let Some(read) = self.account.certificate(&line.serial_number).await? else {
                // It may be the one of this request: nothing can be said before it is there.
                let text = format!("GlobalSign makes the certificate {}, which may be this one.", line.serial_number);
                return Err(IssuerError::Retry { after: None, source: text.into() });
            };
            if pem_chain(read.certificate.as_bytes()).is_some_and(|chain| self.is_ours(&chain)) {
                found.push(line.serial_number);
            }
        }
        Ok(found)
    }

    fn is_ours(&self, chain: &[Vec<u8>]) -> bool {
        chain.iter().any(|one| is_for_request(one, &self.order.csr))
    }

    async fn fetch(&mut self, serial: &str) -> Result<Progress, IssuerError> {
        let read = match self.account.certificate(serial).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(self.poll(format!("GlobalSign makes the certificate {serial}."))),
            Err(failure) => match failure.verdict() {
                Verdict::Missing(message) => return Ok(self.poll(message)),
                verdict => return Err(verdict.into_error()),
            },
        };
        match read.status.to_ascii_uppercase().as_str() {
            "ISSUED" => {}
            "REVOKED" => {
                let message = format!("The certificate {serial} is revoked at GlobalSign.");
                return Ok(Progress::failed(FailureClass::IssuerError, message));
            }
            other => {
                warn!(status = other, serial, "GlobalSign answered a status that is not known");
                let other = readable(other, 40);
                return Ok(self.poll(format!("GlobalSign's status of the certificate is {other:?}.")));
            }
        }
        let leaf = pem_chain(read.certificate.as_bytes()).filter(|chain| self.is_ours(chain));
        let Some(mut chain) = leaf else {
            return Ok(self.poll(format!("The certificate {serial} is not of this request's key; it is asked again.")));
        };
        for certificate in self.account.trust_chain().await? {
            if !chain.contains(&certificate) {
                chain.push(certificate);
            }
        }
        Ok(Progress::new(Step::Issued { chain }))
    }

    /// There is no cancellation: what was not asked for ends, and what is made is taken.
    pub(super) async fn cancel(mut self) -> Result<Progress, IssuerError> {
        if self.saved.beginnings.is_empty() {
            return Ok(Progress::new(Step::Cancelled).quiet());
        }
        if let Some(serial) = self.saved.serial.clone() {
            return self.fetch(&serial).await;
        }
        match self.find().await? {
            Some(serial) => Ok(self.placed(serial)),
            None if self.saved.unsure => {
                self.saved.unsure = false;
                Ok(self.pending(SETTLE, Some("The certificate is looked for once more.".to_owned())))
            }
            None => Ok(Progress::new(Step::Cancelled)),
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
}
