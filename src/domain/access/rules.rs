//! What a grant lets its holder ask for: names, keys, times and uses of a certificate. Where there are rules, what they
//! do not name is not allowed; but kinds of keys and validities, which every certificate has, are not limited unless
//! they are named.

use super::requested::Requested;
use super::rule_names::{DnsPattern, EmailPattern, Network, UriPattern};
use crate::domain::attribute_type::AttributeType;
use crate::domain::subject::{AttributeValue, DistinguishedName};
use crate::domain::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most values of each list.
const MAX_VALUES: usize = 200;
const COMMON_NAME: &str = "2.5.4.3";

/// Names of extended key usages (RFC 5280 section 4.2.1.12).
const PURPOSES: [(&str, &str); 7] = [
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
    ("anyExtendedKeyUsage", "2.5.29.37.0"),
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
            // A host name is one, whatever the attribute may be.
            let is_host = attribute.oid == COMMON_NAME && looks_like_a_host(text);
            let named = match self.subject.get(&attribute.oid) {
                Some(None) => !is_host,
                Some(Some(values)) => values.iter().any(|value| value == text),
                None => false,
            };
            let allowed = named || attribute.oid == COMMON_NAME && self.is_allowed_as_name(text);
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
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b));
    text.parse::<IpAddr>().is_ok() || text.contains('.') && text.split('.').all(label)
}

fn wrong(member: &str, value: &str, problem: &str) -> Error {
    let shown: String = value.chars().filter(|c| !c.is_control()).take(80).collect();
    Error::field(format!("rules.{member}"), format!("`{shown}`: {problem}"))
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
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::domain::san::SubjectAlternativeNames;

    fn rules() -> Rules {
        Rules::parse(&RulesInput {
            dns: vec!["shop.example".into(), "*.shop.example".into()],
            ip: vec!["10.1.0.0/16".into()],
            uri: vec!["spiffe://corp.example/ns/shop/*".into()],
            subject: BTreeMap::from([("O".into(), vec!["Example Corp".into()])]),
            key_types: vec!["EC".into()],
            max_validity_months: Some(3),
            ekus: vec!["serverAuth".into()],
            ..RulesInput::default()
        })
        .unwrap()
    }

    fn requested<'a>(subject: &'a str, sans: &'a SubjectAlternativeNames) -> Requested<'a> {
        Requested {
            issuer: "Self",
            subject,
            sans: Some(sans),
            key_type: KeyType::P256,
            validity_months: 3,
            ekus: &[],
            exportable: false,
            reuse_key: false,
            ca: false,
            other_names: false,
        }
    }

    fn refused(rules: &Rules, requested: &Requested<'_>) -> String {
        rules.violation(requested).map(|Violation { member, value }| format!("{member} {value}")).unwrap_or_default()
    }

    #[test]
    fn what_is_named_is_allowed_and_nothing_else() {
        let (rules, none) = (rules(), SubjectAlternativeNames::default());
        let sans = SubjectAlternativeNames {
            dns_names: vec!["web.shop.example".into()],
            ip_addresses: vec!["10.1.2.3".into(), "::ffff:10.1.2.4".into()],
            uris: vec!["spiffe://corp.example/ns/shop/web".into()],
            ..none.clone()
        };
        let eku = ["1.3.6.1.5.5.7.3.1".to_owned()];
        let good = Requested { ekus: &eku, ..requested("CN=shop.example, O=Example Corp", &sans) };
        assert_eq!(refused(&rules, &good), "");
        for (subject, problem) in [
            ("CN=evilshop.example", "policy.x509_props.subject CN=evilshop.example"),
            ("O=Example Corp, OU=x", "policy.x509_props.subject OU=x"),
            ("O=Other", "policy.x509_props.subject O=Other"),
            ("CN=John", "policy.x509_props.subject CN=John"),
            ("CN=10.2.0.1", "policy.x509_props.subject CN=10.2.0.1"),
            ("CN=*.shop.example", "policy.x509_props.subject CN=*.shop.example"),
            ("CN=10.1.0.1", ""),
        ] {
            assert_eq!(refused(&rules, &requested(subject, &none)), problem, "{subject}");
        }
        let names = |change: fn(&mut SubjectAlternativeNames)| {
            let mut sans = SubjectAlternativeNames::default();
            change(&mut sans);
            refused(&rules, &requested("CN=shop.example", &sans))
        };
        assert_eq!(
            names(|sans| sans.dns_names.push("*.shop.example".into())),
            "policy.x509_props.sans.dns_names *.shop.example"
        );
        assert_eq!(
            names(|sans| sans.ip_addresses.push("10.2.0.1".into())),
            "policy.x509_props.sans.ipAddresses 10.2.0.1"
        );
        assert_eq!(
            names(|sans| sans.emails.push("a@shop.example".into())),
            "policy.x509_props.sans.emails a@shop.example"
        );
        assert_eq!(names(|sans| sans.upns.push("a@shop.example".into())), "policy.x509_props.sans.upns a@shop.example");
        assert!(names(|sans| sans.uris.push("spiffe://corp.example/ns/x".into())).contains("sans.uris"));
        let base = requested("CN=shop.example", &none);
        let oid = ["1.3.6.1.5.5.7.3.3".to_owned()];
        for (wrong, problem) in [
            (Requested { key_type: KeyType::Rsa2048, ..base }, "policy.key_props.kty RSA"),
            (Requested { validity_months: 4, ..base }, "policy.x509_props.validity_months 4 (at most 3)"),
            (Requested { exportable: true, ..base }, "policy.key_props.exportable true"),
            (Requested { reuse_key: true, ..base }, "policy.key_props.reuse_key true"),
            (Requested { ca: true, ..base }, "policy.x509_props.basic_constraints.ca true"),
            (Requested { ekus: &oid, ..base }, "policy.x509_props.ekus codeSigning"),
        ] {
            assert_eq!(refused(&rules, &wrong), problem);
        }
        assert!(refused(&rules, &Requested { other_names: true, ..base }).contains("no rule can allow"));
    }

    #[test]
    fn a_star_for_the_common_name_lets_no_host_name_in() {
        let any = RulesInput { subject: BTreeMap::from([("CN".into(), vec!["*".into()])]), ..RulesInput::default() };
        let (any, none) = (Rules::parse(&any).unwrap(), SubjectAlternativeNames::default());
        assert_eq!(refused(&any, &requested("CN=John Doe", &none)), "");
        assert_eq!(refused(&any, &requested("CN=evil.example", &none)), "policy.x509_props.subject CN=evil.example");
    }

    #[test]
    fn rules_that_are_wrong_name_the_member() {
        let problem = |input: RulesInput| Rules::parse(&input).unwrap_err().message;
        for (input, member) in [
            (RulesInput { dns: vec!["a b".into()], ..RulesInput::default() }, "rules.dns"),
            (RulesInput { ip: vec!["10.0.0.1/8".into()], ..RulesInput::default() }, "rules.ip"),
            (RulesInput { key_types: vec!["DSA".into()], ..RulesInput::default() }, "rules.key_types"),
            (RulesInput { ekus: vec!["server".into()], ..RulesInput::default() }, "rules.ekus"),
            (RulesInput { max_validity_months: Some(0), ..RulesInput::default() }, "rules.max_validity_months"),
            (
                RulesInput { subject: BTreeMap::from([("Z".into(), vec!["x".into()])]), ..RulesInput::default() },
                "rules.subject",
            ),
        ] {
            let message = problem(input);
            assert!(message.contains(&format!("Property {member} has invalid value.")), "{message}");
        }
    }
}
