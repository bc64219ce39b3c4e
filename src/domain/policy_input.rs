//! A policy as a caller sends it, with members left out, and what completes and checks it.

use super::name::IssuerName;
use super::policy::{
    Action, ContentType, IssuerParameters, KeyProperties, KeyType, KeyUsage, LifetimeAction, Policy, Trigger, UNKNOWN,
    X509Properties,
};
use super::policy_judge::{Problems, Scope, judge, validity_problem};
use super::san::SubjectAlternativeNames;
use super::text::shown;
use super::{Result, Timestamp};
use serde::Serialize;

/// Longest subject in characters (contract section 10).
pub const MAX_SUBJECT: usize = 200;
/// Longest validity in months.
pub const MAX_VALIDITY_MONTHS: i64 = 1200;
/// How many extended key usages a policy may hold.
pub const MAX_EKUS: usize = 100;
/// How many entries `key_usage` may hold; there are 9 usages, and repetitions are accepted.
pub const MAX_KEY_USAGES: usize = 100;
/// How many lifetime actions a policy may hold.
pub const MAX_LIFETIME_ACTIONS: usize = 10;

/// Every member may be missing; words are not yet understood. The paths in errors are Key Vault's.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct PolicyInput {
    pub exportable: Option<bool>,
    pub kty: Option<String>,
    pub key_size: Option<i64>,
    pub curve: Option<String>,
    pub reuse_key: Option<bool>,
    pub content_type: Option<String>,
    pub subject: Option<String>,
    pub sans: Option<SubjectAlternativeNames>,
    pub ekus: Option<Vec<String>>,
    pub key_usage: Option<Vec<String>>,
    pub validity_months: Option<i64>,
    pub ca: Option<bool>,
    pub lifetime_actions: Option<Vec<LifetimeActionInput>>,
    pub issuer_name: Option<String>,
    pub certificate_type: Option<String>,
    pub certificate_transparency: Option<bool>,
    pub enabled: Option<bool>,
}

/// One lifetime action as it was sent.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LifetimeActionInput {
    pub lifetime_percentage: Option<i64>,
    pub days_before_expiry: Option<i64>,
    pub action: Option<String>,
}

impl PolicyInput {
    /// Whether it asks for a key on P-256 in the usual words; what is wrong with it is seen by
    /// [`PolicyInput::complete`].
    pub fn is_for_p256(&self) -> bool {
        self.curve.as_deref() == Some("P-256") && self.kty.as_deref().is_none_or(|kty| kty == "EC")
    }

    /// The complete policy, with Key Vault's defaults for what is missing (contract section 5).
    /// The error lists every bad member, not only the first.
    pub fn complete(self, now: Timestamp) -> Result<Policy> {
        self.complete_in(Scope::WHOLE, now)
    }

    /// As [`PolicyInput::complete`], judging the members of the scope alone.
    pub(super) fn complete_in(self, scope: Scope, now: Timestamp) -> Result<Policy> {
        let Self {
            exportable,
            kty,
            key_size,
            curve,
            reuse_key,
            content_type,
            subject,
            sans,
            ekus,
            key_usage,
            validity_months,
            ca,
            lifetime_actions,
            issuer_name,
            certificate_type,
            certificate_transparency,
            enabled,
        } = self;
        let mut bad = Problems::default();
        let key_type = key_type(kty.as_deref(), key_size, curve.as_deref(), &mut bad);
        let content_type = parse_content_type(content_type.as_deref(), &mut bad);
        let issuer =
            IssuerParameters { name: issuer(issuer_name, &mut bad), certificate_type, certificate_transparency };
        let validity_months = validity(validity_months, &mut bad);
        let lifetime_actions = actions(lifetime_actions, &issuer, validity_months, &mut bad);
        let ca = ca.unwrap_or(false);
        let x509 = X509Properties {
            subject: subject.unwrap_or_default(),
            sans,
            ekus: ekus.unwrap_or_else(|| vec!["1.3.6.1.5.5.7.3.1".to_owned(), "1.3.6.1.5.5.7.3.2".to_owned()]),
            key_usage: usages(key_usage, key_type, ca, &mut bad),
            validity_months,
            ca,
        };
        bad.keep(scope);
        let policy = Policy {
            key: KeyProperties {
                exportable: exportable.unwrap_or(true),
                key_type,
                reuse_key: reuse_key.unwrap_or(false),
            },
            content_type,
            x509,
            lifetime_actions,
            issuer,
            enabled: enabled.unwrap_or(true),
            created: now,
            updated: now,
        };
        judge(&policy, scope, &mut bad);
        bad.into_result()?;
        Ok(policy.without_repetitions(scope))
    }
}

