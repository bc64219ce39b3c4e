//! Webhooks: where the events of a vault are sent, in which form, and what such an event says.

use super::pending::OperationError;
use super::{
    Blob, CertificateName, Error, EventId, RequestId, Result, Timestamp, VaultName, Version, WebhookId, WebhookName,
};
use serde::{Deserialize, Serialize};

/// Declares each type of event once, with its name on the wire.
macro_rules! event_types {
    ($($(#[$doc:meta])* $kind:ident = $text:literal,)+) => {
        /// What happened to a certificate. The three types of Azure Event Grid have their names there; the others are ours.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $text)] $kind,)+
        }

        impl EventType {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// As receivers see it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)+
                }
            }
        }
    };
}

event_types! {
    /// A version exists that did not exist before.
    NewVersionCreated = "Microsoft.KeyVault.CertificateNewVersionCreated",
    /// The newest version ends in 30 days, or has a tenth of its life left where that is shorter.
    NearExpiry = "Microsoft.KeyVault.CertificateNearExpiry",
    /// The newest version has ended.
    Expired = "Microsoft.KeyVault.CertificateExpired",
    PendingCreated = "certmint.v1.pending.created",
    PendingUpdated = "certmint.v1.pending.updated",
    PendingCompleted = "certmint.v1.pending.completed",
    PendingFailed = "certmint.v1.pending.failed",
    PendingCancelled = "certmint.v1.pending.cancelled",
    PendingDeleted = "certmint.v1.pending.deleted",
    PendingOverwritten = "certmint.v1.pending.overwritten",
    Imported = "certmint.v1.certificate.imported",
    Renewed = "certmint.v1.certificate.renewed",
    RenewalFailed = "certmint.v1.certificate.renewal_failed",
    /// Attributes or tags of a version, or the policy.
    Updated = "certmint.v1.certificate.updated",
    Deleted = "certmint.v1.certificate.deleted",
    Recovered = "certmint.v1.certificate.recovered",
    Purged = "certmint.v1.certificate.purged",
    /// Nothing happened: somebody tries a webhook.
    Test = "certmint.v1.webhook.test",
}

impl EventType {
    /// The three that Azure Key Vault has, too.
    pub const fn is_azures(self) -> bool {
        matches!(self, Self::NewVersionCreated | Self::NearExpiry | Self::Expired)
    }
}

/// What is known of an event beside its type.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct EventFacts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Of the operation, in the words of the REST API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Why the operation failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OperationError>,
}

/// Something that happened to a certificate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CertificateEvent {
    /// The same for every receiver, and whenever it is sent again.
    pub id: EventId,
    pub kind: EventType,
    pub vault: VaultName,
    pub certificate: CertificateName,
    pub at: Timestamp,
    #[serde(default)]
    pub facts: EventFacts,
}

/// The form in which events are sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// CloudEvents 1.0 in structured JSON, one event for each request.
    #[default]
    CloudEvents,
    /// Event Grid's own: an array of one event.
    EventGrid,
}

/// Where a webhook sends.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Receiver {
    pub url: String,
    pub envelope: Envelope,
    /// Whether the receiver has to agree before it gets events, as the envelope has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handshake: bool,
    /// PEM; trusted beside the roots of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
}

/// Why nothing is sent for now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct WebhookPause {
    pub since: Timestamp,
    /// For people.
    pub reason: String,
}

/// A receiver of the events of a vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    pub vault: VaultName,
    pub name: WebhookName,
    /// Another one of the same name has another id.
    pub id: WebhookId,
    pub receiver: Receiver,
    /// Names of types, or beginnings of them with `*` at the end; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// Signing secrets and headers, a JSON object, sealed.
    pub sealed: Blob,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<WebhookPause>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Webhook {
    /// Whether it gets events of this type. A test is for nobody in particular.
    pub fn wants(&self, kind: EventType) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|wanted| fits(wanted, kind))
    }
}

fn fits(wanted: &str, kind: EventType) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => kind.text().starts_with(beginning),
        None => kind.text() == wanted,
    }
}

/// The most types that a webhook names.
const MAX_EVENT_TYPES: usize = 50;

/// Types of events as a request names them.
///
/// # Errors
/// One that no event has.
pub fn event_types(given: &[String]) -> Result<Vec<String>> {
    if given.len() > MAX_EVENT_TYPES {
        return Err(Error::field("event_types", format!("More than {MAX_EVENT_TYPES}.")));
    }
    for wanted in given {
        if !EventType::ALL.iter().any(|kind| fits(wanted, *kind)) {
            let shown: String = wanted.chars().filter(|c| !c.is_control()).take(100).collect();
            let hint = "write one of the types of docs/events.md, or the beginning of some with a * at the end";
            return Err(Error::field("event_types", format!("No event has the type {shown}: {hint}.")));
        }
    }
    Ok(given.to_vec())
}

/// How the delivery of an event went so far.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tries {
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How the last one ended, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// Why an event is not sent any more.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct GivenUp {
    pub at: Timestamp,
    /// For people.
    pub reason: String,
}

/// An event on its way to a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub webhook: WebhookName,
    /// Of the webhook: one that was made anew does not get what was meant for the one before.
    pub webhook_id: WebhookId,
    /// The place among the events of the certificate.
    pub place: i64,
    pub event: CertificateEvent,
    /// Since when it is to be sent.
    pub since: Timestamp,
    /// When the record was to be due, as planned with this body: a claim moves the due time of the record and leaves the
    /// body alone, so where they differ it may be under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Timestamp>,
    #[serde(default)]
    pub tries: Tries,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
}

/// How far the ends of certificates were told to a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExpiryWatch {
    pub vault: VaultName,
    pub webhook: WebhookName,
    pub webhook_id: WebhookId,
    /// What ended before then was told.
    pub told: Timestamp,
    /// Until when the pass under way tells; `None` between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The last key that the pass under way has seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
    /// Deliveries that wait are to be tried at once: the last key that was seen, empty at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waking: Option<String>,
}

const DAY: i64 = 24 * 3600 * 1000;
/// Azure tells so long before the end.
const NEAR: i64 = 30 * DAY;

/// When a version is near its end: 30 days before, or with a tenth of its life left where that is shorter; never before
/// there was a version.
pub fn near_expiry(not_before: Timestamp, expires: Timestamp, created: Timestamp) -> Timestamp {
    let life = expires.0.saturating_sub(not_before.0).max(0);
    Timestamp(expires.0.saturating_sub(NEAR.min(life / 10))).max(created)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_whole_or_by_their_beginning() {
        let given = |words: &[&str]| event_types(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(given(&["certmint.v1.pending.*", "Microsoft.KeyVault.CertificateExpired", "*"]).is_ok());
        for bad in ["certmint.v1.pending", "", "certmint.v2.*", "**"] {
            assert!(given(&[bad]).unwrap_err().message.contains("docs/events.md"), "{bad}");
        }
        assert!(fits("certmint.v1.pending.*", EventType::PendingFailed));
        assert!(!fits("certmint.v1.pending.*", EventType::Purged));
    }

    #[test]
    fn the_end_is_near_thirty_days_before_or_with_a_tenth_of_the_life_left() {
        let start = Timestamp(0);
        let near = |days: i64| near_expiry(start, Timestamp(days * DAY), start).0 / (DAY / 10);
        assert_eq!([400, 200, 90, 10].map(near), [3700, 1800, 810, 90]);
        let late = Timestamp(395 * DAY);
        assert_eq!(near_expiry(start, Timestamp(400 * DAY), late), late, "it was imported then");
    }
}
