//! The JSON of results: the messages of the contract with their field names, every field always there.
//!
//! Times are RFC 3339 texts, bytes standard base64, enums the names of the contract without their
//! prefix; what a message leaves out is `null`. `docs/cli.md` documents it.

pub(super) mod manage;

use crate::proto::v1::{
    BookmarkReason, Certificate, CertificateAttributes, CertificatePolicy, DeletionRecoveryLevel, Issuer,
    IssuerAttributes, IssuerItem, IssuerParameters, KeyCurve, KeyProperties, KeyType, KeyUsage, LifetimeAction,
    LifetimeActionType, OperationError, OrganizationDetails, PendingEvent, PendingEventType, PendingOperation,
    PendingStatus, WatchBookmark, WatchPendingResponse, X509Properties, lifetime_action::Trigger,
    watch_pending_response::Payload,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_types::Timestamp;
use serde_json::{Value, json};

pub(super) fn operation(message: &PendingOperation) -> Value {
    let PendingOperation {
        id,
        vault_name,
        certificate_name,
        request_id,
        issuer,
        csr,
        cancellation_requested,
        status,
        status_details,
        error,
        target,
        certificate_version,
        create_time,
        update_time,
        revision,
    } = message;
    json!({
        "id": id,
        "vault_name": vault_name,
        "certificate_name": certificate_name,
        "request_id": request_id,
        "issuer": issuer.as_ref().map(issuer_parameters),
        "csr": bytes(csr),
        "cancellation_requested": cancellation_requested,
        "status": pending_status(*status),
        "status_details": status_details,
        "error": error.as_ref().map(operation_error),
        "target": target,
        "certificate_version": certificate_version,
        "create_time": time(create_time.as_ref()),
        "update_time": time(update_time.as_ref()),
        "revision": revision,
    })
}

pub(super) fn watch_message(message: &WatchPendingResponse) -> Value {
    let WatchPendingResponse { resume_token, payload } = message;
    match payload {
        Some(Payload::Event(it)) => json!({ "resume_token": resume_token, "event": event(it) }),
        Some(Payload::Bookmark(it)) => json!({ "resume_token": resume_token, "bookmark": bookmark(it) }),
        None => json!({ "resume_token": resume_token }),
    }
}

pub(super) fn certificate(message: &Certificate) -> Value {
    let Certificate {
        id,
        vault_name,
        certificate_name,
        certificate_version,
        key_id,
        secret_id,
        thumbprint,
        cer,
        chain,
        content_type,
        policy,
        attributes,
        tags,
        preserve_cert_order,
        pending_id,
    } = message;
    json!({
        "id": id,
        "vault_name": vault_name,
        "certificate_name": certificate_name,
        "certificate_version": certificate_version,
        "key_id": key_id,
        "secret_id": secret_id,
        "thumbprint": bytes(thumbprint),
        "cer": bytes(cer),
        "chain": chain.iter().map(|der| bytes(der)).collect::<Vec<_>>(),
        "content_type": content_type,
        "policy": policy.as_ref().map(certificate_policy),
        "attributes": attributes.as_ref().map(certificate_attributes),
        "tags": tags,
        "preserve_cert_order": preserve_cert_order,
        "pending_id": pending_id,
    })
}

/// Without the password and the secret options, which are never answered either.
pub(super) fn issuer(message: &Issuer) -> Value {
    let Issuer {
        id,
        vault_name,
        issuer_name,
        provider,
        credentials,
        organization,
        attributes,
        ca_certificates,
        options,
        secret_options: _,
    } = message;
    json!({
        "id": id,
        "vault_name": vault_name,
        "issuer_name": issuer_name,
        "provider": provider,
        "credentials": credentials.as_ref().map(|it| json!({ "account_id": it.account_id })),
        "organization": organization.as_ref().map(organization_details),
        "attributes": attributes.as_ref().map(|IssuerAttributes { enabled, created, updated }| json!({
            "enabled": enabled,
            "created": time(created.as_ref()),
            "updated": time(updated.as_ref()),
        })),
        "ca_certificates": ca_certificates.iter().map(|der| bytes(der)).collect::<Vec<_>>(),
        "options": options,
    })
}

pub(super) fn issuer_item(message: &IssuerItem) -> Value {
    let IssuerItem { id, issuer_name, provider } = message;
    json!({ "id": id, "issuer_name": issuer_name, "provider": provider })
}

pub(super) fn bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn pending_status(value: i32) -> String {
    enum_name(value, "PENDING_STATUS_", |it: PendingStatus| it.as_str_name())
}

pub(super) fn event_type(value: i32) -> String {
    enum_name(value, "PENDING_EVENT_TYPE_", |it: PendingEventType| it.as_str_name())
}

pub(super) fn bookmark_reason(value: i32) -> String {
    enum_name(value, "BOOKMARK_REASON_", |it: BookmarkReason| it.as_str_name())
}

fn event(message: &PendingEvent) -> Value {
    let PendingEvent { r#type, operation: of, previous_status, event_time } = message;
    json!({
        "type": event_type(*r#type),
        "operation": of.as_ref().map(operation),
        "previous_status": pending_status(*previous_status),
        "event_time": time(event_time.as_ref()),
    })
}

fn bookmark(message: &WatchBookmark) -> Value {
    let WatchBookmark { reason, server_time } = message;
    json!({ "reason": bookmark_reason(*reason), "server_time": time(server_time.as_ref()) })
}

pub(super) fn operation_error(message: &OperationError) -> Value {
    let OperationError { code, message, inner_error } = message;
    json!({ "code": code, "message": message, "inner_error": inner_error.as_deref().map(operation_error) })
}

fn issuer_parameters(message: &IssuerParameters) -> Value {
    let IssuerParameters { name, certificate_type, certificate_transparency } = message;
    json!({
        "name": name,
        "certificate_type": certificate_type,
        "certificate_transparency": certificate_transparency,
    })
}

fn certificate_attributes(message: &CertificateAttributes) -> Value {
    let CertificateAttributes { enabled, not_before, expires, created, updated, recoverable_days, recovery_level } =
        message;
    json!({
        "enabled": enabled,
        "not_before": time(not_before.as_ref()),
        "expires": time(expires.as_ref()),
        "created": time(created.as_ref()),
        "updated": time(updated.as_ref()),
        "recoverable_days": recoverable_days,
        "recovery_level":
            enum_name(*recovery_level, "DELETION_RECOVERY_LEVEL_", |it: DeletionRecoveryLevel| it.as_str_name()),
    })
}

pub(super) fn certificate_policy(message: &CertificatePolicy) -> Value {
    let CertificatePolicy {
        id,
        key_properties,
        secret_properties,
        x509_properties: x509,
        lifetime_actions,
        issuer,
        attributes,
    } = message;
    json!({
        "id": id,
        "key_properties": key_properties.as_ref().map(key),
        "secret_properties": secret_properties.as_ref().map(|it| json!({ "content_type": it.content_type })),
        "x509_properties": x509.as_ref().map(x509_properties),
        "lifetime_actions": lifetime_actions.iter().map(lifetime_action).collect::<Vec<_>>(),
        "issuer": issuer.as_ref().map(issuer_parameters),
        "attributes": attributes.as_ref().map(certificate_attributes),
    })
}

fn key(message: &KeyProperties) -> Value {
    let KeyProperties { exportable, key_type, key_size, reuse_key, curve } = message;
    json!({
        "exportable": exportable,
        "key_type": enum_name(*key_type, "KEY_TYPE_", |it: KeyType| it.as_str_name()),
        "key_size": key_size,
        "reuse_key": reuse_key,
        "curve": enum_name(*curve, "KEY_CURVE_", |it: KeyCurve| it.as_str_name()),
    })
}

fn x509_properties(message: &X509Properties) -> Value {
    let X509Properties { subject, ekus, subject_alternative_names, key_usages, validity_months, basic_constraints } =
        message;
    let usage = |value: &i32| enum_name(*value, "KEY_USAGE_", |it: KeyUsage| it.as_str_name());
    json!({
        "subject": subject,
        "ekus": ekus,
        "subject_alternative_names": subject_alternative_names.as_ref().map(|names| json!({
            "emails": names.emails,
            "dns_names": names.dns_names,
            "upns": names.upns,
            "uris": names.uris,
            "ip_addresses": names.ip_addresses,
        })),
        "key_usages": key_usages.iter().map(usage).collect::<Vec<_>>(),
        "validity_months": validity_months,
        "basic_constraints": basic_constraints.as_ref().map(|it| json!({ "ca": it.ca })),
    })
}

fn lifetime_action(message: &LifetimeAction) -> Value {
    let LifetimeAction { action, trigger } = message;
    let (percentage, days) = match trigger {
        Some(Trigger::LifetimePercentage(percentage)) => (Some(percentage), None),
        Some(Trigger::DaysBeforeExpiry(days)) => (None, Some(days)),
        None => (None, None),
    };
    json!({
        "lifetime_percentage": percentage,
        "days_before_expiry": days,
        "action": enum_name(*action, "LIFETIME_ACTION_TYPE_", |it: LifetimeActionType| it.as_str_name()),
    })
}

fn organization_details(message: &OrganizationDetails) -> Value {
    let OrganizationDetails { id, administrators } = message;
    let administrators: Vec<Value> = administrators
        .iter()
        .map(|it| json!({ "first_name": it.first_name, "last_name": it.last_name, "email": it.email, "phone": it.phone }))
        .collect();
    json!({ "id": id, "administrators": administrators })
}

fn time(time: Option<&Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}

/// Enums of the contract are open: a value that this client does not know keeps its number.
fn enum_name<E: TryFrom<i32>>(value: i32, prefix: &str, name: impl Fn(E) -> &'static str) -> String {
    match E::try_from(value) {
        Ok(known) => name(known).trim_start_matches(prefix).to_owned(),
        Err(_) => format!("UNKNOWN_{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::IssuerCredentials;

    #[test]
    fn an_empty_message_has_every_member() {
        let value = operation(&PendingOperation::default());
        assert_eq!(value.as_object().unwrap().len(), 15);
        assert_eq!((&value["status"], &value["create_time"]), (&json!("UNSPECIFIED"), &Value::Null));
    }

    #[test]
    fn values_that_are_not_known_keep_their_number() {
        assert_eq!(pending_status(PendingStatus::InProgress.into()), "IN_PROGRESS");
        assert_eq!(pending_status(99), "UNKNOWN_99");
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = IssuerCredentials { account_id: "account".into(), password: "hunter2".into() };
        let text = issuer(&Issuer { credentials: Some(credentials), ..Default::default() }).to_string();
        assert!(text.contains("account") && !text.contains("hunter2") && !text.contains("password"), "{text}");
    }
}
