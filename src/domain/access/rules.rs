//! What a grant lets its holder ask for: names, keys, times and uses of a certificate. Where there are rules, what they
//! do not name is not allowed; but kinds of keys and validities, which every certificate has, are not limited unless
//! they are named.

use super::given::shown;
use super::requested::Requested;
use super::rule_names::{DnsPattern, EmailPattern, Network, UriPattern};
use crate::domain::attribute_type::AttributeType;
use crate::domain::policy::UNKNOWN;
use crate::domain::subject::{AttributeValue, DistinguishedName};
use crate::domain::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most values of each list.
const MAX_VALUES: usize = 200;
const COMMON_NAME: &str = "2.5.4.3";
const ANY_USAGE: &str = "2.5.29.37.0";

/// Names of extended key usages (RFC 5280 section 4.2.1.12).
const PURPOSES: [(&str, &str); 7] = [
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
    ("anyExtendedKeyUsage", ANY_USAGE),
];

/// The kinds of keys that a rule may name.
const KEY_TYPES: [&str; 4] = ["RSA", "EC", "RSA-HSM", "EC-HSM"];

/// Rules as they are written.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesInput {
    /// Host names: `shop.example` is that one, `*.shop.example` the names below it, `*` all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Whether a host name may be a wildcard.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wildcards: bool,
    /// Networks: `10.1.0.0/16`, or an address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    /// A URI, or its beginning with a star behind a slash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<String>,
    /// A mailbox, or `*@shop.example` for all of a domain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// Attributes of the subject (`O`, `OU`, `2.5.4.11`) with their values; `*` is any. A common name that is a host
    /// name counts as one, and needs nothing here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subject: BTreeMap<String, Vec<String>>,
    /// `RSA`, `EC`; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_types: Vec<String>,
    /// None: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_validity_months: Option<u32>,
    /// `serverAuth`, `clientAuth` and others, or object identifiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ekus: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exportable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reuse_key: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ca: bool,
}

/// Rules, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// As they were written.
    input: RulesInput,
    names: Names,
    /// Object identifiers with their values; `None` is any value.
    subject: BTreeMap<String, Option<Vec<String>>>,
    ekus: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    dns: Vec<DnsPattern>,
    ip: Vec<Network>,
    uri: Vec<UriPattern>,
    email: Vec<EmailPattern>,
}

/// What of a request is not allowed: the member, and the value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    pub member: &'static str,
    pub value: String,
}

impl Violation {
    pub fn new(member: &'static str, value: impl Into<String>) -> Self {
        Self { member, value: value.into() }
    }
}

impl Rules {
    /// Reads what was written; the problem names the member.
    pub fn parse(input: &RulesInput) -> Result<Self> {
        let RulesInput { dns, ip, uri, email, subject, key_types, max_validity_months, ekus, .. } = input;
        if let Some(kind) = key_types.iter().find(|kind| !KEY_TYPES.contains(&kind.as_str())) {
            return Err(wrong("key_types", kind, "use RSA, EC, RSA-HSM and EC-HSM."));
        }
        if *max_validity_months == Some(0) {
            return Err(wrong("max_validity_months", "0", "it is at least 1."));
        }
        let names = Names {
            dns: each("dns", dns, DnsPattern::parse)?,
            ip: each("ip", ip, Network::parse)?,
            uri: each("uri", uri, UriPattern::parse)?,
            email: each("email", email, EmailPattern::parse)?,
        };
        let mut attributes = BTreeMap::new();
        for (keyword, values) in subject {
            let oid = AttributeType::oid_of(keyword).ok_or("it is no attribute of a name.");
            let oid = oid.map_err(|problem| wrong("subject", keyword, problem))?;
            if values.is_empty() || values.len() > MAX_VALUES {
                return Err(wrong("subject", keyword, "it has 1 to 200 values, or * for any."));
            }
            let any = values.iter().any(|value| value == "*");
            attributes.insert(oid, (!any).then(|| values.clone()));
        }
        let ekus = each("ekus", ekus, purpose)?;
        Ok(Self { input: input.clone(), names, subject: attributes, ekus })
    }

    /// As they were written.
    pub fn input(&self) -> &RulesInput {
        &self.input
    }

    /// The first thing of the request that is not allowed.
    pub fn violation(&self, requested: &Requested<'_>) -> Option<Violation> {
        self.of_key(requested).or_else(|| self.of_names(requested)).or_else(|| self.of_subject(requested))
    }

    fn of_key(&self, requested: &Requested<'_>) -> Option<Violation> {
        let RulesInput { key_types, max_validity_months, exportable, reuse_key, ca, .. } = &self.input;
        let no = |member, value: &str| Violation::new(member, value);
        let kind = requested.key_type.kty();
        if !key_types.is_empty() && !key_types.iter().any(|allowed| allowed == kind) {
            return Some(no("policy.key_props.kty", kind));
        }
        if requested.exportable && !exportable {
            return Some(no("policy.key_props.exportable", "true"));
        }
        if requested.reuse_key && !reuse_key {
            return Some(no("policy.key_props.reuse_key", "true"));
        }
        if requested.ca && !ca {
            return Some(no("policy.x509_props.basic_constraints.ca", "true"));
        }
        if let Some(most) = max_validity_months.filter(|most| requested.validity_months > *most) {
            let value = format!("{} (at most {most})", requested.validity_months);
            return Some(no("policy.x509_props.validity_months", &value));
        }
        // Without the extension a certificate is good for any use (RFC 5280 section 4.2.1.12). CAs have none, and what is
        // signed elsewhere has what is decided there.
        let is_limited = !self.ekus.is_empty() && !self.ekus.iter().any(|eku| eku == ANY_USAGE);
        if is_limited && requested.ekus.is_empty() && !requested.ca && !requested.issuer.eq_ignore_ascii_case(UNKNOWN) {
            return Some(no("policy.x509_props.ekus", "an empty list, which is any usage,"));
        }
        let eku = requested.ekus.iter().find(|eku| !self.ekus.contains(eku))?;
        let name = PURPOSES.iter().find(|(_, oid)| oid == eku).map_or(eku.as_str(), |(name, _)| *name);
        Some(no("policy.x509_props.ekus", name))
    }

