//! gRPC responses translated to those of the REST API. Members that REST lacks are left out here, and listed:
//! [`GRPC_ALONE`] is the whole list.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use certmint::proto::v1::{self, lifetime_action::Trigger};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The members that only the gRPC API has; `docs/api.md` says so too.
pub(super) const GRPC_ALONE: [&str; 22] = [
    "Certificate.certificate_name",
    "Certificate.certificate_version",
    "Certificate.chain",
    "Certificate.content_type",
    "Certificate.vault_name",
    "CertificateItem.certificate_name",
    "CertificateItem.certificate_version",
    "CertificateItem.vault_name",
    "IssuerItem.enabled",
    "IssuerItem.issuer_name",
    "Key.key_name and key_version",
    "Key.vault_name",
    "KeyItem.key_name and key_version",
    "PendingOperation.certificate_name",
    "PendingOperation.certificate_version",
    "PendingOperation.create_time and update_time",
    "PendingOperation.issuer.certificate_type",
    "PendingOperation.revision",
    "PendingOperation.vault_name",
    "Secret.secret_name and secret_version",
    "Secret.vault_name",
    "SecretItem.secret_name and secret_version",
];

/// Translates, and remembers what was left out.
#[derive(Default)]
pub(super) struct Translation {
    pub(super) left_out: BTreeSet<&'static str>,
}

impl Translation {
    fn leave_out(&mut self, name: &'static str, present: bool) {
        if present {
            self.left_out.insert(name);
        }
    }

    pub(super) fn operation(&mut self, operation: v1::PendingOperation) -> Value {
        let v1::PendingOperation {
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
            actions,
            trigger,
            replaced_version,
            batch,
        } = operation;
        let v1::IssuerParameters { name, certificate_type, certificate_transparency: _ } = issuer.unwrap();
        self.leave_out("PendingOperation.vault_name", !vault_name.is_empty());
        self.leave_out("PendingOperation.certificate_name", !certificate_name.is_empty());
        self.leave_out("PendingOperation.certificate_version", !certificate_version.is_empty());
        self.leave_out("PendingOperation.create_time and update_time", create_time.is_some() && update_time.is_some());
        self.leave_out("PendingOperation.revision", revision > 0);
        self.leave_out("PendingOperation.actions", !actions.is_empty());
        self.leave_out("PendingOperation.issuer.certificate_type", !certificate_type.is_empty());
        let status = v1::PendingStatus::try_from(status).unwrap();
        let word = match status {
            v1::PendingStatus::InProgress => "inProgress",
            v1::PendingStatus::Completed => "completed",
            v1::PendingStatus::Cancelled => "cancelled",
            v1::PendingStatus::Failed => "failed",
            v1::PendingStatus::Unspecified => panic!("never sent"),
        };
        let mut members = json!({
            "id": id,
            "issuer": {"name": name},
            "csr": STANDARD.encode(csr),
            "cancellation_requested": cancellation_requested,
            "status": word,
            "request_id": request_id,
        });
        // A text is empty over gRPC where REST leaves the member out.
        let completed = status == v1::PendingStatus::Completed;
        assert_eq!(completed, !target.is_empty());
        if completed {
            assert_eq!(status_details, "");
            members["target"] = target.into();
        } else {
            members["status_details"] = status_details.into();
        }
        self.leave_out("PendingOperation.replaced_version", !replaced_version.is_empty());
        if let Ok(trigger @ 1..) = u32::try_from(trigger) {
            members["trigger"] = ["lifetime", "ari", "emergency", "manual"][trigger as usize - 1].into();
        }
        if !batch.is_empty() {
            members["batch"] = batch.into();
        }
        if let Some(v1::OperationError { code, message, inner_error }) = error {
            assert_eq!(inner_error, None);
            members["error"] = json!({"code": code, "message": message});
        }
        members
    }

