//! Changing a stored policy: the members that the caller names are replaced, the rest stays.

use super::policy::{
    Action, ContentType, IssuerParameters, KeyType, KeyUsage, LifetimeAction, Policy, Trigger, X509Properties,
};
use super::policy_input::{LifetimeActionInput, PolicyInput};
use super::policy_judge::Scope;
use super::san::SubjectAlternativeNames;
use super::{Result, Timestamp};

impl PolicyInput {
    /// The stored policy with what this input names in the place of what was there. Judged is what becomes different, by
    /// itself and against the rest; the rest alone is not, as an import may have brought what a creation would refuse,
    /// and clients read a policy, change one member, and send all of it. A key type that changes takes neither size nor
    /// curve from the old one.
    pub fn change(self, stored: &Policy, now: Timestamp) -> Result<Policy> {
        let scope = Scope::of(&self.clone().different_from(stored));
        let policy = self.over(stored).complete_in(scope, now)?;
        Ok(Policy { created: stored.created, ..policy })
    }

    /// All that a stored policy says.
    pub(super) fn of(stored: &Policy) -> Self {
        Self::default().over(stored)
    }

    /// Without the members that say what the stored policy says. What is not understood is different.
    fn different_from(self, stored: &Policy) -> Self {
        // What a profile granted belongs to one operation, and stands in no stored policy.
        let Policy {
            key,
            content_type,
            x509,
            lifetime_actions,
            issuer,
            enabled: _,
            created: _,
            updated: _,
            granted: _,
        } = stored;
        let X509Properties { subject, sans, ekus, key_usage, validity_months, ca } = x509;
        let IssuerParameters { name, certificate_type, certificate_transparency: _ } = issuer;
        let (kty, key_size, curve) = match is_key(&self, key.key_type) {
            true => (None, None, None),
            false => (self.kty, self.key_size, self.curve),
        };
        Self {
            kty,
            key_size,
            curve,
            content_type: self.content_type.filter(|text| ContentType::parse(text) != Some(*content_type)),
            subject: self.subject.filter(|text| text != subject),
            sans: self.sans.filter(|names| !names.same_names(sans.as_ref())),
            ekus: self.ekus.filter(|list| list != ekus),
            key_usage: self.key_usage.filter(|list| !are_usages(list, key_usage)),
            validity_months: self.validity_months.filter(|months| *months != i64::from(*validity_months)),
            ca: self.ca.filter(|flag| flag != ca),
            lifetime_actions: self.lifetime_actions.filter(|list| !are_actions(list, lifetime_actions)),
            issuer_name: self.issuer_name.filter(|text| text != name),
            certificate_type: self
                .certificate_type
                .filter(|text| text != certificate_type.as_deref().unwrap_or_default()),
            // Any value of these fits any policy.
            exportable: self.exportable,
            reuse_key: self.reuse_key,
            certificate_transparency: self.certificate_transparency,
            enabled: self.enabled,
        }
    }

    fn over(self, stored: &Policy) -> Self {
        let Policy { key, content_type, x509, lifetime_actions, issuer, enabled, created: _, updated: _, granted: _ } =
            stored;
        let X509Properties { subject, sans, ekus, key_usage, validity_months, ca } = x509;
        let IssuerParameters { name, certificate_type, certificate_transparency } = issuer;
        let (kty, key_size, curve) = key_words(self.kty, self.key_size, self.curve, key.key_type);
        Self {
            exportable: self.exportable.or(Some(key.exportable)),
            kty,
            key_size,
            curve,
            reuse_key: self.reuse_key.or(Some(key.reuse_key)),
            content_type: self.content_type.or_else(|| Some(content_type.media_type().to_owned())),
            subject: self.subject.or_else(|| Some(subject.clone())),
            sans: match self.sans {
                // Where there are none, no names say nothing.
                Some(names) if sans.is_some() || names != SubjectAlternativeNames::default() => Some(names),
                _ => sans.clone(),
            },
            ekus: self.ekus.or_else(|| Some(ekus.clone())),
            key_usage: self.key_usage.or_else(|| Some(key_usage.iter().map(|usage| usage.name().to_owned()).collect())),
            validity_months: self.validity_months.or(Some(i64::from(*validity_months))),
            ca: self.ca.or(Some(*ca)),
            lifetime_actions: self
                .lifetime_actions
                .or_else(|| Some(lifetime_actions.iter().map(LifetimeActionInput::from).collect())),
            issuer_name: self.issuer_name.or_else(|| Some(name.clone())),
            // Where there is none, an empty one says nothing.
            certificate_type: match self.certificate_type {
                Some(text) if !text.is_empty() || certificate_type.is_some() => Some(text),
                _ => certificate_type.clone(),
            },
            certificate_transparency: self.certificate_transparency.or(*certificate_transparency),
            enabled: self.enabled.or(Some(*enabled)),
        }
    }
}

