//! A request against the rules of a profile: what it does not say is the profile's, and what it says is within it.

use super::{KeyRule, Lifetime, Profile, SubjectRule, key_name};
use crate::domain::granted::Granted;
use crate::domain::policy::{KeyUsage, Policy};
use crate::domain::policy_input::{MAX_VALIDITY_MONTHS, PolicyInput};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::subject::{AttributeValue, DistinguishedName, der_text};
use crate::domain::{Error, Result, Timestamp, text};

/// Most broken rules that a refusal names; a policy may have hundreds of names.
const MAX_SHOWN: usize = 20;

const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";
const EMAIL: &str = "1.2.840.113549.1.9.1";

impl Profile {
    /// The request with what it leaves to the profile: purposes, usages, and a subject that is made of its names.
    #[must_use]
    pub fn complete(&self, input: PolicyInput) -> PolicyInput {
        let usages = || self.key_usage.as_ref().map(|list| list.iter().map(|usage| usage.name().to_owned()).collect());
        PolicyInput {
            ekus: input.ekus.clone().or_else(|| self.ekus.clone()),
            key_usage: input.key_usage.clone().or_else(usages),
            ..input
        }
    }

    /// The policy that is signed, and what is granted beside it. `names_validity` says whether the request said how long
    /// the certificate is to live; the answer is at most the profile's.
    ///
    /// # Errors
    /// `BadParameter`, with every rule that is broken.
    pub fn grant(&self, mut policy: Policy, names_validity: bool, now: Timestamp) -> Result<(Policy, Granted)> {
        let mut broken = Vec::new();
        self.check_subject(&mut policy, &mut broken);
        self.check_names(&policy, &mut broken);
        self.check_uses(&policy, &mut broken);
        if !broken.is_empty() {
            let more = broken.len().saturating_sub(MAX_SHOWN);
            broken.truncate(MAX_SHOWN);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let rules = format!("{}{more}", broken.join("; "));
            let problem = format!("The profile {} of the issuer does not allow it: {rules}.", self.name);
            return Err(Error::bad_parameter(problem));
        }
        let asked = now.plus_months(policy.x509.validity_months).seconds() - now.seconds();
        let asked = Lifetime::of_seconds(u64::try_from(asked).unwrap_or(0));
        let (longest, usual) = self.validity;
        let wanted = if names_validity { asked } else { usual.unwrap_or(asked) };
        let lifetime = longest.map_or(wanted, |most| wanted.min(most));
        let seconds = (lifetime != asked).then(|| lifetime.seconds());
        if seconds.is_some() {
            // The policy says the months that the certificate lives, rounded up; a month begins with a whole second.
            let end = now.plus(lifetime.into()).seconds();
            let most = u32::try_from(MAX_VALIDITY_MONTHS).unwrap_or(u32::MAX);
            let months = (1..=most).find(|months| now.plus_months(*months).seconds() >= end);
            policy.x509.validity_months = months.unwrap_or(most);
        }
        let granted =
            Granted { profile: self.name.clone(), seconds, revocation: self.revocation, must_staple: self.must_staple };
        Ok((policy, granted))
    }

    fn check_subject(&self, policy: &mut Policy, broken: &mut Vec<String>) {
        let subject = policy.x509.subject.trim().to_owned();
        let (rule, organization) = &self.subject;
        match rule {
            SubjectRule::FromRequest => {
                if let Some(organization) = organization
                    && !subject.is_empty()
                    && values(&subject, ORGANIZATION) != [organization.as_str()]
                {
                    broken.push(format!("the subject must have O={organization}"));
                }
            }
            SubjectRule::Empty if !subject.is_empty() => broken.push("the subject must be empty".to_owned()),
            SubjectRule::Empty => {}
            SubjectRule::CommonNameFromFirstName => {
                let Some(first) = policy.x509.sans.as_ref().and_then(first_name) else {
                    broken.push("the common name is made of the first alternative name, and there is none".to_owned());
                    return;
                };
                let organization = organization.as_deref().map(|text| format!(",O={}", escaped(text)));
                let made = format!("CN={}{}", escaped(&first), organization.unwrap_or_default());
                let same = |one: &str| DistinguishedName::parse(one).ok() == DistinguishedName::parse(&made).ok();
                if subject.is_empty() || same(&subject) {
                    policy.x509.subject = made;
                } else {
                    broken.push(format!("the subject must be empty or {made}"));
                }
            }
        }
    }