    fn of_names(&self, requested: &Requested<'_>) -> Option<Violation> {
        if requested.other_names {
            return Some(Violation::new("policy.x509_props.sans", "a name of a kind that no rule can allow"));
        }
        let sans = requested.sans?;
        let Names { ip, uri, email, .. } = &self.names;
        let outside = |member, names: &[String], allowed: &dyn Fn(&str) -> bool| {
            names.iter().find(|name| !allowed(name)).map(|name| Violation::new(member, name.as_str()))
        };
        outside("policy.x509_props.sans.dns_names", &sans.dns_names, &|name| self.has_host(name))
            .or_else(|| {
                let address = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip_| ip.iter().any(|net| net.has(ip_)));
                outside("policy.x509_props.sans.ipAddresses", &sans.ip_addresses, &address)
            })
            .or_else(|| {
                let known = |text: &str| uri.iter().any(|pattern| pattern.matches(text));
                outside("policy.x509_props.sans.uris", &sans.uris, &known)
            })
            .or_else(|| {
                let known = |text: &str| email.iter().any(|pattern| pattern.matches(text));
                outside("policy.x509_props.sans.emails", &sans.emails, &known)
            })
            // No rule can name one.
            .or_else(|| outside("policy.x509_props.sans.upns", &sans.upns, &|_| false))
    }

    fn has_host(&self, name: &str) -> bool {
        let wildcard = name.starts_with("*.");
        (!wildcard || self.input.wildcards) && self.names.dns.iter().any(|pattern| pattern.matches(name))
    }

    fn of_subject(&self, requested: &Requested<'_>) -> Option<Violation> {
        const MEMBER: &str = "policy.x509_props.subject";
        let Ok(name) = DistinguishedName::parse(requested.subject) else {
            return Some(Violation::new(MEMBER, requested.subject));
        };
        for attribute in name.parts.iter().flatten() {
            let text = match &attribute.value {
                AttributeValue::Text(text) => text.as_str(),
                AttributeValue::Der(_) => "#",
            };
            let keyword = AttributeType::of(&attribute.oid).and_then(|known| known.keywords.first().copied());
            let keyword = keyword.unwrap_or(&attribute.oid);
            // A host name has to be allowed as one, even where the rules allow any common name. What cannot be read as
            // text may be a host name, too.
            let may_be_host = matches!(attribute.value, AttributeValue::Der(_)) || looks_like_a_host(text);
            let is_host = attribute.oid == COMMON_NAME && may_be_host;
            let named = match self.subject.get(&attribute.oid) {
                Some(None) => !is_host,
                Some(Some(values)) => values.iter().any(|value| value == text),
                None => false,
            };
            let as_name = match &attribute.value {
                AttributeValue::Text(text) => attribute.oid == COMMON_NAME && self.is_allowed_as_name(text),
                AttributeValue::Der(_) => false,
            };
            let allowed = named || as_name;
            if !allowed {
                return Some(Violation::new(MEMBER, format!("{keyword}={text}")));
            }
        }
        None
    }

    /// A common name that is a host name or an address, and would be allowed as one.
    fn is_allowed_as_name(&self, text: &str) -> bool {
        match text.parse::<IpAddr>() {
            Ok(address) => self.names.ip.iter().any(|network| network.has(address)),
            Err(_) => self.has_host(text),
        }
    }
}

fn looks_like_a_host(text: &str) -> bool {
    // Some programs ignore spaces around a name, and the dot of the root, when they compare.
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b));
    text.parse::<IpAddr>().is_ok() || text.contains('.') && text.split('.').all(label)
}

fn wrong(member: &str, value: &str, problem: &str) -> Error {
    Error::field(format!("rules.{member}"), format!("`{}`: {problem}", shown(value)))
}

fn each<T>(member: &str, texts: &[String], parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>> {
    if texts.len() > MAX_VALUES {
        return Err(wrong(member, &texts.len().to_string(), "it has up to 200 values."));
    }
    texts.iter().map(|text| parse(text).map_err(|problem| wrong(member, text, problem))).collect()
}

/// The object identifier of a usage.
fn purpose(text: &str) -> Result<String, &'static str> {
    if let Some((_, oid)) = PURPOSES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok((*oid).to_owned());
    }
    let dotted =
        text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    if dotted {
        Ok(text.to_owned())
    } else {
        Err(
            "use serverAuth, clientAuth, codeSigning, emailProtection, timeStamping, OCSPSigning, or an object identifier.",
        )
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