fn key_type(kty: Option<&str>, size: Option<i64>, curve: Option<&str>, bad: &mut Problems) -> KeyType {
    // A curve alone says EC, as nothing else has one.
    match kty.unwrap_or(if curve.is_some() { "EC" } else { "RSA" }) {
        "RSA" => {
            if curve.is_some() {
                bad.add("key_props.crv", "An RSA key has no curve: leave crv out, or set kty to EC.");
            }
            match size.unwrap_or(2048) {
                2048 => KeyType::Rsa2048,
                3072 => KeyType::Rsa3072,
                4096 => KeyType::Rsa4096,
                other => {
                    bad.add(
                        "key_props.key_size",
                        format!("{other} is not a supported RSA key size: use 2048, 3072 or 4096."),
                    );
                    KeyType::Rsa2048
                }
            }
        }
        "EC" => elliptic(size, curve, bad),
        hsm @ ("RSA-HSM" | "EC-HSM" | "oct-HSM") => {
            bad.add(
                "key_props.kty",
                format!("{hsm} needs a hardware security module, and none is configured: use RSA or EC."),
            );
            KeyType::Rsa2048
        }
        other => {
            bad.add(
                "key_props.kty",
                format!("{} is not a supported key type of a certificate: use RSA or EC.", shown(other)),
            );
            KeyType::Rsa2048
        }
    }
}

fn elliptic(size: Option<i64>, curve: Option<&str>, bad: &mut Problems) -> KeyType {
    let by_size = match size {
        None => None,
        Some(256) => Some(KeyType::P256),
        Some(384) => Some(KeyType::P384),
        Some(521) => Some(KeyType::P521),
        Some(other) => {
            bad.add(
                "key_props.key_size",
                format!("{other} is not a supported EC key size: use 256, 384 or 521, or leave it out."),
            );
            None
        }
    };
    let Some(curve) = curve else { return by_size.unwrap_or(KeyType::P256) };
    let curves = [KeyType::P256, KeyType::P384, KeyType::P521, KeyType::P256K];
    let by_name = curves.into_iter().find(|key| key.curve() == Some(curve));
    match (by_name, by_size) {
        (Some(name), Some(size)) if name.bits() != size.bits() => {
            bad.add(
                "key_props.key_size",
                format!("{} does not fit the curve {curve}: leave key_size out.", size.bits()),
            );
            name
        }
        (Some(name), _) => name,
        (None, _) => {
            bad.add(
                "key_props.crv",
                format!("{} is not a supported curve: use P-256, P-384, P-521 or P-256K.", shown(curve)),
            );
            KeyType::P256
        }
    }
}

fn parse_content_type(text: Option<&str>, bad: &mut Problems) -> ContentType {
    match text {
        None | Some("") => ContentType::Pkcs12,
        Some(text) => match ContentType::parse(text) {
            Some(known) => known,
            None => {
                bad.add(
                    "secret_props.contentType",
                    format!("{} is not supported: use application/x-pkcs12 or application/x-pem-file.", shown(text)),
                );
                ContentType::Pkcs12
            }
        },
    }
}

