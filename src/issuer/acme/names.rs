//! What ACME can express of a policy: host names and addresses, nothing else.

use super::state::Method;
use crate::domain::policy::KeyType;
use crate::domain::subject::common_name;
use crate::domain::{Error, Policy, Result};
use std::net::IpAddr;

/// An identifier of an order (RFC 8555 section 9.7.7, RFC 8738).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identifier {
    pub(super) kind: &'static str,
    pub(super) value: String,
}

/// The identifiers of a policy: its alternative names, and a common name that is a host name or an
/// address. In lower case, each once.
///
/// # Errors
/// The member that ACME cannot express, and what to do.
pub(super) fn identifiers(policy: &Policy, method: Method) -> Result<Vec<Identifier>> {
    let field = |path: &str, problem: String| Error::field(format!("policy.{path}"), problem);
    if policy.key.key_type == KeyType::P256K {
        return Err(field("key_props.crv", "ACME issuers take RSA, P-256, P-384 and P-521, not P-256K.".to_owned()));
    }
    if policy.x509.ca {
        let hint = "An ACME issuer issues no CA certificates: set it to false.";
        return Err(field("x509_props.basic_constraints.ca", hint.to_owned()));
    }
    let sans = policy.x509.sans.clone().unwrap_or_default();
    for (member, names) in [("emails", &sans.emails), ("upns", &sans.upns), ("uris", &sans.uris)] {
        if !names.is_empty() {
            let hint = "An ACME issuer certifies host names and IP addresses only: remove these names.";
            return Err(field(&format!("x509_props.sans.{member}"), hint.to_owned()));
        }
    }
    let mut found: Vec<Identifier> = Vec::new();
    let mut add = |identifier: Identifier| {
        if !found.contains(&identifier) {
            found.push(identifier);
        }
    };
    if let Some(common_name) = common_name(&policy.x509.subject)? {
        match identifier(&common_name) {
            Some(identifier) if common_name.len() <= 64 => add(identifier),
            _ => {
                let hint = format!(
                    "An ACME issuer certifies a common name only if it is a host name of at most 64 characters; \
                     {common_name:?} is not. Leave the subject empty and put the names into sans."
                );
                return Err(field("x509_props.subject", hint));
            }
        }
    }
    for (index, name) in sans.dns_names.iter().enumerate() {
        let problem = || field(&format!("x509_props.sans.dns_names[{index}]"), "Not a host name.".to_owned());
        add(identifier(name).ok_or_else(problem)?);
    }
    for (index, address) in sans.ip_addresses.iter().enumerate() {
        let problem = || field(&format!("x509_props.sans.ipAddresses[{index}]"), "Not an IP address.".to_owned());
        let address = address.parse::<IpAddr>().map_err(|_| problem())?;
        add(Identifier { kind: "ip", value: address.to_string() });
    }
    if found.is_empty() {
        return Err(field("x509_props.sans.dns_names", "An ACME issuer needs at least one host name.".to_owned()));
    }
    fits(&found, method)?;
    Ok(found)
}

/// Whether the challenge can prove every name (RFC 8555 section 8.3, RFC 8738 section 7).
fn fits(identifiers: &[Identifier], method: Method) -> Result<()> {
    let by_dns = matches!(method, Method::Dns01 | Method::DnsPersist01);
    for Identifier { kind, value } in identifiers {
        let problem = match (*kind, value.starts_with("*.")) {
            ("dns", true) if !by_dns => "a wildcard can be validated only by dns-01 or dns-persist-01",
            ("ip", _) if by_dns => "an IP address can be validated only by http-01",
            _ => continue,
        };
        let name = method.name();
        return Err(Error::bad_parameter(format!("{value}: {problem}, and the issuer uses {name}.")));
    }
    Ok(())
}

/// A host name, perhaps with `*.` before it, or an address.
fn identifier(text: &str) -> Option<Identifier> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Identifier { kind: "ip", value: address.to_string() });
    }
    let value = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = value.strip_prefix("*.").unwrap_or(&value);
    (host.contains('.') && host.len() <= 253 && host.split('.').all(label)).then_some(Identifier { kind: "dns", value })
}

/// Whether a CA may ask for a proof of this name: it is one of the order's, or a domain above one.
pub(super) fn is_proved_for(ordered: &[Identifier], name: &str) -> bool {
    let Some(Identifier { value, .. }) = identifier(name) else { return false };
    ordered.iter().any(|one| {
        let host = one.value.strip_prefix("*.").unwrap_or(&one.value);
        let is_below = || host.strip_suffix(value.as_str()).is_some_and(|below| below.ends_with('.'));
        host == value.as_str() || (one.kind == "dns" && is_below())
    })
}

/// Whether a certificate (DER) has this common name as its issuer.
pub(super) fn issued_by(certificate: &[u8], wanted: &str) -> bool {
    use der::Decode;
    x509_cert::Certificate::from_der(certificate)
        .ok()
        .and_then(|certificate| common_name(&certificate.tbs_certificate().issuer().to_string()).ok().flatten())
        .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_order_are_proved_and_no_others() {
        let ordered: Vec<Identifier> =
            ["www.example.com", "*.shop.example", "2001:db8::1"].into_iter().filter_map(identifier).collect();
        assert_eq!(ordered.len(), 3);
        for name in ["WWW.example.com", "example.com", "shop.example", "2001:DB8:0::1"] {
            assert!(is_proved_for(&ordered, name), "{name}");
        }
        for name in ["other.example", "a.www.example.com", "ple.com", "2001:db8::2", "-v", "www.example.com\n", ""] {
            assert!(!is_proved_for(&ordered, name), "{name}");
        }
    }

    #[test]
    fn host_names_and_addresses_are_identifiers_and_nothing_else() {
        for (text, kind, value) in [
            ("WWW.Example.com", "dns", "www.example.com"),
            ("*.example.com.", "dns", "*.example.com"),
            ("192.0.2.1", "ip", "192.0.2.1"),
            ("2001:DB8::1", "ip", "2001:db8::1"),
        ] {
            assert_eq!(identifier(text), Some(Identifier { kind, value: value.to_owned() }), "{text}");
        }
        for text in ["MyCertSubject1", "", "a b.example", "-a.example", "*.*.example.com", "a..b", "x@example.com"] {
            assert_eq!(identifier(text), None, "{text}");
        }
    }
}
