//! The syntax of each kind of alternative name (RFC 5280 section 4.2.1.6). Each rule returns what is wrong and what to
//! do instead, or nothing.

use super::{punycode, text};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name in characters (RFC 1035 section 2.3.4), and longest label.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;
/// Longest local part of a mailbox (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;
/// Longest URI and user principal name, in bytes.
const MAX_URI: usize = 2048;
const MAX_UPN: usize = 1024;

type Problem = Option<String>;

fn problem(text: impl Into<String>) -> Problem {
    Some(text.into())
}

/// A host name, or one below a `*.`. An underscore is accepted in a label, as Key Vault and verifiers do, since hosts
/// are called so.
pub(super) fn dns_problem(name: &str) -> Problem {
    if name.is_empty() {
        return problem("It is empty.");
    }
    if name.parse::<IpAddr>().is_ok() {
        return problem("This is an IP address: put it into ipAddresses.");
    }
    if name.contains("://") {
        return problem("This is a URI: put the host name alone here, or the URI into uris.");
    }
    if name.contains('@') {
        return problem("This is an e-mail address: put it into emails.");
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    if host.contains('*') || host.is_empty() {
        return problem("A * may only be the whole first label, as in *.example.com.");
    }
    host_problem(host, name.len())
}

fn host_problem(host: &str, length: usize) -> Problem {
    if !host.is_ascii() {
        return problem("Not ASCII: write an internationalised name in its xn-- form.");
    }
    if length > MAX_HOST {
        return problem(format!("Not a DNS name: longer than {MAX_HOST} characters."));
    }
    if host.starts_with('.') || host.ends_with('.') {
        return problem("Not a DNS name: remove the leading or trailing dot.");
    }
    if let Some(found) = host.split('.').find_map(label_problem) {
        return Some(found);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return problem("Not a DNS name: its last label is a number. An IP address belongs in ipAddresses.");
    }
    None
}

fn label_problem(label: &str) -> Problem {
    if label.is_empty() {
        return problem("Not a DNS name: it has an empty label.");
    }
    if label.len() > MAX_LABEL {
        return problem(format!("Not a DNS name: a label is longer than {MAX_LABEL} characters."));
    }
    if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return problem("Not a DNS name: labels may contain only letters, digits, - and _.");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return problem("Not a DNS name: a label must not begin or end with -.");
    }
    let international = label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"));
    if international
        && punycode::decode(&label[4..]).is_none_or(|text| text.is_ascii() || text::unreadable(&text).is_some())
    {
        return problem("Not a DNS name: a label with xn-- is not Punycode of a readable name (RFC 3492).");
    }
    None
}

/// `local-part@host` in ASCII (RFC 5321 section 4.1.2, without quoted strings and address literals).
pub(super) fn email_problem(text: &str) -> Problem {
    if !text.is_ascii() {
        return problem(
            "Not an e-mail address in ASCII: write the host in its xn-- form; other local parts are not supported.",
        );
    }
    let Some((local, host)) = text.rsplit_once('@') else {
        return problem("Not an e-mail address: write it as name@host.");
    };
    let atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if local.len() > MAX_LOCAL_PART {
        return problem(format!("Not an e-mail address: more than {MAX_LOCAL_PART} characters before the @."));
    }
    if !local.split('.').all(atom) {
        return problem(
            "Not an e-mail address: before the @, use only letters, digits and !#$%&'*+-/=?^_`{|}~, with single dots \
             between them.",
        );
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return problem("Not an e-mail address: a host name must follow the @, not an IP address.");
    }
    host_problem(host, host.len()).map(|found| format!("Not an e-mail address: the host is wrong. {found}"))
}

/// `name@suffix` in Unicode, as Active Directory has it.
pub(super) fn upn_problem(name: &str) -> Problem {
    if !(1..=MAX_UPN).contains(&name.len()) {
        return problem(format!("Not a user principal name: it must have 1 to {MAX_UPN} bytes."));
    }
    if let Some(found) = text::problem(name) {
        return Some(found);
    }
    let parts = name.split_once('@').filter(|(user, suffix)| !user.is_empty() && !suffix.contains('@'));
    let Some((user, suffix)) = parts else {
        return problem("Not a user principal name: write it as user@suffix, with one @.");
    };
    if user.starts_with(' ') || user.ends_with(' ') {
        return problem("Not a user principal name: it begins or ends with a space.");
    }
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || !c.is_ascii() || c == '-' || c == '_')
    };
    if !suffix.split('.').all(label) {
        return problem("Not a user principal name: a domain such as example.com must follow the @.");
    }
    None
}

/// Schemes whose URIs name a host (RFC 9110 section 4.2, RFC 6455 section 3, RFC 1738 section 3.2).
const OF_HOSTS: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

/// An absolute URI (RFC 3986). Where it has an authority, that one has a host (RFC 5280 section 4.2.1.6).
pub(super) fn uri_problem(uri: &str) -> Problem {
    if uri.len() > MAX_URI {
        return problem(format!("Longer than {MAX_URI} characters."));
    }
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let Some((name, rest)) = uri.split_once(':').filter(|(before, rest)| scheme(before) && !rest.is_empty()) else {
        return problem(
            "Not an absolute URI in ASCII (RFC 3986): it must begin with a scheme, as in https://example.com.",
        );
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(below) => {
            let (authority, path) = below.split_at(below.find('/').unwrap_or(below.len()));
            (Some(authority), path)
        }
        None => (None, hierarchy),
    };
    if authority.is_none() && OF_HOSTS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return problem("The URI has no host: write // and the host behind its scheme, as in https://example.com.");
    }
    if let Some(found) = authority.and_then(authority_problem) {
        return Some(found);
    }
    let fits = in_uri(path, ":@/") && in_uri(query, ":@/?") && in_uri(fragment, ":@/?");
    (!fits).then(|| "Not a URI in ASCII (RFC 3986): write other characters as % and two hex digits.".to_owned())
}

fn authority_problem(authority: &str) -> Problem {
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if !in_uri(user, ":") {
        return problem("Not a URI: a character before the @ must be written as %XX.");
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (None, port),
            _ => return problem("Not a URI: only an IPv6 address may stand between [ and ]."),
        },
        None => {
            let (host, port) = place.split_at(place.find(':').unwrap_or(place.len()));
            (Some(host), port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        Some(number) => {
            number.is_empty() || (number.parse::<u16>().is_ok() && number.bytes().all(|b| b.is_ascii_digit()))
        }
        None => port.is_empty(),
    };
    if !port_fits {
        return problem("Not a URI: only a : and a port up to 65535 may follow the host.");
    }
    match host {
        None => None,
        Some("") => problem("The URI has no host after the //."),
        Some(host) if host.parse::<Ipv4Addr>().is_ok() => None,
        Some(host) => host_problem(host, host.len()).map(|found| format!("The host of the URI is wrong. {found}")),
    }
}

/// Unreserved, `sub-delims`, the `further` characters, and `%XX` (RFC 3986 section 2).
fn in_uri(part: &str, further: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => bytes.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) || further.as_bytes().contains(byte),
    })
}

pub(super) fn address_problem(text: &str) -> Problem {
    if text.parse::<IpAddr>().is_ok() {
        return None;
    }
    if text.contains('/') {
        return problem("Not an IPv4 or IPv6 address: a certificate is for one address, not for a network.");
    }
    problem("Not an IPv4 or IPv6 address. A host name belongs in dns_names.")
}

#[cfg(test)]
#[path = "san_rules_tests.rs"]
mod tests;
