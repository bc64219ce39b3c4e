//! The body of a request to a webhook: CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>)
//! or the schema of Azure Event Grid (<https://learn.microsoft.com/azure/event-grid/event-schema>).

use crate::domain::webhook::{Envelope, EventFacts};
use crate::domain::{CertificateEvent, Timestamp};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An event in its envelope; `base` is the address of its vault.
pub(super) fn body(event: &CertificateEvent, envelope: Envelope, base: &str) -> Vec<u8> {
    let CertificateEvent { id, kind, certificate, at, .. } = event;
    let data = if event.kind.is_azures() { azures(event, base) } else { ours(event, base) };
    let value = match envelope {
        Envelope::CloudEvents => json!({
            "specversion": "1.0",
            "id": id.to_string(),
            "source": base,
            "subject": certificate.as_str(),
            "type": kind.text(),
            "time": text(*at),
            "datacontenttype": "application/json",
            "data": data,
        }),
        Envelope::EventGrid => json!([{
            "id": id.to_string(),
            "topic": base,
            "subject": certificate.as_str(),
            "eventType": kind.text(),
            "eventTime": text(*at),
            "data": data,
            "dataVersion": "1",
            "metadataVersion": "1",
        }]),
    };
    value.to_string().into_bytes()
}

/// The question of Event Grid whether the receiver wants its events.
pub(super) fn validation(id: &str, code: &str, base: &str, now: Timestamp) -> Vec<u8> {
    json!([{
        "id": id,
        "topic": base,
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": text(now),
        "data": { "validationCode": code },
        "dataVersion": "1",
        "metadataVersion": "1",
    }])
    .to_string()
    .into_bytes()
}

/// Of the types that Azure has: its members, with times in seconds.
fn azures(event: &CertificateEvent, base: &str) -> Value {
    let EventFacts { version, not_before, expires, .. } = &event.facts;
    let version = version.map(|version| version.to_string()).unwrap_or_default();
    json!({
        "Id": format!("{base}/certificates/{}/{version}", event.certificate),
        "VaultName": event.vault.as_str(),
        "ObjectType": "Certificate",
        "ObjectName": event.certificate.as_str(),
        "Version": version,
        "NBF": not_before.map(Timestamp::seconds),
        "EXP": expires.map(Timestamp::seconds),
    })
}

/// Of the types of this server: what is known, and nothing where it is not.
fn ours(event: &CertificateEvent, base: &str) -> Value {
    let EventFacts { version, not_before, expires, request_id, status, issuer, error } = &event.facts;
    let id = format!("{base}/certificates/{}", event.certificate);
    let error = error.as_ref().map(|error| json!({ "code": error.code, "message": error.message }));
    let members = [
        ("id", Some(json!(id))),
        ("vault_name", Some(json!(event.vault.as_str()))),
        ("certificate_name", Some(json!(event.certificate.as_str()))),
        ("certificate_version", version.map(|version| json!(version.to_string()))),
        ("not_before", not_before.map(|at| json!(text(at)))),
        ("expires", expires.map(|at| json!(text(at)))),
        ("request_id", request_id.map(|id| json!(id.to_string()))),
        ("status", status.as_ref().map(|status| json!(status))),
        ("issuer_name", issuer.as_ref().map(|issuer| json!(issuer))),
        ("error", error),
    ];
    let known = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect::<Map<_, _>>())
}

/// RFC 3339, in UTC.
fn text(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CertificateName, EventId, EventType, OperationError, RequestId, VaultName, Version};

    const BASE: &str = "https://default.certmint.example";

    /// An event of this type with all that such an event has.
    fn example(kind: EventType) -> CertificateEvent {
        let text = kind.text();
        let operation = text.starts_with("certmint.v1.pending.") || text.contains(".renew");
        let dated = kind.is_azures() || (!operation && !matches!(kind, EventType::Purged | EventType::Test));
        let status = match kind {
            EventType::PendingCompleted | EventType::Renewed => "completed",
            EventType::PendingFailed | EventType::RenewalFailed => "failed",
            EventType::PendingCancelled => "cancelled",
            _ => "inProgress",
        };
        let error = OperationError { code: "Request rejected".into(), message: "The CA refused the request.".into() };
        let facts = EventFacts {
            version: (operation || dated).then(|| Version::parse("0f2c1d0b7a5e4c3f9a8b7c6d5e4f3a2b").unwrap()),
            not_before: dated.then(|| Timestamp::from_seconds(1_796_000_000)),
            expires: dated.then(|| Timestamp::from_seconds(1_827_536_000)),
            request_id: operation.then(|| RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap()),
            status: operation.then(|| status.to_owned()),
            issuer: operation.then(|| "corp".to_owned()),
            error: (status == "failed").then_some(error),
        };
        CertificateEvent {
            id: EventId::parse("3a1b2c3d4e5f40718293a4b5c6d7e8f9").unwrap(),
            kind,
            vault: VaultName::default_vault(),
            certificate: CertificateName::parse(if kind == EventType::Test { "webhook-test" } else { "shop" }).unwrap(),
            at: Timestamp(1_796_000_012_345),
            facts,
        }
    }

    fn shown(kind: EventType, envelope: Envelope) -> String {
        let value: Value = serde_json::from_slice(&body(&example(kind), envelope, BASE)).unwrap();
        format!("```json\n{}\n```", serde_json::to_string_pretty(&value).unwrap())
    }

    #[test]
    fn the_bodies_of_the_page_are_those_that_are_sent() {
        for kind in EventType::ALL {
            let heading = format!("#### Body of `{}`\n\n", kind.text());
            crate::written::compare("docs/events.md", &heading, &shown(*kind, Envelope::CloudEvents));
        }
        let heading = "`aeg-event-type: Notification` and `aeg-delivery-count`:\n\n";
        crate::written::compare("docs/events.md", heading, &shown(EventType::NewVersionCreated, Envelope::EventGrid));
    }
}
