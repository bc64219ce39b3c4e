//! Translation of policies between the contract and the domain.

use crate::domain::policy::{Action, IssuerParameters, KeyType, KeyUsage, LifetimeAction, Policy, Trigger};
use crate::domain::policy_input::{LifetimeActionInput, MAX_KEY_USAGES, MAX_LIFETIME_ACTIONS, PolicyInput};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, Result, Timestamp};
use crate::proto::v1;

/// What a caller sent, with the domain's words for enums; a number without a name is refused.
pub(super) fn input(policy: v1::CertificatePolicy) -> Result<PolicyInput> {
    let v1::CertificatePolicy {
        id: _,
        key_properties,
        secret_properties,
        x509_properties,
        lifetime_actions,
        issuer,
        attributes,
    } = policy;
    let v1::KeyProperties { exportable, key_type, key_size, reuse_key, curve } = key_properties.unwrap_or_default();
    let v1::SecretProperties { content_type } = secret_properties.unwrap_or_default();
    let v1::X509Properties { subject, ekus, subject_alternative_names, key_usages, validity_months, basic_constraints } =
        x509_properties.unwrap_or_default();
    let v1::IssuerParameters { name, certificate_type, certificate_transparency } = issuer.unwrap_or_default();
    let filled = super::call::filled;
    Ok(PolicyInput {
        exportable,
        kty: key_type_word(key_type)?,
        key_size: (key_size != 0).then_some(i64::from(key_size)),
        curve: curve_word(curve)?,
        reuse_key,
        content_type: filled(content_type),
        subject: filled(subject),
        sans: subject_alternative_names.map(names),
        ekus: (!ekus.is_empty()).then_some(ekus),
        // Of too many no more is kept than shows that they are.
        key_usage: (!key_usages.is_empty())
            .then(|| key_usages.into_iter().take(MAX_KEY_USAGES + 1).map(usage_word).collect())
            .transpose()?,
        validity_months: (validity_months != 0).then_some(i64::from(validity_months)),
        ca: basic_constraints.and_then(|constraints| constraints.ca),
        lifetime_actions: (!lifetime_actions.is_empty())
            .then(|| lifetime_actions.into_iter().take(MAX_LIFETIME_ACTIONS + 1).map(action_input).collect()),
        issuer_name: filled(name),
        certificate_type: filled(certificate_type),
        certificate_transparency,
        enabled: attributes.and_then(|attributes| attributes.enabled),
    })
}

fn unknown(path: &str, number: i32) -> Error {
    Error::field(format!("policy.{path}"), format!("{number} is not a value of this enum."))
}

fn key_type_word(number: i32) -> Result<Option<String>> {
    use v1::KeyType as K;
    let word = match K::try_from(number).map_err(|_| unknown("key_props.kty", number))? {
        K::Unspecified => return Ok(None),
        K::Ec => "EC",
        K::EcHsm => "EC-HSM",
        K::Rsa => "RSA",
        K::RsaHsm => "RSA-HSM",
        K::Oct => "oct",
        K::OctHsm => "oct-HSM",
    };
    Ok(Some(word.to_owned()))
}

fn curve_word(number: i32) -> Result<Option<String>> {
    use v1::KeyCurve as C;
    let word = match C::try_from(number).map_err(|_| unknown("key_props.crv", number))? {
        C::Unspecified => return Ok(None),
        C::P256 => "P-256",
        C::P384 => "P-384",
        C::P521 => "P-521",
        C::P256k => "P-256K",
    };
    Ok(Some(word.to_owned()))
}

const USAGES: [(v1::KeyUsage, KeyUsage); 9] = [
    (v1::KeyUsage::DigitalSignature, KeyUsage::DigitalSignature),
    (v1::KeyUsage::NonRepudiation, KeyUsage::NonRepudiation),
    (v1::KeyUsage::KeyEncipherment, KeyUsage::KeyEncipherment),
    (v1::KeyUsage::DataEncipherment, KeyUsage::DataEncipherment),
    (v1::KeyUsage::KeyAgreement, KeyUsage::KeyAgreement),
    (v1::KeyUsage::KeyCertSign, KeyUsage::KeyCertSign),
    (v1::KeyUsage::CrlSign, KeyUsage::CrlSign),
    (v1::KeyUsage::EncipherOnly, KeyUsage::EncipherOnly),
    (v1::KeyUsage::DecipherOnly, KeyUsage::DecipherOnly),
];

fn usage_word(number: i32) -> Result<String> {
    let found = USAGES.iter().find(|(wire, _)| *wire as i32 == number);
    found.map(|(_, usage)| usage.name().to_owned()).ok_or_else(|| unknown("x509_props.key_usage", number))
}

