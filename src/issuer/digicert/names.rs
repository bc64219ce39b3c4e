//! What an order says of a certificate: its names and its validity. The API reads neither from the
//! request ("does not extract information from the CSR"), so both are sent beside it.

use super::settings::{DcvMethod, Settings};
use crate::domain::policy::KeyType;
use crate::domain::subject::common_name;
use crate::domain::{Error, Policy, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The names of an order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Names {
    pub(super) common_name: String,
    pub(super) dns_names: Vec<String>,
}

/// The names of a policy.
///
/// # Errors
/// The member that an order cannot express, and what to do.
pub(super) fn names(policy: &Policy, settings: &Settings) -> Result<Names> {
    let field = |path: &str, problem: &str| Err(Error::field(format!("policy.{path}"), problem));
    if policy.key.key_type == KeyType::P256K {
        return field("key_props.crv", "DigiCert takes RSA, P-256, P-384 and P-521, not P-256K.");
    }
    if policy.x509.ca {
        return field("x509_props.basic_constraints.ca", "DigiCert issues no CA certificates here: set it to false.");
    }
    let sans = policy.x509.sans.clone().unwrap_or_default();
    for (member, names) in [("emails", &sans.emails), ("upns", &sans.upns), ("uris", &sans.uris)] {
        if !names.is_empty() {
            let problem = "TLS certificates of DigiCert have host names and IP addresses only: remove these names.";
            return field(&format!("x509_props.sans.{member}"), problem);
        }
    }
    let mut dns_names: Vec<String> = Vec::new();
    for name in sans.dns_names.iter().chain(&sans.ip_addresses) {
        let name = name.to_ascii_lowercase();
        if !dns_names.contains(&name) {
            dns_names.push(name);
        }
    }
    let subject = common_name(&policy.x509.subject)?.filter(|name| !name.trim().is_empty());
    let Some(common_name) = subject.or_else(|| dns_names.first().cloned()) else {
        return field("x509_props.subject", "DigiCert needs a common name, or a host name among the sans.");
    };
    dns_names.retain(|name| !name.eq_ignore_ascii_case(&common_name));
    let all = || dns_names.iter().chain([&common_name]);
    if settings.validation.method == DcvMethod::HttpToken
        && settings.acme.is_none()
        && let Some(wildcard) = all().find(|name| name.starts_with("*."))
    {
        let problem = format!("{wildcard}: a wildcard is not proved by a file. Set the issuer's option dcv_method.");
        return Err(Error::bad_parameter(problem));
    }
    Ok(Names { common_name, dns_names })
}

impl Names {
    /// The host names whose control is to be proved, without `*.`; a TXT record at a name covers
    /// those below it, a file does not.
    pub(super) fn to_prove(&self, method: DcvMethod) -> Vec<String> {
        let mut bases: Vec<String> = Vec::new();
        for name in [&self.common_name].into_iter().chain(&self.dns_names) {
            if let Some(base) = base_name(name)
                && !bases.contains(&base)
            {
                bases.push(base);
            }
        }
        if method == DcvMethod::HttpToken {
            return bases;
        }
        let covered = |name: &String| bases.iter().any(|other| name.ends_with(&format!(".{other}")));
        bases.iter().filter(|name| !covered(name)).cloned().collect()
    }
}

/// A host name in lower case without `*.` and the last dot; none for addresses and other texts.
pub(super) fn base_name(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let name = name.strip_prefix("*.").unwrap_or(&name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let host = name.contains('.') && name.len() <= 253 && name.split('.').all(label);
    (host && name.parse::<IpAddr>().is_err()).then(|| name.to_owned())
}

/// How long a certificate is to be valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Validity {
    /// What the policy asks for, in days.
    pub(super) wanted: u32,
    /// What is ordered.
    pub(super) days: u32,
}

impl Validity {
    pub(super) fn of(policy: &Policy, created: Timestamp, most: u32) -> Self {
        let end = created.plus_months(policy.x509.validity_months);
        let wanted = u32::try_from((end.seconds() - created.seconds()) / 86_400).unwrap_or(u32::MAX).max(1);
        Self { wanted, days: wanted.min(most) }
    }

    /// A sentence where less is ordered than was asked for.
    pub(super) fn note(self) -> Option<String> {
        let Self { wanted, days } = self;
        (days < wanted).then(|| {
            format!("The policy asks for {wanted} days of validity; {days} were ordered, the most that is allowed.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_at_a_name_covers_what_is_below_and_a_file_does_not() {
        let names = Names {
            common_name: "*.Example.com".into(),
            dns_names: vec!["www.example.com".into(), "192.0.2.1".into(), "other.example".into()],
        };
        assert_eq!(names.to_prove(DcvMethod::DnsTxtToken), ["example.com", "other.example"]);
        assert_eq!(names.to_prove(DcvMethod::HttpToken), ["example.com", "www.example.com", "other.example"]);
    }

    #[test]
    fn what_is_no_host_name_is_not_proved() {
        for text in ["MyCertSubject1", "192.0.2.1", "a b.example", "", "a..b"] {
            assert_eq!(base_name(text), None, "{text}");
        }
    }
}