fn issuer(name: Option<String>, bad: &mut Problems) -> String {
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned());
    let built_in = ["self", "unknown"].iter().any(|word| name.eq_ignore_ascii_case(word));
    if !built_in && IssuerName::parse(&name).is_err() {
        bad.add("issuer.name", format!("{} is not an issuer name.", shown(&name)));
    }
    name
}

fn validity(months: Option<i64>, bad: &mut Problems) -> u32 {
    let months = months.unwrap_or(12);
    if let Some(problem) = validity_problem(months) {
        bad.add("x509_props.validity_months", problem);
        return 12;
    }
    u32::try_from(months).unwrap_or(12)
}

fn actions(
    input: Option<Vec<LifetimeActionInput>>,
    issuer: &IssuerParameters,
    months: u32,
    bad: &mut Problems,
) -> Vec<LifetimeAction> {
    let Some(input) = input else {
        let action = if issuer.is_manual() { Action::EmailContacts } else { Action::AutoRenew };
        return vec![LifetimeAction { trigger: Trigger::LifetimePercentage(80), action }];
    };
    if input.len() > MAX_LIFETIME_ACTIONS {
        bad.add("lifetime_actions", format!("More than {MAX_LIFETIME_ACTIONS} actions."));
        return Vec::new();
    }
    input.into_iter().enumerate().filter_map(|(index, input)| action(index, &input, months, bad)).collect()
}

fn action(index: usize, input: &LifetimeActionInput, months: u32, bad: &mut Problems) -> Option<LifetimeAction> {
    let LifetimeActionInput { lifetime_percentage, days_before_expiry, action } = input;
    let path = |member: &str| format!("lifetime_actions[{index}].{member}");
    let days = i64::from(months) * 27;
    let trigger = match (*lifetime_percentage, *days_before_expiry) {
        (Some(percentage), None) if (1..=99).contains(&percentage) => {
            u32::try_from(percentage).ok().map(Trigger::LifetimePercentage)
        }
        (None, Some(before)) if (1..=days).contains(&before) => {
            u32::try_from(before).ok().map(Trigger::DaysBeforeExpiry)
        }
        (Some(percentage), None) => {
            bad.add(&path("trigger.lifetime_percentage"), format!("{percentage} is out of range: use 1 to 99."));
            None
        }
        (None, Some(before)) => {
            bad.add(
                &path("trigger.days_before_expiry"),
                format!("{before} is out of range: use 1 to {days} (27 days for each month of validity)."),
            );
            None
        }
        _ => {
            bad.add(&path("trigger"), "Give one of lifetime_percentage and days_before_expiry.");
            None
        }
    };
    let known = action.as_deref().and_then(Action::parse);
    if known.is_none() {
        bad.add(&path("action.action_type"), "Use EmailContacts or AutoRenew.");
    }
    Some(LifetimeAction { trigger: trigger?, action: known? })
}

fn usages(names: Option<Vec<String>>, key: KeyType, ca: bool, bad: &mut Problems) -> Vec<KeyUsage> {
    let chosen: Vec<KeyUsage> = match names {
        None if ca => vec![KeyUsage::DigitalSignature, KeyUsage::KeyCertSign, KeyUsage::CrlSign],
        None if key.is_rsa() => vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
        None => vec![KeyUsage::DigitalSignature],
        Some(names) if names.len() > MAX_KEY_USAGES => {
            bad.add("x509_props.key_usage", format!("More than {MAX_KEY_USAGES} entries."));
            return Vec::new();
        }
        Some(names) => names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                let known = KeyUsage::parse(name);
                if known.is_none() {
                    bad.add(&format!("x509_props.key_usage[{index}]"), format!("{} is not a key usage.", shown(name)));
                }
                known
            })
            .collect(),
    };
    KeyUsage::ALL.into_iter().filter(|usage| chosen.contains(usage)).collect()
}
