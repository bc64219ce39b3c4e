//! Which names a profile allows. Names compare by labels and in lower case, addresses by their bits.

use super::read_list;
use super::text::NamesText;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::san_rules::{dns_problem, email_problem};
use crate::domain::text::shown;
use crate::domain::{Error, Result};
use std::net::IpAddr;

/// The patterns of each kind; a kind without any is not allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NameRules {
    dns: Vec<String>,
    ip: Vec<Network>,
    emails: Vec<String>,
    uris: Vec<String>,
    upns: Vec<String>,
    wildcards: bool,
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    bits: u128,
    length: u32,
    is_v4: bool,
}

impl NameRules {
    pub(super) fn parse(text: &NamesText, bad: &impl Fn(&str, String) -> Error) -> Result<Self> {
        let NamesText { dns, ip, emails, uris, upns, wildcards } = text;
        let host = |text: &str| dns_problem(text).map_or_else(|| Ok(text.to_ascii_lowercase()), Err);
        let mailbox = |text: &str| {
            let whole = if text.starts_with('@') { format!("a{text}") } else { text.to_owned() };
            email_problem(&whole).map_or_else(|| Ok(with_lower_host(text)), Err)
        };
        let uri = |text: &str| match text.split_once(':') {
            Some((scheme, rest))
                if !scheme.is_empty() && !rest.is_empty() && !text.trim_end_matches('*').contains('*') =>
            {
                Ok(text.to_owned())
            }
            _ => Err(format!("{} is neither a URI nor the beginning of one with a * behind it.", shown(text))),
        };
        let user = |text: &str| match text.split_once('@') {
            Some((_, suffix)) if !suffix.is_empty() => Ok(with_lower_host(text)),
            _ => Err(format!("{} is neither user@suffix nor @suffix.", shown(text))),
        };
        Ok(Self {
            dns: read_list("names.dns", dns.as_deref(), bad, host)?,
            ip: read_list("names.ip", ip.as_deref(), bad, Network::parse)?,
            emails: read_list("names.emails", emails.as_deref(), bad, mailbox)?,
            uris: read_list("names.uris", uris.as_deref(), bad, uri)?,
            upns: read_list("names.upns", upns.as_deref(), bad, user)?,
            wildcards: wildcards.unwrap_or(false),
        })
    }

    /// The names that are not allowed, each with its reason.
    pub(super) fn broken(&self, names: &SubjectAlternativeNames) -> Vec<String> {
        let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } = names;
        let mut broken: Vec<String> = dns_names.iter().filter_map(|name| self.broken_host(name)).collect();
        let mut check = |names: &[String], allowed: &dyn Fn(&str) -> bool| {
            broken.extend(
                names.iter().filter(|name| !allowed(name)).map(|name| format!("the name {name} is not allowed")),
            );
        };
        check(ip_addresses, &|name| name.parse().is_ok_and(|address| self.allows_address(address)));
        check(emails, &|name| at_host(&self.emails, name));
        check(upns, &|name| at_host(&self.upns, name));
        check(uris, &|name| self.uris.iter().any(|pattern| matches_uri(pattern, name)));
        broken
    }

    /// A common name counts as the name that it looks like: a host, an address, a mailbox. Text with spaces is a
    /// person or a thing.
    pub(super) fn broken_common_name(&self, name: &str) -> Option<String> {
        let allowed = match name.parse::<IpAddr>() {
            Ok(address) => self.allows_address(address),
            Err(_) if name.contains('@') => at_host(&self.emails, name),
            Err(_) if name.contains(char::is_whitespace) => true,
            Err(_) => return self.broken_host(name).map(|problem| format!("{problem} as a common name")),
        };
        (!allowed).then(|| format!("the name {name} is not allowed as a common name"))
    }

    /// Mailboxes of a subject.
    pub(super) fn allows_mailbox(&self, name: &str) -> bool {
        at_host(&self.emails, name)
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        self.ip.iter().any(|network| network.contains(address))
    }

    fn broken_host(&self, name: &str) -> Option<String> {
        let host = name.to_ascii_lowercase();
        if host.starts_with("*.") && !self.wildcards {
            return Some(format!("the wildcard {name} is not allowed (names.wildcards)"));
        }
        let matches = |pattern: &String| match pattern.strip_prefix("*.") {
            // One label more, a wildcard among them.
            Some(below) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == below),
            None => *pattern == host,
        };
        (!self.dns.iter().any(matches)).then(|| format!("the name {name} is not allowed"))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("{} is not an address or a network such as 10.0.0.0/8.", shown(text));
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let (bits, is_v4) = bits(address);
        let most = if is_v4 { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => length.parse().ok().filter(|length| *length <= most).ok_or_else(refused)?,
        };
        let network = Self { bits, length, is_v4 };
        if network.masked(bits) != bits {
            return Err(format!("{} has bits behind its length: write the first address of the network.", shown(text)));
        }
        Ok(network)
    }

    fn contains(self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address);
        self.is_v4 == is_v4 && self.masked(bits) == self.bits
    }

    fn masked(self, bits: u128) -> u128 {
        let size = if self.is_v4 { 32 } else { 128 };
        let behind = size - self.length;
        if behind >= 128 { 0 } else { bits >> behind << behind }
    }
}

/// An address in IPv6 that stands for one in IPv4 is that one.
fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), true),
        IpAddr::V6(address) => (u128::from(address), false),
    }
}

fn with_lower_host(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
        None => text.to_owned(),
    }
}

/// A pattern `@host` stands for every mailbox of that host alone.
fn at_host(patterns: &[String], name: &str) -> bool {
    let name = with_lower_host(name);
    let host = name.rsplit_once('@').map(|(_, host)| host);
    patterns.iter().any(|pattern| match pattern.strip_prefix('@') {
        Some(below) => host == Some(below),
        None => *pattern == name,
    })
}

/// The part before `?` and `#` counts, and may hold no encoded slash and no way up.
fn matches_uri(pattern: &str, uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let lower = path.to_ascii_lowercase();
    let tricky = lower.contains("%2f") || lower.contains("%2e") || path.split('/').any(|part| part == "..");
    match pattern.strip_suffix('*') {
        Some(beginning) => !tricky && path.starts_with(beginning) && uri.len() > beginning.len(),
        None => uri == pattern,
    }
}
