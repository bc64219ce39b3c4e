//! What an order says of names: those of the policy, each with its type.

use crate::domain::subject::common_name;
use crate::domain::{Error, Policy, Result as DomainResult};
use std::net::IpAddr;

/// The names of a policy, the common name first.
///
/// # Errors
/// The member that an order cannot express, and what to do.
pub(super) fn names(policy: &Policy) -> DomainResult<Vec<String>> {
    let field = |path: &str, problem: &str| Err(Error::field(format!("policy.{path}"), problem));
    if policy.x509.ca {
        return field("x509_props.basic_constraints.ca", "GlobalSign issues no CA certificates here: set it to false.");
    }
    let sans = policy.x509.sans.clone().unwrap_or_default();
    for (member, names) in [("emails", &sans.emails), ("upns", &sans.upns), ("uris", &sans.uris)] {
        if !names.is_empty() {
            let problem = "TLS certificates of GlobalSign have host names and IP addresses only: remove these names.";
            return field(&format!("x509_props.sans.{member}"), problem);
        }
    }
    let subject = common_name(&policy.x509.subject)?.filter(|name| !name.trim().is_empty());
    let mut names: Vec<String> = Vec::new();
    for name in subject.iter().chain(&sans.dns_names).chain(&sans.ip_addresses) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.clone());
        }
    }
    if subject.is_none() {
        // The order takes it from the request.
        return field(
            "x509_props.subject",
            "GlobalSign needs a common name: put the first host name into the subject.",
        );
    }
    Ok(names)
}

/// Whether GlobalSign adds the name for the common name: itself, and the one with or without `www.`.
pub(super) fn is_covered(name: &str, common_name: &str) -> bool {
    let (name, common_name) = (name.to_ascii_lowercase(), common_name.to_ascii_lowercase());
    match (common_name.strip_prefix("*."), common_name.strip_prefix("www.")) {
        (Some(base), _) => name == common_name || name == base || name == format!("www.{base}"),
        (None, Some(base)) => name == common_name || name == base,
        (None, None) => name == common_name,
    }
}

/// `SANOptionType`.
pub(super) fn san_type(name: &str) -> &'static str {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_private() || address.is_loopback() => "4",
        Ok(_) => "3",
        Err(_) if name.starts_with("*.") => "13",
        Err(_) => "7",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_globalsign_adds_itself_are_left_out() {
        assert!(is_covered("Example.com", "www.example.com") && is_covered("www.example.com", "*.example.com"));
        assert!(!is_covered("api.example.com", "www.example.com") && !is_covered("www.example.com", "example.com"));
        let types = ["a.example", "*.a.example", "192.0.2.1", "10.0.0.1"].map(san_type);
        assert_eq!(types, ["7", "13", "3", "4"]);
    }
}