    pub(super) fn certificate(&mut self, certificate: v1::Certificate) -> Value {
        let v1::Certificate {
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
        } = certificate;
        self.leave_out("Certificate.vault_name", !vault_name.is_empty());
        self.leave_out("Certificate.certificate_name", !certificate_name.is_empty());
        self.leave_out("Certificate.certificate_version", !certificate_version.is_empty());
        self.leave_out("Certificate.chain", !chain.is_empty());
        self.leave_out("Certificate.content_type", !content_type.is_empty());
        let mut members = json!({"id": id, "attributes": attributes_of_certificate(attributes.unwrap())});
        let mut set = |name: &str, present: bool, value: Value| {
            if present {
                members[name] = value;
            }
        };
        set("kid", !key_id.is_empty(), key_id.clone().into());
        set("sid", !secret_id.is_empty(), secret_id.clone().into());
        set("x5t", !thumbprint.is_empty(), URL_SAFE_NO_PAD.encode(thumbprint).into());
        set("cer", !cer.is_empty(), STANDARD.encode(&cer).into());
        set("tags", !tags.is_empty(), json!(tags));
        set("preserveCertOrder", preserve_cert_order.is_some(), json!(preserve_cert_order));
        set("pending", !pending_id.is_empty(), json!({"id": pending_id}));
        if let Some(policy) = policy {
            set("policy", true, self::policy(policy));
        }
        members
    }

    /// A certificate in a list; `subject` is Key Vault's constant, which means nothing.
    pub(super) fn item(&mut self, item: v1::CertificateItem) -> Value {
        let attributes = item.attributes.unwrap();
        assert_eq!((attributes.recoverable_days, attributes.recovery_level), (0, 0), "a list says nothing of recovery");
        let mut members = self.listed(item);
        members["subject"] = "".into();
        members["attributes"] = json!({
            "enabled": attributes.enabled,
            "nbf": seconds(attributes.not_before),
            "exp": seconds(attributes.expires),
            "created": seconds(attributes.created),
            "updated": seconds(attributes.updated),
        });
        members
    }

    /// What all items of lists have.
    fn listed(&mut self, item: v1::CertificateItem) -> Value {
        let v1::CertificateItem {
            id,
            vault_name,
            certificate_name,
            certificate_version,
            attributes: _,
            tags,
            thumbprint,
        } = item;
        self.leave_out("CertificateItem.vault_name", !vault_name.is_empty());
        self.leave_out("CertificateItem.certificate_name", !certificate_name.is_empty());
        self.leave_out("CertificateItem.certificate_version", !certificate_version.is_empty());
        let mut members = json!({"id": id});
        if !thumbprint.is_empty() {
            members["x5t"] = URL_SAFE_NO_PAD.encode(thumbprint).into();
        }
        with_tags(members, tags)
    }

    pub(super) fn deleted(&mut self, deleted: v1::DeletedCertificate) -> Value {
        let v1::DeletedCertificate { certificate, recovery_id, deleted_time, scheduled_purge_time } = deleted;
        let members = self.certificate(certificate.unwrap());
        with_deletion(members, recovery_id, deleted_time, scheduled_purge_time)
    }

    pub(super) fn deleted_item(&mut self, deleted: v1::DeletedCertificateItem) -> Value {
        let v1::DeletedCertificateItem { item, recovery_id, deleted_time, scheduled_purge_time } = deleted;
        let item = item.unwrap();
        let attributes = attributes_of_certificate(item.attributes.unwrap());
        let mut members = self.listed(item);
        members["attributes"] = attributes;
        with_deletion(members, recovery_id, deleted_time, scheduled_purge_time)
    }

    /// A secret; `managed` is always true over REST.
    pub(super) fn secret(&mut self, secret: v1::Secret) -> Value {
        let v1::Secret { id, vault_name, secret_name, secret_version, content, content_type, attributes, tags, key_id } =
            secret;
        self.leave_out("Secret.vault_name", !vault_name.is_empty());
        self.leave_out("Secret.secret_name and secret_version", !secret_name.is_empty() && !secret_version.is_empty());
        let value = match content.unwrap() {
            v1::secret::Content::Pkcs12(der) => STANDARD.encode(der),
            v1::secret::Content::Pem(text) => text,
        };
        let attributes = attributes_of_certificate(attributes.unwrap());
        let members = json!({"value": value, "contentType": content_type, "id": id, "managed": true,
            "attributes": attributes, "kid": key_id});
        with_tags(members, tags)
    }