/// Type, size and curve of the key: those of the input where they decide the type by themselves,
/// completed from the stored type where that is still the same.
fn key_words(
    kty: Option<String>,
    size: Option<i64>,
    curve: Option<String>,
    stored: KeyType,
) -> (Option<String>, Option<i64>, Option<String>) {
    let same_type = kty.as_deref().is_none_or(|kty| kty == stored.kty());
    match (size, curve) {
        (None, None) if same_type => {
            let curve = stored.curve().map(str::to_owned);
            (Some(stored.kty().to_owned()), Some(i64::from(stored.bits())), curve)
        }
        (Some(size), None) if same_type => (Some(stored.kty().to_owned()), Some(size), None),
        // A curve says EC by itself; a new type stands alone.
        (size, curve) => (kty, size, curve),
    }
}

/// Whether what the input says of the key, if anything, fits this type.
fn is_key(input: &PolicyInput, stored: KeyType) -> bool {
    input.kty.as_deref().is_none_or(|kty| kty == stored.kty())
        && input.key_size.is_none_or(|size| size == i64::from(stored.bits()))
        && match input.curve.as_deref() {
            Some(curve) => Some(curve) == stored.curve(),
            // A size alone means the usual curve of that size.
            None => input.key_size.is_none() || stored != KeyType::P256K,
        }
}

fn are_usages(names: &[String], stored: &[KeyUsage]) -> bool {
    let read: Option<Vec<KeyUsage>> = names.iter().map(|name| KeyUsage::parse(name)).collect();
    read.is_some_and(|read| KeyUsage::ALL.iter().all(|usage| read.contains(usage) == stored.contains(usage)))
}

fn are_actions(input: &[LifetimeActionInput], stored: &[LifetimeAction]) -> bool {
    let same = |(input, stored): (&LifetimeActionInput, &LifetimeAction)| {
        let named = LifetimeActionInput::from(stored);
        input.action.as_deref().and_then(Action::parse) == Some(stored.action)
            && LifetimeActionInput { action: named.action.clone(), ..input.clone() } == named
    };
    input.len() == stored.len() && input.iter().zip(stored).all(same)
}

impl SubjectAlternativeNames {
    /// Whether both name the same, in the same order; no names are as good as none at all.
    fn same_names(&self, other: Option<&Self>) -> bool {
        let none = Self::default();
        let other = other.unwrap_or(&none);
        Self { shown_empty: other.shown_empty, ..self.clone() } == *other
    }
}

