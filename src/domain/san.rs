//! Subject alternative names of a policy (RFC 5280 section 4.2.1.6), checked once.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How many names one policy may hold over all kinds.
pub const MAX_NAMES: usize = 250;

/// Lists that hold nothing and are there all the same: Key Vault gives back what it was sent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmptyLists {
    pub emails: bool,
    pub dns_names: bool,
    pub upns: bool,
    pub uris: bool,
    pub ip_addresses: bool,
}

impl EmptyLists {
    /// What the policy of an imported certificate with alternative names shows, whichever it has.
    pub const IMPORTED: Self = Self { emails: true, dns_names: true, upns: true, uris: false, ip_addresses: false };

    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Key Vault's `sans`. An empty value is kept and echoed as `{}`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct SubjectAlternativeNames {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// User principal names (otherName 1.3.6.1.4.1.311.20.2.3, UTF-8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Textual addresses; kept as they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Where a list is empty: whether it is shown. Of no meaning for the others.
    #[serde(default, skip_serializing_if = "EmptyLists::is_none")]
    pub shown_empty: EmptyLists,
}

impl SubjectAlternativeNames {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.emails.len() + self.dns_names.len() + self.upns.len() + self.uris.len() + self.ip_addresses.len()
    }

    /// What is wrong, as (member and index, problem); empty where nothing is.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut check = |member: &str, names: &[String], problem: fn(&str) -> Option<&'static str>| {
            for (index, name) in names.iter().enumerate() {
                if let Some(problem) = problem(name) {
                    found.push((format!("{member}[{index}]"), problem.to_owned()));
                }
            }
        };
        check("emails", &self.emails, email_problem);
        check("dns_names", &self.dns_names, dns_problem);
        check("upns", &self.upns, upn_problem);
        check("uris", &self.uris, uri_problem);
        check("ipAddresses", &self.ip_addresses, |text| {
            text.parse::<IpAddr>().is_err().then_some("Not an IPv4 or IPv6 address.")
        });
        if self.len() > MAX_NAMES {
            found.push((String::new(), format!("More than {MAX_NAMES} names.")));
        }
        found
    }
}

fn email_problem(text: &str) -> Option<&'static str> {
    let fits = text.len() <= 320
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && dns_problem(host).is_none());
    (!fits).then_some("Not an e-mail address: it needs ASCII text, an @ and a host.")
}

fn dns_problem(text: &str) -> Option<&'static str> {
    if !text.is_ascii() {
        return Some("Not ASCII: write an internationalised name in its xn-- form.");
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = !name.is_empty() && text.len() <= 253 && name.split('.').all(label);
    (!fits).then_some(
        "Not a DNS name: labels of 1 to 63 letters, digits, - and _, 253 characters in all, * only as the first label.",
    )
}

fn upn_problem(text: &str) -> Option<&'static str> {
    let fits = (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
    (!fits).then_some("Not a user principal name: 1 to 1024 bytes without control characters.")
}

fn uri_problem(text: &str) -> Option<&'static str> {
    let scheme = text.split_once(':').map_or("", |(scheme, rest)| if rest.is_empty() { "" } else { scheme });
    let fits = text.len() <= 2048
        && text.bytes().all(|b| b.is_ascii_graphic())
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    (!fits).then_some("Not an absolute URI in ASCII (RFC 3986).")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        let names = SubjectAlternativeNames {
            emails: vec!["a@b.example".into()],
            dns_names: vec!["a.example".into(), "*.a.example".into(), "_x.a-b.example".into()],
            upns: vec!["someone@tenant.example".into()],
            uris: vec!["spiffe://trust.example/a".into(), "https://a.example".into()],
            ip_addresses: vec!["10.0.0.1".into(), "2001:db8::1".into()],
            ..SubjectAlternativeNames::default()
        };
        assert_eq!(names.problems(), []);
    }

    #[test]
    fn each_bad_name_is_named() {
        let names = SubjectAlternativeNames {
            emails: vec!["a".into()],
            dns_names: vec!["a..b".into(), "ü.example".into(), "a.*.b".into(), "-a.b".into()],
            upns: vec![String::new()],
            uris: vec!["noscheme".into(), "https:".into()],
            ip_addresses: vec!["10.0.0.256".into()],
            ..SubjectAlternativeNames::default()
        };
        let paths: Vec<_> = names.problems().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "emails[0]",
                "dns_names[0]",
                "dns_names[1]",
                "dns_names[2]",
                "dns_names[3]",
                "upns[0]",
                "uris[0]",
                "uris[1]",
                "ipAddresses[0]"
            ]
        );
    }
}