    pub(super) fn secret_item(&mut self, item: v1::SecretItem) -> Value {
        let v1::SecretItem { id, secret_name, secret_version, content_type, attributes, tags } = item;
        let named = !secret_name.is_empty() && !secret_version.is_empty();
        self.leave_out("SecretItem.secret_name and secret_version", named);
        let attributes = attributes_of_certificate(attributes.unwrap());
        with_tags(json!({"id": id, "contentType": content_type, "managed": true, "attributes": attributes}), tags)
    }

    /// A key; `managed` as for secrets.
    pub(super) fn key(&mut self, key: v1::Key) -> Value {
        let v1::Key { key, vault_name, key_name, key_version, attributes, tags } = key;
        self.leave_out("Key.vault_name", !vault_name.is_empty());
        self.leave_out("Key.key_name and key_version", !key_name.is_empty() && !key_version.is_empty());
        let v1::JsonWebKey { key_id, key_type, key_operations, n, e, curve, x, y } = key.unwrap();
        let operations: Vec<String> = key_operations
            .into_iter()
            .map(|number| {
                let operation = v1::KeyOperation::try_from(number).unwrap();
                camel_case(operation.as_str_name().trim_start_matches("KEY_OPERATION_"))
            })
            .collect();
        let mut jwk = json!({"kid": key_id, "kty": key_type_word(key_type), "key_ops": operations});
        if let Some(curve) = curve_word(curve) {
            jwk["crv"] = curve.into();
        }
        for (member, number) in [("n", n), ("e", e), ("x", x), ("y", y)] {
            if !number.is_empty() {
                jwk[member] = URL_SAFE_NO_PAD.encode(number).into();
            }
        }
        let attributes = attributes_of_certificate(attributes.unwrap());
        with_tags(json!({"key": jwk, "attributes": attributes, "managed": true}), tags)
    }

    pub(super) fn key_item(&mut self, item: v1::KeyItem) -> Value {
        let v1::KeyItem { key_id, key_name, key_version, attributes, tags } = item;
        self.leave_out("KeyItem.key_name and key_version", !key_name.is_empty() && !key_version.is_empty());
        let attributes = attributes_of_certificate(attributes.unwrap());
        with_tags(json!({"kid": key_id, "attributes": attributes, "managed": true}), tags)
    }

    pub(super) fn issuer_item(&mut self, item: v1::IssuerItem) -> Value {
        let v1::IssuerItem { id, issuer_name, provider, enabled, paused, health } = item;
        assert!(!paused && health.is_none(), "not asked for");
        self.leave_out("IssuerItem.enabled", enabled);
        self.leave_out("IssuerItem.issuer_name", !issuer_name.is_empty());
        json!({"id": id, "provider": provider})
    }
}

fn with_tags(mut members: Value, tags: std::collections::HashMap<String, String>) -> Value {
    if !tags.is_empty() {
        members["tags"] = json!(tags);
    }
    members
}

fn with_deletion(
    mut members: Value,
    recovery_id: String,
    deleted: Option<prost_types::Timestamp>,
    purge: Option<prost_types::Timestamp>,
) -> Value {
    members["recoveryId"] = recovery_id.into();
    members["deletedDate"] = seconds(deleted);
    members["scheduledPurgeDate"] = seconds(purge);
    members
}

/// The contacts of a vault.
pub(super) fn contacts(contacts: v1::Contacts) -> Value {
    let v1::Contacts { id, contacts } = contacts;
    let contact = |v1::Contact { email, name, phone }| {
        let members = [("email", email), ("name", name), ("phone", phone)];
        let members = members.into_iter().filter(|(_, text)| !text.is_empty());
        members.map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<String, Value>>()
    };
    json!({"id": id, "contacts": contacts.into_iter().map(contact).collect::<Vec<_>>()})
}

fn seconds(time: Option<prost_types::Timestamp>) -> Value {
    time.map(|time| time.seconds).into()
}

