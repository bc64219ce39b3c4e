//! The host that a client used: the vault that it names, and the base of identifiers.

use crate::domain::{Error, Result, VaultName};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use std::net::{IpAddr, Ipv4Addr};

/// Longest host (RFC 1035 section 2.3.4, with the dot of the root). It is in every identifier of an answer.
const MAX_HOST: usize = 255;

/// The hosts that requests are answered for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Hosts {
    /// All: those that name no vault are the default vault's. For development, where a machine has many names.
    #[default]
    Any,
    /// The base domain, one label below it, addresses, and these names.
    Only(Vec<String>),
}

impl Hosts {
    /// Whether a host that is not below the base domain is answered.
    fn has(&self, host: &str, base_domain: &str) -> bool {
        let Self::Only(names) = self else { return true };
        // The dot of the root: the same host, written in full.
        let name = host.strip_suffix('.').unwrap_or(host);
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        name.eq_ignore_ascii_case(base_domain)
            || address.parse::<IpAddr>().is_ok()
            || names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The host of one request.
#[derive(Clone, Debug)]
pub struct Host {
    /// Host and port, as the client wrote them.
    authority: String,
    vault: VaultName,
    /// Host and port of the domain that the vault is a label of; the host itself where it is none, and of an IPv4
    /// address what stands behind its first dot.
    parent: String,
}

impl Host {
    /// Reads `:authority`, or `Host` over HTTP/1.1; headers of proxies are ignored. A host
    /// `{label}.{base_domain}` names the vault `label`, every other one the default vault.
    ///
    /// # Errors
    /// Where the host is missing or not one, is none of `hosts`, or the label is no name of a vault.
    pub fn of(request: &Parts, base_domain: &str, hosts: &Hosts) -> Result<Self> {
        // This server could use one of them, and a proxy the other (RFC 9112 section 3.2).
        if request.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Error::bad_parameter("The request has more than one Host header."));
        }
        let header = || request.headers.get(HOST).and_then(|host| host.to_str().ok());
        if let (Some(authority), Some(header)) = (request.uri.authority(), request.headers.get(HOST))
            && !header.to_str().is_ok_and(|header| is_same(authority, header))
        {
            // Malformed (RFC 9113 section 8.3.1; over HTTP/1.1 a client whose target is a whole URI sends the same
            // host, RFC 9112 section 3.2.2), for the same reason.
            return Err(Error::bad_parameter(
                "The request names two hosts: its :authority and its Host header differ.",
            ));
        }
        let text = request.uri.authority().map(Authority::as_str).or_else(header);
        let authority = text
            .and_then(|text| text.parse::<Authority>().ok())
            .filter(|host| !host.as_str().contains('@') && has_port(host) && host.host().len() <= MAX_HOST);
        let Some(authority) = authority else {
            return Err(Error::bad_parameter("The request has no valid Host header."));
        };
        Self::parse(&authority, base_domain, hosts)
    }

    /// Used if the request has no usable host: the challenge must come before the error.
    pub fn unknown(base_domain: &str) -> Self {
        let text = base_domain.to_owned();
        Self { vault: VaultName::default_vault(), parent: text.clone(), authority: text }
    }

    fn parse(authority: &Authority, base_domain: &str, hosts: &Hosts) -> Result<Self> {
        let (host, text) = (authority.host(), authority.as_str());
        let Some(label) = label(host, base_domain) else {
            if !hosts.has(host, base_domain) {
                return Err(Error::bad_parameter(format!(
                    "The host of the request is not one of this server's. Use {base_domain} or VAULT.{base_domain}, \
                     or add \
                     the host to `hosts` in the configuration."
                )));
            }
            let parent = parent_of_address(host, text).unwrap_or(text).to_owned();
            return Ok(Self { vault: VaultName::default_vault(), parent, authority: text.to_owned() });
        };
        // The rest of the text is the parent domain, with the port that the client wrote.
        let parent = text.get(label.len() + 1..).unwrap_or_default().to_owned();
        Ok(Self { vault: VaultName::parse(label)?, parent, authority: text.to_owned() })
    }

    pub fn vault(&self) -> &VaultName {
        &self.vault
    }

    /// Host and port: what follows `https://` in identifiers.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What a client compares its own host with before it sends a token (contract section 2).
    pub fn parent(&self) -> &str {
        &self.parent
    }
}

fn is_same(authority: &Authority, header: &str) -> bool {
    let parts = |host: &Authority| (host.host().to_ascii_lowercase(), host.port_u16().unwrap_or(443));
    header.parse().is_ok_and(|header| parts(authority) == parts(&header))
}

