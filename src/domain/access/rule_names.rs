//! Patterns of host names, networks, URIs and mailboxes, and what they match.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 2048;

/// A host name, the names below one, or all. Compared by labels: `evilshop.example` is not below `shop.example`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum DnsPattern {
    Every,
    Host(String),
    /// One or more labels below.
    Below(String),
}

impl DnsPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let (host, below) = match text.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (text, false),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if host.len() > 253 || !host.split('.').all(label) {
            return Err(
                "write a host name (shop.example), *. and a host name for those below it, or *; internationalised names in their xn-- form.",
            );
        }
        let host = host.to_ascii_lowercase();
        Ok(if below { Self::Below(host) } else { Self::Host(host) })
    }

    /// A wildcard is matched where every name that it stands for is: `*.shop.example` is below `shop.example`.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Host(host) => name.eq_ignore_ascii_case(host),
            Self::Below(host) => {
                let Some(at) = name.len().checked_sub(host.len()) else { return false };
                let (above, own) = name.as_bytes().split_at(at);
                own.eq_ignore_ascii_case(host.as_bytes()) && above.len() > 1 && above.ends_with(b".")
            }
        }
    }
}

/// Addresses with a common beginning. IPv4 in IPv6 (`::ffff:10.1.0.0`) is IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "write an address, or a network such as 10.1.0.0/16 or 2001:db8::/32.";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(bits.parse::<u8>().map_err(|_| WRONG)?))
            }
            Some(_) => return Err(WRONG),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| WRONG)?;
        let most = if written.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(WRONG);
        }
        let address = canonical(written);
        let bits = match (written, address) {
            (IpAddr::V6(_), IpAddr::V4(_)) => bits.checked_sub(96).ok_or(WRONG)?,
            _ => bits,
        };
        let network = Self { address, bits };
        let rest = number(address) & !mask(address, bits);
        if rest == 0 { Ok(network) } else { Err("the address has bits behind the length of the network.") }
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        address.is_ipv4() == self.address.is_ipv4()
            && (number(address) ^ number(self.address)) & mask(self.address, self.bits) == 0
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 => v4,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::to_bits(v4).into(),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

fn mask(address: IpAddr, bits: u8) -> u128 {
    let whole: u32 = if address.is_ipv4() { 32 } else { 128 };
    let all = if whole == 128 { u128::MAX } else { (1 << whole) - 1 };
    let free = whole - u32::from(bits);
    if free == 128 { 0 } else { all & (u128::MAX << free) }
}

/// A URI, or those that begin so. Scheme and authority compare without case, the path with it; query and fragment do
/// not count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum UriPattern {
    One(String),
    /// Ends with a slash.
    Below(String),
}

impl UriPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str =
            "write a URI (spiffe://corp.example/ns/shop/web), or its beginning up to a slash with a star behind it.";
        let (uri, below) = match text.strip_suffix('*') {
            Some(begin) => (begin, true),
            None => (text, false),
        };
        let good = uri.len() <= MAX_PATTERN && !uri.contains(['*', '?', '#']);
        // The slash after the authority at least, or the host could be any that begins so.
        let whole = |uri: &str| uri.ends_with('/') && uri.matches('/').count() > 2;
        match normal(uri).filter(|_| good && (!below || whole(uri))) {
            Some(uri) if below => Ok(Self::Below(uri)),
            Some(uri) => Ok(Self::One(uri)),
            None => Err(WRONG),
        }
    }

    pub(super) fn matches(&self, uri: &str) -> bool {
        let Some(uri) = normal(uri) else { return false };
        match self {
            Self::One(one) => uri == *one,
            Self::Below(begin) => uri.starts_with(begin.as_str()) && uri.len() > begin.len(),
        }
    }
}

