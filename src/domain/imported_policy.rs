//! The policy of an imported certificate: what the certificate contains wins over what the caller sent (contract
//! section 6).

use super::policy::{Action, ContentType, KeyType, KeyUsage, LifetimeAction, Policy, Trigger};
use super::policy_input::{MAX_SUBJECT, MAX_VALIDITY_MONTHS, PolicyInput};
use super::san::{EmptyLists, SubjectAlternativeNames};
use super::{Error, Result, Timestamp};

/// What a certificate says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    pub key_type: KeyType,
    /// The subject as Windows writes it: the most specific part first.
    pub subject: String,
    /// `None` if it has none.
    pub sans: Option<SubjectAlternativeNames>,
    /// Object identifiers in dotted form; empty if the extension is absent.
    pub ekus: Vec<String>,
    /// In the order of the wire; empty if the extension is absent.
    pub key_usage: Vec<KeyUsage>,
    pub ca: bool,
    pub not_before: Timestamp,
    pub expires: Timestamp,
    /// It has alternative names of kinds that a policy cannot have.
    pub other_names: bool,
}

impl PolicyInput {
    /// The policy of an imported certificate. From the caller come exportability, reuse of the key,
    /// the content type, the issuer, the lifetime actions and whether it is enabled; the rest is
    /// the certificate's. `form` is the content type where the caller names none.
    ///
    /// # Errors
    /// `BadParameter` for what the caller sent and cannot mean, as in a creation, and for a subject
    /// that is longer than a policy may hold.
    pub fn imported(self, facts: &CertificateFacts, form: ContentType, now: Timestamp) -> Result<Policy> {
        let length = facts.subject.chars().count();
        if length > MAX_SUBJECT {
            return Err(Error::field(
                "value",
                format!(
                    "The subject of the certificate has {length} characters, and a policy holds at most {MAX_SUBJECT}: have a certificate issued with fewer or shorter attributes."
                ),
            ));
        }
        let months = validity_months(facts.not_before, facts.expires);
        let actions_given = self.lifetime_actions.is_some();
        let mut policy = Self {
            content_type: self.content_type.or_else(|| Some(form.media_type().to_owned())),
            // Checked as a creation's would be, then replaced: the key is there already.
            kty: self.kty.or_else(|| self.key_size.map(|size| kty_of_size(size, facts.key_type).to_owned())),
            subject: Some("CN=imported".to_owned()),
            sans: None,
            ekus: None,
            key_usage: None,
            ca: None,
            validity_months: Some(i64::from(months)),
            ..self
        }
        .complete(now)?;
        policy.key.key_type = facts.key_type;
        policy.x509.subject.clone_from(&facts.subject);
        let shown = |names: &SubjectAlternativeNames| SubjectAlternativeNames {
            shown_empty: EmptyLists::IMPORTED,
            ..names.clone()
        };
        policy.x509.sans = facts.sans.as_ref().map(shown);
        policy.x509.ekus.clone_from(&facts.ekus);
        policy.x509.key_usage.clone_from(&facts.key_usage);
        policy.x509.ca = facts.ca;
        if !actions_given {
            let action = if policy.issuer.is_manual() { Action::EmailContacts } else { Action::AutoRenew };
            policy.lifetime_actions = vec![LifetimeAction { trigger: Trigger::LifetimePercentage(80), action }];
        }
        Ok(policy)
    }
}

/// The type of key that has this size, which need not be that of the certificate.
fn kty_of_size(size: i64, of_certificate: KeyType) -> &'static str {
    match size {
        2048 | 3072 | 4096 => "RSA",
        256 | 384 | 521 => "EC",
        _ => of_certificate.kty(),
    }
}