/// `label` of `label.base`; a label has no dot.
fn label<'a>(host: &'a str, base_domain: &str) -> Option<&'a str> {
    // The dot of the root: the same host, written in full.
    let host = host.strip_suffix('.').unwrap_or(host);
    let at = host.len().checked_sub(base_domain.len() + 1)?;
    let (label, rest) = host.split_at_checked(at)?;
    let fits = rest.strip_prefix('.')?.eq_ignore_ascii_case(base_domain) && !label.is_empty() && !label.contains('.');
    fits.then_some(label)
}

/// Clients compare the end of their host with the parent, behind a dot. An address has no parent, but with what stands
/// behind its first dot it passes; several of them compare no more than the texts.
fn parent_of_address<'a>(host: &str, authority: &'a str) -> Option<&'a str> {
    host.parse::<Ipv4Addr>().ok()?;
    authority.split_once('.').map(|(_, rest)| rest)
}

/// Whether what stands behind the host is a port, where anything does.
fn has_port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    rest.is_empty() || rest == ":" || authority.port_u16().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<(String, String)> {
        let (parts, ()) = http::Request::builder().header(HOST, text).body(()).unwrap().into_parts();
        let host = Host::of(&parts, "localhost", &Hosts::Any).ok()?;
        Some((host.vault().to_string(), host.parent().to_owned()))
    }

    #[test]
    fn the_first_label_is_the_vault() {
        let is = |text: &str, vault: &str, parent: &str| {
            assert_eq!(host(text), Some((vault.to_owned(), parent.to_owned())), "{text}");
        };
        is("v1.localhost:8443", "v1", "localhost:8443");
        is("V1.LocalHost", "v1", "LocalHost");
        is("v1.localhost.:8443", "v1", "localhost.:8443");
        is("localhost:8443", "default", "localhost:8443");
        is("127.0.0.1:8443", "default", "0.0.1:8443");
        is("10.1.2.3", "default", "1.2.3");
        is("127.0.0.1.example", "default", "127.0.0.1.example");
        is("[::1]:8443", "default", "[::1]:8443");
        is("a.b.localhost", "default", "a.b.localhost");
        is("xlocalhost", "default", "xlocalhost");
        is("vault.example.com", "default", "vault.example.com");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in
            ["localhost:abc", "localhost:99999", "", "a b", "user@localhost", "a_b.localhost", "-a.localhost", "a\"b"]
        {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(host(&"a".repeat(256)), None);
    }

    #[test]
    fn a_host_that_is_not_ours_is_refused_and_never_repeated() {
        let hosts = Hosts::Only(vec!["certmint.internal".to_owned()]);
        let vault = |text: &str| {
            let (parts, ()) = http::Request::builder().header(HOST, text).body(()).unwrap().into_parts();
            Host::of(&parts, "cm.test", &hosts).map(|host| host.vault().to_string())
        };
        for (text, expected) in [
            ("cm.test", "default"),
            ("CM.test.:8443", "default"),
            ("team-a.cm.test:8443", "team-a"),
            ("team-a.cm.test.", "team-a"),
            ("127.0.0.1:8443", "default"),
            ("[2001:db8::1]", "default"),
            ("Certmint.Internal:1", "default"),
        ] {
            assert_eq!(vault(text).unwrap(), expected, "{text}");
        }
        for foreign in [
            "x.team-a.cm.test",
            "team-a..cm.test",
            ".cm.test",
            "..cm.test",
            "team-a.cm.test..",
            "xcm.test",
            "cm.test.evil.example",
            "evil.example:8443",
            "localhost",
            "a.certmint.internal",
            "127.1",
        ] {
            let message = vault(foreign).unwrap_err().message;
            let repeated = ["evil", "team-a", "xcm", "localhost", "certmint.internal", "127"];
            assert!(!repeated.iter().any(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn two_hosts_are_refused() {
        let request = http::Request::builder().header(HOST, "v1.localhost").header(HOST, "v2.localhost");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(Host::of(&parts, "localhost", &Hosts::Any).is_err());
    }

    #[test]
    fn a_host_header_that_differs_from_the_host_of_the_target_is_refused() {
        for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
            let vault = |header: &str| {
                let request = http::Request::builder().version(version).uri("https://v2.localhost:443/x");
                let (parts, ()) = request.header(HOST, header).body(()).unwrap().into_parts();
                Host::of(&parts, "localhost", &Hosts::Any).map(|host| host.vault().to_string())
            };
            for same in ["v2.localhost", "V2.localhost:443"] {
                assert_eq!(vault(same).unwrap(), "v2");
            }
            for other in ["v1.localhost", "v2.localhost:444", "v2.localhost.", "a b", ""] {
                assert!(vault(other).unwrap_err().message.contains("differ"), "{other}");
            }
        }
    }
}
