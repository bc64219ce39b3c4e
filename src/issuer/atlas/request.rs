//! What is sent of a policy: HVCA takes the public key of a request alone, so names and subject go beside it.

use super::settings::Settings;
use crate::domain::subject::{AttributeValue, DistinguishedName};
use crate::domain::{Error, Policy, Result};
use der::pem::LineEnding;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Attributes of a subject by object identifier, and how the API calls them.
const ATTRIBUTES: [(&str, &str); 12] = [
    ("2.5.4.3", "common_name"),
    ("2.5.4.6", "country"),
    ("2.5.4.8", "state"),
    ("2.5.4.7", "locality"),
    ("2.5.4.9", "street_address"),
    ("2.5.4.10", "organization"),
    ("2.5.4.5", "serial_number"),
    ("1.2.840.113549.1.9.1", "email"),
    ("2.5.4.15", "business_category"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdiction_of_incorporation_locality_name"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdiction_of_incorporation_state_or_province_name"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdiction_of_incorporation_country_name"),
];
const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";

/// The members `subject_dn` and `san` of a request.
///
/// # Errors
/// The member of the policy that Atlas cannot express, and what to do.
pub(super) fn names(policy: &Policy) -> Result<(Value, Value)> {
    let field = |path: &str, problem: String| Error::field(format!("policy.{path}"), problem);
    if policy.x509.ca {
        let hint = "GlobalSign issues no CA certificates here: set it to false.";
        return Err(field("x509_props.basic_constraints.ca", hint.to_owned()));
    }
    let mut sans = policy.x509.sans.clone().unwrap_or_default();
    if !sans.upns.is_empty() {
        let hint = "GlobalSign Atlas is not asked for user principal names here: remove them.";
        return Err(field("x509_props.sans.upns", hint.to_owned()));
    }
    let (mut subject, mut units) = (Map::new(), Vec::new());
    for attribute in DistinguishedName::parse(&policy.x509.subject)?.parts.into_iter().flatten() {
        let AttributeValue::Text(text) = attribute.value else {
            let hint = format!("The attribute {} is not written as text.", attribute.oid);
            return Err(field("x509_props.subject", hint));
        };
        if attribute.oid == ORGANIZATIONAL_UNIT {
            units.push(text);
            continue;
        }
        let Some((_, name)) = ATTRIBUTES.iter().find(|(oid, _)| *oid == attribute.oid) else {
            let known: Vec<&str> = ATTRIBUTES.iter().map(|(_, name)| *name).collect();
            let hint = format!("GlobalSign Atlas has no attribute {}. It has: {}.", attribute.oid, known.join(", "));
            return Err(field("x509_props.subject", hint));
        };
        if subject.insert((*name).to_owned(), json!(text)).is_some() {
            return Err(field("x509_props.subject", format!("GlobalSign Atlas takes one {name}: remove the others.")));
        }
    }
    if !units.is_empty() {
        subject.insert("organizational_unit".to_owned(), json!(units));
    }
    // Clients look at the alternative names alone.
    if let Some(name) = subject.get("common_name").and_then(Value::as_str).filter(|name| is_host(name)) {
        let (dns, addresses) = (&mut sans.dns_names, &mut sans.ip_addresses);
        let list = if name.parse::<IpAddr>().is_ok() { addresses } else { dns };
        if !list.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            list.insert(0, name.to_owned());
        }
    }
    let mut names = Map::new();
    let lists = [
        ("dns_names", sans.dns_names),
        ("emails", sans.emails),
        ("ip_addresses", sans.ip_addresses),
        ("uris", sans.uris),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        names.insert(name.to_owned(), json!(list));
    }
    if subject.is_empty() && names.is_empty() {
        return Err(field("x509_props.subject", "A certificate needs a subject or alternative names.".to_owned()));
    }
    Ok((Value::Object(subject), Value::Object(names)))
}

/// Whether a common name is a host name or an address.
fn is_host(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.parse::<IpAddr>().is_ok() || (host.contains('.') && host.len() <= 253 && host.split('.').all(label))
}

/// The body of `POST /certificates`: valid from `begins` for so many seconds.
pub(super) fn body(policy: &Policy, csr: &[u8], settings: &Settings, begins: i64, seconds: i64) -> Result<Value> {
    let (subject, names) = names(policy)?;
    let csr = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, csr);
    let mut body = json!({
        "validity": {"not_before": begins, "not_after": begins.saturating_add(seconds)},
        // DER that was made here is never too long for it.
        "public_key": csr.unwrap_or_default(),
    });
    let filled = |value: &Value| value.as_object().is_some_and(|members| !members.is_empty());
    if filled(&subject) {
        body["subject_dn"] = subject;
    }
    if filled(&names) {
        body["san"] = names;
    }
    if settings.purposes && !policy.x509.ekus.is_empty() {
        body["extended_key_usages"] = json!(policy.x509.ekus);
    }
    Ok(body)
}