    fn check_names(&self, policy: &Policy, broken: &mut Vec<String>) {
        let none = SubjectAlternativeNames::default();
        let sans = policy.x509.sans.as_ref().unwrap_or(&none);
        if let Some(most) = self.max_names.filter(|most| sans.len() > *most) {
            broken.push(format!("{} names are more than max_names, {most}", sans.len()));
        }
        let Some(rules) = &self.names else { return };
        broken.extend(rules.broken(sans));
        // Name constraints do not reach the common name, and old clients look at it.
        broken
            .extend(values(&policy.x509.subject, COMMON_NAME).iter().filter_map(|name| rules.broken_common_name(name)));
        let mailboxes = values(&policy.x509.subject, EMAIL);
        let foreign = mailboxes.iter().filter(|name| !rules.allows_mailbox(name));
        broken.extend(foreign.map(|name| format!("the name {name} is not allowed in the subject")));
    }

    fn check_uses(&self, policy: &Policy, broken: &mut Vec<String>) {
        let key = policy.key.key_type;
        if !self.keys.is_empty() && !self.keys.iter().any(|rule| rule.allows(key)) {
            let allowed: Vec<_> = self.keys.iter().map(|rule| KeyRule::text(*rule)).collect();
            broken.push(format!("keys are {}, not {}", allowed.join(", "), key_name(key)));
        }
        if let Some(allowed) = &self.ekus {
            let foreign = policy.x509.ekus.iter().filter(|oid| !allowed.contains(oid));
            broken.extend(foreign.map(|oid| format!("the extended key usage {oid} is not allowed")));
            if policy.x509.ekus.is_empty() {
                broken
                    .push("a certificate without extended key usages is good for all, which is not allowed".to_owned());
            }
        }
        if let Some(allowed) = &self.key_usage {
            let foreign = policy.x509.key_usage.iter().filter(|usage| !allowed.contains(usage));
            broken.extend(foreign.map(|usage: &KeyUsage| format!("the key usage {} is not allowed", usage.name())));
            if policy.x509.key_usage.is_empty() {
                broken.push("a certificate without key usages is good for all, which is not allowed".to_owned());
            }
        }
    }
}

/// The values of an attribute of a subject.
fn values(subject: &str, oid: &str) -> Vec<String> {
    let name = DistinguishedName::parse(subject).unwrap_or_default();
    let text = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => Some(text.clone()),
        AttributeValue::Der(der) => der_text(der),
    };
    let all = name.parts.iter().flatten().filter(|attribute| attribute.oid == oid);
    // What is no text is no name that a rule allows.
    all.map(|attribute| text(&attribute.value).unwrap_or_else(|| "(not text)".to_owned())).collect()
}

fn first_name(names: &SubjectAlternativeNames) -> Option<String> {
    let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } = names;
    let mut all = dns_names.iter().chain(ip_addresses).chain(emails).chain(upns).chain(uris);
    all.next().cloned()
}

/// Why no subject may have this organization, as a sentence.
pub(super) fn organization_problem(organization: &str) -> Option<String> {
    if organization.trim() != organization {
        return Some("It begins or ends with a space: remove it.".to_owned());
    }
    match DistinguishedName::parse(&format!("O={}", escaped(organization))) {
        Ok(_) => text::problem(organization),
        Err(error) => Some(format!("No subject may have it: {error}")),
    }
}

/// A value as RFC 4514 writes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for (index, c) in text.chars().enumerate() {
        if "\"+,;<>\\=".contains(c) || (index == 0 && c == '#') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