fn attributes_of_certificate(attributes: v1::CertificateAttributes) -> Value {
    let v1::CertificateAttributes { enabled, not_before, expires, created, updated, recoverable_days, recovery_level } =
        attributes;
    let recovery_level = match v1::DeletionRecoveryLevel::try_from(recovery_level).unwrap() {
        v1::DeletionRecoveryLevel::RecoverablePurgeable => "Recoverable+Purgeable",
        v1::DeletionRecoveryLevel::CustomizedRecoverable => "CustomizedRecoverable",
        other => panic!("{other:?} is not of these vaults"),
    };
    json!({
        "enabled": enabled.unwrap(),
        "nbf": seconds(not_before),
        "exp": seconds(expires),
        "created": seconds(created),
        "updated": seconds(updated),
        "recoveryLevel": recovery_level,
        "recoverableDays": recoverable_days,
    })
}

pub(super) fn policy(policy: v1::CertificatePolicy) -> Value {
    let v1::CertificatePolicy {
        id,
        key_properties,
        secret_properties,
        x509_properties,
        lifetime_actions,
        issuer,
        attributes,
    } = policy;
    let v1::CertificateAttributes {
        enabled,
        not_before: None,
        expires: None,
        created,
        updated,
        recoverable_days: 0,
        recovery_level: 0,
    } = attributes.unwrap()
    else {
        panic!("a policy has three attributes")
    };
    json!({
        "id": id,
        "key_props": key(key_properties.unwrap()),
        "secret_props": {"contentType": secret_properties.unwrap().content_type},
        "x509_props": x509(x509_properties.unwrap()),
        "lifetime_actions": lifetime_actions.into_iter().map(lifetime).collect::<Vec<_>>(),
        "issuer": issuer_of_policy(issuer.unwrap()),
        "attributes": {"enabled": enabled, "created": seconds(created), "updated": seconds(updated)},
    })
}

fn key(key: v1::KeyProperties) -> Value {
    let v1::KeyProperties { exportable, key_type, key_size, reuse_key, curve } = key;
    let kty = key_type_word(key_type);
    let mut members =
        json!({"exportable": exportable.unwrap(), "kty": kty, "key_size": key_size, "reuse_key": reuse_key.unwrap()});
    if let Some(curve) = curve_word(curve) {
        members["crv"] = curve.into();
    }
    members
}

fn key_type_word(number: i32) -> &'static str {
    match v1::KeyType::try_from(number).unwrap() {
        v1::KeyType::Ec => "EC",
        v1::KeyType::Rsa => "RSA",
        other => panic!("{other:?} is never answered"),
    }
}

fn curve_word(number: i32) -> Option<&'static str> {
    Some(match v1::KeyCurve::try_from(number).unwrap() {
        v1::KeyCurve::Unspecified => return None,
        v1::KeyCurve::P256 => "P-256",
        v1::KeyCurve::P384 => "P-384",
        v1::KeyCurve::P521 => "P-521",
        v1::KeyCurve::P256k => "P-256K",
    })
}

fn x509(x509: v1::X509Properties) -> Value {
    let v1::X509Properties { subject, ekus, subject_alternative_names, key_usages, validity_months, basic_constraints } =
        x509;
    let usages: Vec<String> = key_usages
        .into_iter()
        .map(|usage| {
            let name = v1::KeyUsage::try_from(usage).unwrap().as_str_name().trim_start_matches("KEY_USAGE_");
            if name == "CRL_SIGN" { "cRLSign".to_owned() } else { camel_case(name) }
        })
        .collect();
    let mut members = json!({
        "subject": subject,
        "ekus": ekus,
        "key_usage": usages,
        "validity_months": validity_months,
        "basic_constraints": {"ca": basic_constraints.unwrap().ca},
    });
    if let Some(names) = subject_alternative_names {
        let v1::SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses } = names;
        let lists = [
            ("emails", emails),
            ("dns_names", dns_names),
            ("upns", upns),
            ("uris", uris),
            ("ipAddresses", ip_addresses),
        ];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        members["sans"] = lists.map(|(name, list)| (name.to_owned(), json!(list))).collect::<Map<_, _>>().into();
    }
    members
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}

fn lifetime(action: v1::LifetimeAction) -> Value {
    let v1::LifetimeAction { trigger, action } = action;
    let trigger = match trigger.unwrap() {
        Trigger::LifetimePercentage(percentage) => json!({"lifetime_percentage": percentage}),
        Trigger::DaysBeforeExpiry(days) => json!({"days_before_expiry": days}),
    };
    let action = match v1::LifetimeActionType::try_from(action).unwrap() {
        v1::LifetimeActionType::EmailContacts => "EmailContacts",
        v1::LifetimeActionType::AutoRenew => "AutoRenew",
        v1::LifetimeActionType::Unspecified => panic!("never sent"),
    };
    json!({"trigger": trigger, "action": {"action_type": action}})
}