/// Whole months, rounded up, at least one and at most as many as a policy may ask for.
pub(super) fn validity_months(from: Timestamp, to: Timestamp) -> u32 {
    let most = u32::try_from(MAX_VALIDITY_MONTHS).unwrap_or(u32::MAX);
    let days = to.seconds().saturating_sub(from.seconds()) / 86_400;
    // No month is longer than 31 days: begin there instead of at the first month.
    let least = u32::try_from(days / 31).unwrap_or(1).clamp(1, most);
    (least..most).find(|months| from.plus_months(*months) >= to).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let format = &::time::format_description::well_known::Rfc3339;
        Timestamp::from_seconds(::time::OffsetDateTime::parse(text, format).unwrap().unix_timestamp())
    }

    fn facts() -> CertificateFacts {
        CertificateFacts {
            key_type: KeyType::P384,
            subject: "CN=a, S=WA".into(),
            sans: None,
            ekus: Vec::new(),
            key_usage: vec![KeyUsage::DigitalSignature],
            ca: true,
            not_before: at("2026-01-01T00:00:00Z"),
            expires: at("2026-12-31T00:00:00Z"),
            other_names: false,
        }
    }

    #[test]
    fn validity_is_rounded_up_to_months() {
        // The first is that of a recorded import.
        for (from, to, months) in [
            ("2015-04-29T21:53:41Z", "2039-12-31T23:59:59Z", 297),
            ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 12),
            ("2026-01-01T00:00:00Z", "2027-01-01T00:00:01Z", 13),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", 1),
            ("2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", 1),
            ("2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 1200),
        ] {
            assert_eq!(validity_months(at(from), at(to)), months, "{from} {to}");
        }
    }

    #[test]
    fn the_certificate_wins_over_the_caller() {
        let input = PolicyInput {
            subject: Some("CN=other".into()),
            ekus: Some(vec!["1.3.6.1.5.5.7.3.1".into()]),
            kty: Some("RSA".into()),
            exportable: Some(false),
            issuer_name: Some("Self".into()),
            ..PolicyInput::default()
        };
        let policy = input.imported(&facts(), ContentType::Pem, Timestamp(7)).unwrap();
        assert_eq!((policy.x509.subject.as_str(), policy.x509.ca), ("CN=a, S=WA", true));
        assert_eq!((policy.key.key_type, policy.key.exportable), (KeyType::P384, false));
        assert_eq!((policy.x509.ekus.len(), policy.x509.validity_months), (0, 12));
        assert_eq!(policy.lifetime_actions[0].action, Action::AutoRenew);
        assert_eq!(policy.content_type, ContentType::Pem);
    }

    #[test]
    fn without_a_policy_there_is_no_renewal() {
        let policy = PolicyInput::default().imported(&facts(), ContentType::Pkcs12, Timestamp(7)).unwrap();
        assert!(policy.issuer.is_manual() && policy.key.exportable && !policy.key.reuse_key);
        assert_eq!(policy.lifetime_actions[0].action, Action::EmailContacts);
    }

    #[test]
    fn a_hardware_key_is_refused_here_too() {
        let input = PolicyInput { kty: Some("RSA-HSM".into()), ..PolicyInput::default() };
        let error = input.imported(&facts(), ContentType::Pem, Timestamp(7)).unwrap_err();
        assert!(error.message.contains("hardware security module"), "{error}");
    }

    #[test]
    fn a_subject_that_is_too_long_is_refused() {
        let facts = CertificateFacts { subject: format!("CN={}", "a".repeat(200)), ..facts() };
        let error = PolicyInput::default().imported(&facts, ContentType::Pem, Timestamp(7)).unwrap_err();
        assert!(error.message.contains("has 203 characters") && error.message.contains("Property value "), "{error}");
    }

    #[test]
    fn what_the_caller_says_of_the_key_is_replaced_if_it_is_possible_at_all() {
        let import = |kty: Option<&str>, size, curve: Option<&str>| {
            let (kty, curve) = (kty.map(Into::into), curve.map(Into::into));
            let input = PolicyInput { kty, key_size: size, curve, ..PolicyInput::default() };
            input.imported(&facts(), ContentType::Pem, Timestamp(7)).map(|policy| policy.key.key_type)
        };
        for (kty, size, curve) in [
            (None, Some(4096), None),
            (Some("RSA"), None, None),
            (Some("RSA"), Some(2048), None),
            (None, Some(256), None),
            (None, None, Some("P-256")),
            (Some("EC"), Some(521), None),
        ] {
            assert_eq!(import(kty, size, curve).unwrap(), KeyType::P384, "{kty:?} {size:?} {curve:?}");
        }
        for (kty, size, curve) in [
            (None, Some(1000), None),
            (Some("EC"), Some(2048), None),
            (None, None, Some("P-1")),
            (Some("DSA"), None, None),
        ] {
            assert!(import(kty, size, curve).is_err(), "{kty:?} {size:?} {curve:?}");
        }
    }
}