impl From<&LifetimeAction> for LifetimeActionInput {
    fn from(action: &LifetimeAction) -> Self {
        let LifetimeAction { trigger, action } = action;
        let (lifetime_percentage, days_before_expiry) = match trigger {
            Trigger::LifetimePercentage(percentage) => (Some(i64::from(*percentage)), None),
            Trigger::DaysBeforeExpiry(days) => (None, Some(i64::from(*days))),
        };
        Self { lifetime_percentage, days_before_expiry, action: Some(action.name().to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyUsage;
    use crate::domain::san::SubjectAlternativeNames;

    fn stored() -> Policy {
        let input = PolicyInput {
            subject: Some("CN=a".into()),
            sans: Some(SubjectAlternativeNames { dns_names: vec!["a.example".into()], ..Default::default() }),
            ekus: Some(vec!["1.3.6.1.5.5.7.3.1".into()]),
            key_usage: Some(vec!["cRLSign".into()]),
            validity_months: Some(3),
            certificate_type: Some("OV-SSL".into()),
            lifetime_actions: Some(vec![LifetimeActionInput {
                days_before_expiry: Some(30),
                action: Some("EmailContacts".into()),
                ..Default::default()
            }]),
            exportable: Some(false),
            ..PolicyInput::default()
        };
        input.complete(Timestamp(1000)).unwrap()
    }

    #[test]
    fn nothing_named_changes_nothing_but_the_time() {
        let changed = PolicyInput::default().change(&stored(), Timestamp(5000)).unwrap();
        assert_eq!(changed, Policy { updated: Timestamp(5000), ..stored() });
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let input = PolicyInput { issuer_name: Some("Self".into()), ekus: Some(Vec::new()), ..PolicyInput::default() };
        let changed = input.change(&stored(), Timestamp(5000)).unwrap();
        let mut expected = Policy { updated: Timestamp(5000), ..stored() };
        expected.issuer.name = "Self".into();
        expected.x509.ekus = Vec::new();
        assert_eq!(changed, expected);
        assert_eq!(changed.x509.key_usage, [KeyUsage::CrlSign]);
    }

    #[test]
    fn a_new_key_type_takes_nothing_from_the_old_one() {
        let change = |kty: Option<&str>, size, curve: Option<&str>, from| {
            let input = PolicyInput {
                kty: kty.map(Into::into),
                key_size: size,
                curve: curve.map(Into::into),
                ..PolicyInput::default()
            };
            let mut stored = stored();
            stored.key.key_type = from;
            input.change(&stored, Timestamp(0)).map(|policy| policy.key.key_type).ok()
        };
        assert_eq!(change(Some("EC"), None, None, KeyType::Rsa3072), Some(KeyType::P256));
        assert_eq!(change(None, None, Some("P-384"), KeyType::Rsa3072), Some(KeyType::P384));
        assert_eq!(change(Some("RSA"), None, None, KeyType::P384), Some(KeyType::Rsa2048));
        assert_eq!(change(Some("RSA"), None, None, KeyType::Rsa4096), Some(KeyType::Rsa4096));
        assert_eq!(change(None, Some(4096), None, KeyType::Rsa2048), Some(KeyType::Rsa4096));
        assert_eq!(change(None, Some(521), None, KeyType::P256), Some(KeyType::P521));
        assert_eq!(change(None, None, Some("P-521"), KeyType::P256), Some(KeyType::P521));
        assert_eq!(change(None, Some(256), None, KeyType::Rsa2048), None);
    }

    /// A policy as imports bring it: no member could be asked for.
    fn odd() -> Policy {
        let mut odd = stored();
        odd.key.key_type = KeyType::P256K;
        odd.x509.subject = format!("CN={}", "a".repeat(65));
        let sans = (0..300).map(|number| format!("{number}.-")).collect();
        odd.x509.sans = Some(SubjectAlternativeNames { dns_names: sans, ..Default::default() });
        odd.x509.ekus = vec!["1.2".to_owned(); 150];
        odd.x509.key_usage = vec![KeyUsage::EncipherOnly];
        odd.x509.ca = true;
        odd.lifetime_actions[0].trigger = Trigger::DaysBeforeExpiry(81);
        odd
    }

    #[test]
    fn what_is_sent_back_as_it_was_is_not_judged() {
        let whole = || PolicyInput::of(&odd());
        assert_eq!(whole().change(&odd(), Timestamp(1000)).unwrap(), odd());
        let input = PolicyInput { reuse_key: Some(true), issuer_name: Some("Self".into()), ..whole() };
        let changed = input.change(&odd(), Timestamp(1000)).unwrap();
        assert_eq!((changed.key.reuse_key, changed.issuer.name.as_str(), changed.x509), (true, "Self", odd().x509));
        // Each other one is judged, and reported alone.
        type Change = fn(&mut PolicyInput);
        let changes: [(Change, &str); 7] = [
            (|p| p.subject = Some(format!("CN={}", "b".repeat(65))), "x509_props.subject"),
            (|p| p.sans.as_mut().unwrap().dns_names.truncate(299), "x509_props.sans"),
            (|p| p.ekus.as_mut().unwrap().truncate(149), "x509_props.ekus"),
            (|p| p.key_usage.as_mut().unwrap().push("decipherOnly".into()), "x509_props.key_usage"),
            (|p| p.key_size = Some(100), "key_props"),
            (|p| p.certificate_type = Some("\u{202e}".into()), "issuer.cty"),
            (|p| p.validity_months = Some(2), "lifetime_actions"),
        ];
        for (change, path) in changes {
            let mut input = whole();
            change(&mut input);
            let error = input.change(&odd(), Timestamp(1000)).unwrap_err();
            let paths: Vec<_> = error.details.iter().map(|detail| format!("{detail:?}")).collect();
            assert!(!paths.is_empty() && paths.iter().all(|detail| detail.contains(path)), "{path}: {paths:?}");
        }
    }

    #[test]
    fn the_whole_is_checked() {
        let input = PolicyInput { validity_months: Some(1), ..PolicyInput::default() };
        let error = input.change(&stored(), Timestamp(0)).unwrap_err();
        assert!(error.message.contains("lifetime_actions[0].trigger.days_before_expiry"), "{error}");
    }
}
