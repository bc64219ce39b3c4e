//! The JSON of results: the messages of the contract with their field names, every field always present.
//!
//! Times are RFC 3339 texts, bytes standard base64, enums the names of the contract without their
//! prefix; an absent message is `null`, and of a oneof only the member that is set appears.
//! `docs/cli.md` documents it. Made from the descriptors of the contract, so new fields appear automatically.

use crate::proto::DESCRIPTOR_SET;
use crate::proto::v1::{
    AuthorityState, InstallationState, IssuedState, PendingActionType, PendingEventType, PendingStatus, RenewalState,
    RenewalTrigger, RevocationReason,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Name;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, Value as Field,
};
use serde_json::{Map, Value};
use std::sync::LazyLock;

const TIMESTAMP: &str = "google.protobuf.Timestamp";

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR_SET).ok());

/// A message of the contract. Fields that hold secrets (`debug_redact` in the contract) are left out.
pub(super) fn message<M: Name>(message: &M) -> Value {
    // Messages and descriptors are made from the same files, so this cannot fail; a test reads every message.
    let dynamic = POOL.as_ref().and_then(|pool| {
        let descriptor = pool.get_message_by_name(&M::full_name())?;
        DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok()
    });
    dynamic.map_or(Value::Null, |dynamic| object(&dynamic))
}

pub(super) fn messages<M: Name>(list: &[M]) -> Value {
    list.iter().map(message).collect()
}

