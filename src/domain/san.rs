//! Subject alternative names of a policy (RFC 5280 section 4.2.1.6), checked once.

use super::san_rules;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
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

    /// What is wrong, as (member and index, problem); empty where nothing is. Of too many names none is looked at.
    pub fn problems(&self) -> Vec<(String, String)> {
        if self.len() > MAX_NAMES {
            return vec![(String::new(), format!("{} names: at most {MAX_NAMES} are allowed.", self.len()))];
        }
        let mut found = Vec::new();
        let mut check = |member: &str, names: &[String], problem: fn(&str) -> Option<String>| {
            for (index, name) in names.iter().enumerate() {
                if let Some(problem) = problem(name) {
                    found.push((format!("{member}[{index}]"), problem));
                }
            }
        };
        check("emails", &self.emails, san_rules::email_problem);
        check("dns_names", &self.dns_names, san_rules::dns_problem);
        check("upns", &self.upns, san_rules::upn_problem);
        check("uris", &self.uris, san_rules::uri_problem);
        check("ipAddresses", &self.ip_addresses, san_rules::address_problem);
        found
    }

    /// Each name once, the first as it was written: a certificate says nothing twice. Hosts compare without case, and
    /// addresses by their value.
    #[must_use]
    pub fn without_repetitions(self) -> Self {
        let Self { emails, dns_names, upns, uris, ip_addresses, shown_empty } = self;
        let lower = |name: &String| name.to_ascii_lowercase();
        let mailbox = |name: &String| match name.rsplit_once('@') {
            Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
            None => name.clone(),
        };
        let address = |name: &String| name.parse::<IpAddr>().map_or_else(|_| name.clone(), |value| value.to_string());
        Self {
            emails: each_once(emails, mailbox),
            dns_names: each_once(dns_names, lower),
            upns: each_once(upns, String::clone),
            uris: each_once(uris, String::clone),
            ip_addresses: each_once(ip_addresses, address),
            shown_empty,
        }
    }
}

/// The list without the entries whose `key` stands before them.
pub(super) fn each_once(list: Vec<String>, key: impl Fn(&String) -> String) -> Vec<String> {
    let mut seen = HashSet::new();
    list.into_iter().filter(|entry| seen.insert(key(entry))).collect()
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

    #[test]
    fn of_too_many_names_only_their_number_is_a_problem() {
        let names = |count| SubjectAlternativeNames { uris: vec![String::new(); count], ..Default::default() };
        assert_eq!(names(MAX_NAMES).problems().len(), MAX_NAMES);
        let problems = names(MAX_NAMES + 1).problems();
        assert_eq!(problems, [(String::new(), "251 names: at most 250 are allowed.".to_owned())]);
    }

    #[test]
    fn each_name_is_kept_once() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let once = SubjectAlternativeNames {
            emails: names(&["a@b.example", "A@b.example", "a@B.example"]),
            dns_names: names(&["B.example", "a.example", "b.example"]),
            upns: names(&["u@a.example", "u@a.example"]),
            uris: names(&["urn:a:b", "urn:a:b", "urn:a:B"]),
            ip_addresses: names(&["2001:db8::1", "2001:DB8:0::1", "10.0.0.1"]),
            ..SubjectAlternativeNames::default()
        }
        .without_repetitions();
        assert_eq!(once.emails, ["a@b.example", "A@b.example"]);
        assert_eq!(once.dns_names, ["B.example", "a.example"]);
        assert_eq!((once.upns.len(), once.uris.len()), (1, 2));
        assert_eq!(once.ip_addresses, ["2001:db8::1", "10.0.0.1"]);
    }
}