fn action_input(action: v1::LifetimeAction) -> LifetimeActionInput {
    use v1::lifetime_action::Trigger as T;
    let v1::LifetimeAction { trigger, action } = action;
    let (lifetime_percentage, days_before_expiry) = match trigger {
        Some(T::LifetimePercentage(percentage)) => (Some(i64::from(percentage)), None),
        Some(T::DaysBeforeExpiry(days)) => (None, Some(i64::from(days))),
        None => (None, None),
    };
    let action = match v1::LifetimeActionType::try_from(action) {
        Ok(v1::LifetimeActionType::EmailContacts) => Some(Action::EmailContacts.name().to_owned()),
        Ok(v1::LifetimeActionType::AutoRenew) => Some(Action::AutoRenew.name().to_owned()),
        // The domain refuses what has no name, with the index of the action.
        Ok(v1::LifetimeActionType::Unspecified) | Err(_) => None,
    };
    LifetimeActionInput { lifetime_percentage, days_before_expiry, action }
}

fn names(names: v1::SubjectAlternativeNames) -> SubjectAlternativeNames {
    let v1::SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses } = names;
    SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, ..SubjectAlternativeNames::default() }
}

/// A policy as callers read it.
pub(super) fn reply(policy: &Policy, id: String) -> v1::CertificatePolicy {
    let Policy { key, content_type, x509, lifetime_actions, issuer: parameters, enabled, created, updated, granted: _ } =
        policy;
    let bits = i32::try_from(key.key_type.bits()).unwrap_or_default();
    v1::CertificatePolicy {
        id,
        key_properties: Some(v1::KeyProperties {
            exportable: Some(key.exportable),
            key_type: key_type(key.key_type).into(),
            key_size: bits,
            reuse_key: Some(key.reuse_key),
            curve: key_curve(key.key_type).into(),
        }),
        secret_properties: Some(v1::SecretProperties { content_type: content_type.media_type().to_owned() }),
        x509_properties: Some(v1::X509Properties {
            subject: x509.subject.clone(),
            ekus: x509.ekus.clone(),
            subject_alternative_names: x509.sans.clone().map(names_reply),
            key_usages: x509.key_usage.iter().map(|usage| usage_number(*usage)).collect(),
            validity_months: i32::try_from(x509.validity_months).unwrap_or(i32::MAX),
            basic_constraints: Some(v1::BasicConstraints { ca: Some(x509.ca) }),
        }),
        lifetime_actions: lifetime_actions.iter().map(action_reply).collect(),
        issuer: Some(issuer(parameters)),
        attributes: Some(v1::CertificateAttributes {
            enabled: Some(*enabled),
            created: Some(time(*created)),
            updated: Some(time(*updated)),
            ..v1::CertificateAttributes::default()
        }),
    }
}

pub(super) fn key_type(key: KeyType) -> v1::KeyType {
    if key.is_rsa() { v1::KeyType::Rsa } else { v1::KeyType::Ec }
}

pub(super) fn key_curve(key: KeyType) -> v1::KeyCurve {
    match key {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => v1::KeyCurve::Unspecified,
        KeyType::P256 => v1::KeyCurve::P256,
        KeyType::P384 => v1::KeyCurve::P384,
        KeyType::P521 => v1::KeyCurve::P521,
        KeyType::P256K => v1::KeyCurve::P256k,
    }
}

fn names_reply(names: SubjectAlternativeNames) -> v1::SubjectAlternativeNames {
    let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } = names;
    v1::SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses }
}

fn usage_number(usage: KeyUsage) -> i32 {
    USAGES.iter().find(|(_, known)| *known == usage).map_or(0, |(wire, _)| *wire as i32)
}

fn action_reply(action: &LifetimeAction) -> v1::LifetimeAction {
    use v1::lifetime_action::Trigger as T;
    let LifetimeAction { trigger, action } = action;
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    v1::LifetimeAction {
        trigger: Some(match trigger {
            Trigger::LifetimePercentage(percentage) => T::LifetimePercentage(number(*percentage)),
            Trigger::DaysBeforeExpiry(days) => T::DaysBeforeExpiry(number(*days)),
        }),
        action: match action {
            Action::EmailContacts => v1::LifetimeActionType::EmailContacts,
            Action::AutoRenew => v1::LifetimeActionType::AutoRenew,
        }
        .into(),
    }
}

pub(super) fn issuer(parameters: &IssuerParameters) -> v1::IssuerParameters {
    let IssuerParameters { name, certificate_type, certificate_transparency } = parameters;
    v1::IssuerParameters {
        name: name.clone(),
        certificate_type: certificate_type.clone().unwrap_or_default(),
        certificate_transparency: *certificate_transparency,
    }
}

pub(super) fn time(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    prost_types::Timestamp { seconds: at.seconds(), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_too_long_are_refused_and_not_kept() {
        let policy = v1::CertificatePolicy {
            x509_properties: Some(v1::X509Properties { key_usages: vec![1; 100_000], ..Default::default() }),
            lifetime_actions: vec![v1::LifetimeAction::default(); 100_000],
            ..Default::default()
        };
        let input = input(policy).unwrap();
        assert_eq!(input.key_usage.as_ref().map(Vec::len), Some(MAX_KEY_USAGES + 1));
        assert_eq!(input.lifetime_actions.as_ref().map(Vec::len), Some(MAX_LIFETIME_ACTIONS + 1));
        let error = input.complete(Timestamp(0)).unwrap_err().details;
        let error = format!("{error:?}");
        assert!(error.contains("More than 100 entries.") && error.contains("More than 10 actions."), "{error}");
    }
}