pub(super) fn bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn pending_status(value: i32) -> String {
    enum_name(value, "PENDING_STATUS_", PendingStatus::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn event_type(value: i32) -> String {
    enum_name(value, "PENDING_EVENT_TYPE_", PendingEventType::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn action_type(value: i32) -> String {
    enum_name(value, "PENDING_ACTION_TYPE_", PendingActionType::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn renewal_state(value: i32) -> String {
    enum_name(value, "RENEWAL_STATE_", RenewalState::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn renewal_trigger(value: i32) -> String {
    enum_name(value, "RENEWAL_TRIGGER_", RenewalTrigger::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn installation_state(value: i32) -> String {
    enum_name(value, "INSTALLATION_STATE_", InstallationState::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn issued_state(value: i32) -> String {
    enum_name(value, "ISSUED_STATE_", IssuedState::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn revocation_reason(value: i32) -> String {
    enum_name(value, "REVOCATION_REASON_", RevocationReason::try_from(value).ok().map(|it| it.as_str_name()))
}

pub(super) fn authority_state(value: i32) -> String {
    enum_name(value, "AUTHORITY_STATE_", AuthorityState::try_from(value).ok().map(|it| it.as_str_name()))
}

fn object(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    if descriptor.full_name() == TIMESTAMP {
        return time(message);
    }
    let mut members = Map::new();
    for field in descriptor.fields().filter(|field| !is_secret(field)) {
        let there = !field.supports_presence() || message.has_field(&field);
        if !there && is_choice_of_messages(&field) {
            continue;
        }
        let member = if there { member(&field, &message.get_field(&field)) } else { Value::Null };
        members.insert(field.name().to_owned(), member);
    }
    Value::Object(members)
}

fn member(field: &FieldDescriptor, value: &Field) -> Value {
    match value {
        Field::List(values) => values.iter().map(|value| one(&field.kind(), value)).collect(),
        Field::Map(values) => {
            let Kind::Message(entry) = field.kind() else { return Value::Null };
            let kind = entry.map_entry_value_field().kind();
            let members = values.iter().map(|(name, value)| (key(name), one(&kind, value)));
            Value::Object(members.collect())
        }
        value => one(&field.kind(), value),
    }
}

fn one(kind: &Kind, value: &Field) -> Value {
    match value {
        Field::Bool(it) => (*it).into(),
        Field::I32(it) => (*it).into(),
        Field::I64(it) => (*it).into(),
        Field::U32(it) => (*it).into(),
        Field::U64(it) => (*it).into(),
        Field::F32(it) => (*it).into(),
        Field::F64(it) => (*it).into(),
        Field::String(it) => it.as_str().into(),
        Field::Bytes(it) => bytes(it).into(),
        Field::Message(it) => object(it),
        Field::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => enum_name(*number, &prefix(descriptor), name_of(descriptor, *number)).into(),
            _ => (*number).into(),
        },
        Field::List(_) | Field::Map(_) => Value::Null,
    }
}

fn key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(it) => it.to_string(),
        MapKey::I32(it) => it.to_string(),
        MapKey::I64(it) => it.to_string(),
        MapKey::U32(it) => it.to_string(),
        MapKey::U64(it) => it.to_string(),
        MapKey::String(it) => it.clone(),
    }
}

fn time(message: &DynamicMessage) -> Value {
    let part = |name: &str| message.get_field_by_name(name);
    let seconds = part("seconds").and_then(|value| value.as_i64()).unwrap_or_default();
    let nanos = part("nanos").and_then(|value| value.as_i32()).unwrap_or_default();
    prost_types::Timestamp { seconds, nanos }.to_string().into()
}

/// `debug_redact` of google/protobuf/descriptor.proto.
fn is_secret(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").and_then(|value| value.as_bool()).unwrap_or_default()
}

fn is_choice_of_messages(field: &FieldDescriptor) -> bool {
    field
        .containing_oneof()
        .is_some_and(|choice| !choice.is_synthetic() && choice.fields().all(|it| matches!(it.kind(), Kind::Message(_))))
}

fn name_of(descriptor: &EnumDescriptor, number: i32) -> Option<String> {
    descriptor.get_value(number).map(|value| value.name().to_owned())
}

/// `PENDING_STATUS_` of `PendingStatus`.
fn prefix(descriptor: &EnumDescriptor) -> String {
    let mut prefix = String::new();
    for letter in descriptor.name().chars() {
        if letter.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

/// Enums of the contract are open: a value that this client does not know keeps its number.
fn enum_name(value: i32, prefix: &str, name: Option<impl AsRef<str>>) -> String {
    name.map_or_else(|| format!("UNKNOWN_{value}"), |name| name.as_ref().trim_start_matches(prefix).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{
        Certificate, CertificatePolicy, Issuer, IssuerCredentials, KeyProperties, LifetimeAction, PendingEvent,
        PendingOperation, WatchPendingResponse, X509Properties, lifetime_action::Trigger,
        watch_pending_response::Payload,
    };
    use serde_json::json;

    #[test]
    fn every_message_of_the_contract_has_a_json_with_every_member_that_is_no_secret() {
        let pool = POOL.as_ref().expect("the descriptors are well-formed");
        let mut secrets = Vec::new();
        for descriptor in pool.all_messages().filter(|it| it.package_name() == "certmint.v1") {
            let value = object(&DynamicMessage::new(descriptor.clone()));
            for field in descriptor.fields() {
                let there = value.as_object().unwrap().contains_key(field.name());
                assert_eq!(there, !is_secret(&field) && !is_choice_of_messages(&field), "{}", field.full_name());
                if is_secret(&field) {
                    secrets.push(field.full_name()["certmint.v1.".len()..].to_owned());
                }
            }
        }
        secrets.sort();
        assert_eq!(
            secrets,
            [
                "BackupCertificateResponse.value",
                "DecryptResponse.plaintext",
                "EncryptRequest.plaintext",
                "ImportAuthorityRequest.password",
                "ImportAuthorityRequest.value",
                "ImportCertificateRequest.password",
                "ImportCertificateRequest.pem",
                "ImportCertificateRequest.pkcs12",
                "Issuer.secret_options",
                "IssuerCredentials.password",
                "RestoreCertificateRequest.value",
                "Secret.pem",
                "Secret.pkcs12",
                "SetWebhookRequest.secret",
                "SetWebhookRequest.secret_headers",
                "SetWebhookResponse.secret",
                "UnwrapKeyResponse.key",
                "WrapKeyRequest.key",
            ]
        );
    }

    #[test]
    fn an_empty_message_has_every_member() {
        let value = message(&PendingOperation::default());
        assert_eq!(value.as_object().unwrap().len(), 19);
        assert_eq!((&value["status"], &value["create_time"]), (&json!("UNSPECIFIED"), &Value::Null));
    }

    #[test]
    fn every_kind_of_field_has_its_form() {
        let time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
        let value = message(&Certificate {
            cer: vec![1, 2, 3].into(),
            chain: vec![vec![4].into()],
            attributes: Some(crate::proto::v1::CertificateAttributes { created: time, ..Default::default() }),
            tags: [("a".to_owned(), "b".to_owned())].into(),
            policy: Some(CertificatePolicy {
                key_properties: Some(KeyProperties { key_type: 2, key_size: 2048, ..Default::default() }),
                x509_properties: Some(X509Properties { key_usages: vec![1, 77], ..Default::default() }),
                lifetime_actions: vec![LifetimeAction { action: 1, trigger: Some(Trigger::DaysBeforeExpiry(7)) }],
                ..Default::default()
            }),
            ..Default::default()
        });
        assert_eq!(
            (&value["cer"], &value["chain"], &value["tags"]),
            (&json!("AQID"), &json!(["BA=="]), &json!({"a": "b"}))
        );
        assert_eq!(value["attributes"]["created"], "2027-01-15T08:00:00Z");
        assert_eq!((&value["attributes"]["enabled"], &value["preserve_cert_order"]), (&Value::Null, &Value::Null));
        assert_eq!(value["policy"]["x509_properties"]["key_usages"][1], "UNKNOWN_77");
        assert_eq!(value["policy"]["key_properties"]["key_size"], 2048);
        let action = &value["policy"]["lifetime_actions"][0];
        assert_eq!((&action["days_before_expiry"], &action["lifetime_percentage"]), (&json!(7), &Value::Null));
    }

    #[test]
    fn of_messages_of_which_one_can_be_there_only_that_one_is() {
        let event = Payload::Event(PendingEvent::default());
        let value = message(&WatchPendingResponse { resume_token: "t".into(), payload: Some(event) });
        let members: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(members, ["event", "resume_token"]);
    }

    #[test]
    fn values_that_are_not_known_keep_their_number() {
        assert_eq!(pending_status(PendingStatus::InProgress.into()), "IN_PROGRESS");
        assert_eq!(pending_status(99), "UNKNOWN_99");
        assert_eq!(message(&PendingOperation { status: 99, ..Default::default() })["status"], "UNKNOWN_99");
        assert_eq!(message(&PendingOperation { status: 1, ..Default::default() })["status"], pending_status(1));
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = IssuerCredentials { account_id: "account".into(), password: "hunter2".into() };
        let text = message(&Issuer { credentials: Some(credentials), ..Default::default() }).to_string();
        assert!(text.contains("account") && !text.contains("hunter2") && !text.contains("password"), "{text}");
    }
}
