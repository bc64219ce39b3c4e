//! One request to a receiver: signed, bounded, and what its answer means.

use super::envelope;
use super::outbox::Equipment;
use super::secrets::Secrets;
use crate::domain::webhook::Envelope;
use crate::domain::{CertificateEvent, Timestamp, Webhook};
use crate::keys::random_id;
use crate::outbound::{ErrorKind, Request, Response, retry_after};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::time::Duration;

/// Bytes of an answer; a larger one counts as none.
const ANSWER: usize = 64 * 1024;
/// Where somebody may mend access on the other side, which takes longer than a breakdown.
const ACCESS: Duration = Duration::from_secs(300);
/// The longest wait that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Taken(String),
    /// It is sent again, no sooner than this.
    Again(String, Duration),
    /// It will never be taken.
    Never(String),
    /// The receiver says that it is gone for good.
    Gone(String),
}

/// What is sent, and with what.
pub(super) struct Sending<'a> {
    pub(super) equipment: &'a Equipment,
    pub(super) webhook: &'a Webhook,
    pub(super) secrets: &'a Secrets,
}

impl Sending<'_> {
    /// Sends an event; `attempt` is 1 the first time.
    pub(super) async fn event(&self, event: &CertificateEvent, attempt: u32, now: Timestamp) -> Outcome {
        let receiver = &self.webhook.receiver;
        let base = self.equipment.options.base(&self.webhook.vault);
        let body = envelope::body(event, receiver.envelope, &base);
        let mut request = self.post(&event.id.to_string(), body, now);
        if receiver.envelope == Envelope::EventGrid {
            put(&mut request.headers, "aeg-event-type", "Notification");
            put(&mut request.headers, "aeg-subscription-name", self.webhook.name.as_str());
            put(&mut request.headers, "aeg-delivery-count", &attempt.saturating_sub(1).to_string());
            put(&mut request.headers, "aeg-data-version", "1");
        }
        match self.exchange(request).await {
            Ok(response) => judge(&response, now),
            Err(outcome) => outcome,
        }
    }

    /// Asks the receiver whether it wants events, as its envelope has it. Answers why not.
    pub(super) async fn handshake(&self, now: Timestamp) -> Result<(), String> {
        let receiver = &self.webhook.receiver;
        let base = self.equipment.options.base(&self.webhook.vault);
        match receiver.envelope {
            Envelope::CloudEvents => {
                let host = base.split("://").nth(1).unwrap_or(&base).to_owned();
                let mut request = Request::new(Method::OPTIONS, &receiver.url);
                self.add_headers(&mut request);
                put(&mut request.headers, "webhook-request-origin", &host);
                let response = self.exchange(request).await.map_err(|outcome| outcome.words().to_owned())?;
                let allowed = response.text("webhook-allowed-origin").map(str::trim);
                match allowed {
                    Some(origin) if origin == "*" || origin.eq_ignore_ascii_case(&host) => Ok(()),
                    _ => Err(format!(
                        "It answered OPTIONS with status {} and no WebHook-Allowed-Origin for {host}.",
                        response.status.as_u16()
                    )),
                }
            }
            Envelope::EventGrid => {
                let (id, code) = (random_id().to_string(), random_id().to_string());
                let mut request = self.post(&id, envelope::validation(&id, &code, &base, now), now);
                put(&mut request.headers, "aeg-event-type", "SubscriptionValidation");
                let response = self.exchange(request).await.map_err(|outcome| outcome.words().to_owned())?;
                let answer: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let agrees = answer["validationResponse"].as_str() == Some(code.as_str());
                if response.status.is_success() && agrees {
                    return Ok(());
                }
                Err(format!(
                    "It answered the validation event with status {} and not with its validationCode.",
                    response.status.as_u16()
                ))
            }
        }
    }

    fn post(&self, id: &str, body: Vec<u8>, now: Timestamp) -> Request {
        let receiver = &self.webhook.receiver;
        let media_type = match receiver.envelope {
            Envelope::CloudEvents => "application/cloudevents+json; charset=utf-8",
            Envelope::EventGrid => "application/json; charset=utf-8",
        };
        let signature = self.secrets.sign(id, now.seconds(), &body);
        let mut request = Request::post(&receiver.url, media_type, body);
        self.add_headers(&mut request);
        put(&mut request.headers, "webhook-id", id);
        put(&mut request.headers, "webhook-timestamp", &now.seconds().to_string());
        put(&mut request.headers, "webhook-signature", &signature);
        request
    }

    fn add_headers(&self, request: &mut Request) {
        for (name, value) in self.secrets.headers() {
            if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                value.set_sensitive(true);
                request.headers.insert(name, value);
            }
        }
    }

    async fn exchange(&self, mut request: Request) -> Result<Response, Outcome> {
        request.max_body = Some(ANSWER);
        let again = |error: crate::outbound::Error| match error.kind {
            // Neither the address nor its certificates become better by themselves, but somebody may mend them.
            ErrorKind::Request | ErrorKind::Settings | ErrorKind::Tls => Outcome::Again(error.to_string(), ACCESS),
            _ => Outcome::Again(error.to_string(), Duration::ZERO),
        };
        let client = self.equipment.client(self.webhook.receiver.ca_certificates.as_deref()).map_err(again)?;
        client.exchange(request).await.map_err(again)
    }
}

impl Outcome {
    /// For people.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Taken(words) | Self::Again(words, _) | Self::Never(words) | Self::Gone(words) => words,
        }
    }
}

/// As Event Grid has it, but that every status of success counts as one.
fn judge(response: &Response, now: Timestamp) -> Outcome {
    let status = response.status;
    let words = format!("It answered with status {}.", status.as_u16());
    match status {
        status if status.is_success() => Outcome::Taken(words),
        StatusCode::GONE => Outcome::Gone(words),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Outcome::Never(words),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Outcome::Again(words, ACCESS),
        _ => {
            let asked = retry_after(response.text("retry-after"), now).unwrap_or_default();
            Outcome::Again(words, asked.min(LONGEST))
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