/// Without query and fragment; nothing for what could be read in two ways: encoded slashes and dots, `.` and `..`.
fn normal(uri: &str) -> Option<String> {
    let uri = uri.split(['#', '?']).next()?;
    let (scheme, rest) = uri.split_once(':')?;
    let scheme_is_good = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if scheme.is_empty() || !scheme_is_good || !rest.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return None;
    }
    let lower = rest.to_ascii_lowercase();
    if ["%2f", "%5c", "%2e"].iter().any(|encoded| lower.contains(encoded)) {
        return None;
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    if path.split('/').any(|part| part == "." || part == "..") {
        return None;
    }
    let slashes = if rest.starts_with("//") { "//" } else { "" };
    Some(format!("{}:{slashes}{}{path}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase()))
}

/// A mailbox, or all of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum EmailPattern {
    One(String, String),
    Domain(String),
}

impl EmailPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
        let (local, domain) = parts.ok_or("write name@shop.example, or *@shop.example for all of a domain.")?;
        if text.len() > MAX_PATTERN || domain.contains('*') || local != "*" && local.contains('*') {
            return Err("write name@shop.example, or *@shop.example for all of a domain.");
        }
        let domain = domain.to_ascii_lowercase();
        Ok(if local == "*" { Self::Domain(domain) } else { Self::One(local.to_owned(), domain) })
    }

    pub(super) fn matches(&self, mailbox: &str) -> bool {
        let Some((local, domain)) = mailbox.rsplit_once('@') else { return false };
        match self {
            Self::One(name, of) => local == name && domain.eq_ignore_ascii_case(of),
            Self::Domain(of) => domain.eq_ignore_ascii_case(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_by_labels() {
        for (pattern, yes, no) in [
            (
                "shop.example",
                &["shop.example", "SHOP.example"][..],
                &["a.shop.example", "evilshop.example", "*.shop.example", "shop.example."][..],
            ),
            (
                "*.shop.example",
                &["a.shop.example", "a.b.Shop.Example", "*.shop.example", "*.a.shop.example"],
                &["shop.example", ".shop.example", "evilshop.example", "*.example", "a.shop.example.org"],
            ),
            ("*", &["x", "a.b", "*.a"], &[]),
        ] {
            let pattern = DnsPattern::parse(pattern).unwrap();
            assert!(yes.iter().all(|name| pattern.matches(name)), "{pattern:?}");
            assert!(!no.iter().any(|name| pattern.matches(name)), "{pattern:?}");
        }
        for bad in ["", "*.", "a..b", "*a.b", "a.*.b", "-a", "ä.example", "a b", "a."] {
            assert!(DnsPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_have_their_addresses_in_either_form() {
        let has = |network: &str, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        assert!(has("10.1.0.0/16", "10.1.255.3") && has("10.1.0.0/16", "::ffff:10.1.0.1"));
        assert!(has("::ffff:10.1.0.0/112", "10.1.9.9") && has("0.0.0.0/0", "8.8.8.8") && has("::/0", "2001:db8::1"));
        assert!(has("10.1.2.3", "10.1.2.3") && has("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!has("10.1.0.0/16", "10.2.0.1") && !has("0.0.0.0/0", "2001:db8::1") && !has("::/0", "1.2.3.4"));
        for bad in ["", "10.1.0.1/16", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "a", "::ffff:10.0.0.0/8"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uris_are_compared_without_what_could_be_read_in_two_ways() {
        let below = UriPattern::parse("spiffe://Corp.example/ns/shop/*").unwrap();
        for yes in [
            "spiffe://corp.example/ns/shop/web",
            "SPIFFE://CORP.example/ns/shop/a/b",
            "spiffe://corp.example/ns/shop/a?b#c",
        ] {
            assert!(below.matches(yes), "{yes}");
        }
        for no in [
            "spiffe://corp.example/ns/shop/",
            "spiffe://corp.example/ns/shop",
            "spiffe://corp.example/ns/shopping/x",
            "spiffe://corp.example/ns/shop/../admin",
            "spiffe://corp.example/ns/shop/%2e%2e/admin",
            "spiffe://corp.example/ns/shop/..%2Fadmin",
            "spiffe://corp.example/ns/SHOP/x",
            "spiffe://corp.example.evil/ns/shop/x",
            "https://corp.example/ns/shop/x",
            "ns/shop/x",
        ] {
            assert!(!below.matches(no), "{no}");
        }
        assert!(UriPattern::parse("urn:a:b").unwrap().matches("URN:a:b"));
        for bad in ["", "*", "spiffe://*", "spiffe://corp*", "spiffe://a/b*", "spiffe://a/*/b", "spiffe://a/b?c", "x"] {
            assert!(UriPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mailboxes_are_one_or_all_of_a_domain() {
        let domain = EmailPattern::parse("*@shop.example").unwrap();
        assert!(
            domain.matches("a@SHOP.example") && !domain.matches("a@b.shop.example") && !domain.matches("shop.example")
        );
        let one = EmailPattern::parse("a@shop.example").unwrap();
        assert!(one.matches("a@Shop.example") && !one.matches("A@shop.example") && !one.matches("b@shop.example"));
        for bad in ["", "shop.example", "@shop.example", "a*@b", "a@*"] {
            assert!(EmailPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