fn issuer_of_policy(issuer: v1::IssuerParameters) -> Value {
    let v1::IssuerParameters { name, certificate_type, certificate_transparency } = issuer;
    let mut members = json!({"name": name});
    if !certificate_type.is_empty() {
        members["cty"] = certificate_type.into();
    }
    if let Some(transparency) = certificate_transparency {
        members["cert_transparency"] = transparency.into();
    }
    members
}

/// An issuer; its CA certificates have a path of their own over REST.
pub(super) fn issuer(issuer: v1::Issuer) -> Value {
    let v1::Issuer {
        id,
        vault_name: _,
        issuer_name: _,
        provider,
        credentials,
        organization,
        attributes,
        ca_certificates: _,
        options,
        secret_options,
        pause: _,
        profiles,
        default_profile,
    } = issuer;
    assert!(secret_options.is_empty(), "they are never answered");
    let v1::IssuerCredentials { account_id, password } = credentials.unwrap();
    assert_eq!(password, "", "it is never answered");
    let v1::IssuerAttributes { enabled, created, updated } = attributes.unwrap();
    let mut credentials = Map::new();
    if !account_id.is_empty() {
        credentials.insert("account_id".to_owned(), account_id.into());
    }
    let mut members = json!({
        "id": id,
        "provider": provider,
        "credentials": credentials,
        "attributes": {"enabled": enabled, "created": seconds(created), "updated": seconds(updated)},
    });
    if let Some(v1::OrganizationDetails { id, administrators }) = organization {
        let mut details = Map::new();
        if !id.is_empty() {
            details.insert("id".to_owned(), id.into());
        }
        details.insert("admin_details".to_owned(), administrators.into_iter().map(administrator).collect());
        // Key Vault's constant, which means nothing.
        details.insert("zip".to_owned(), 0.into());
        members["org_details"] = details.into();
    }
    if !options.is_empty() {
        members["options"] = json!(options);
    }
    if !profiles.is_empty() {
        members["profiles"] = profiles.into_iter().map(|(name, text)| (name, profile(text))).collect();
    }
    if !default_profile.is_empty() {
        members["default_profile"] = default_profile.into();
    }
    members
}

/// Rules that were not given are left out.
fn profile(profile: v1::IssuerProfile) -> Value {
    let v1::IssuerProfile {
        max_validity,
        validity,
        names,
        keys,
        ekus,
        key_usages,
        subject,
        organization,
        max_names,
        revocation,
        must_staple,
    } = profile;
    let said = |value: Value| !(value == json!("") || value == json!([]) || value == json!(0) || value == json!(false));
    let names = names.map(|names| {
        let v1::IssuerProfileNames { dns_names, ip_addresses, emails, uris, upns, wildcards } = names;
        let all = json!({"dns": dns_names, "ip": ip_addresses, "emails": emails, "uris": uris, "upns": upns,
            "wildcards": wildcards});
        let Value::Object(all) = all else { unreachable!() };
        Value::Object(all.into_iter().filter(|(_, value)| said(value.clone())).collect())
    });
    let all = json!({"max_validity": max_validity, "validity": validity, "keys": keys, "ekus": ekus,
        "key_usage": key_usages, "subject": subject, "o": organization, "max_names": max_names,
        "revocation": revocation, "must_staple": must_staple});
    let Value::Object(all) = all else { unreachable!() };
    let mut all: Map<String, Value> = all.into_iter().filter(|(_, value)| said(value.clone())).collect();
    all.extend(names.map(|names| ("names".to_owned(), names)));
    Value::Object(all)
}

fn administrator(administrator: v1::AdministratorDetails) -> Value {
    let v1::AdministratorDetails { first_name, last_name, email, phone } = administrator;
    let members = [("first_name", first_name), ("last_name", last_name), ("email", email), ("phone", phone)];
    let members = members.into_iter().filter(|(_, text)| !text.is_empty());
    members.map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>().into()
}
