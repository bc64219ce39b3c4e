//! The proxy that outgoing connections go through (HTTP `CONNECT`, RFC 9110 section 9.3.6), and
//! the hosts that are reached without it.

use super::{Error, ErrorKind};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use std::fmt;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// An HTTP proxy. `Debug` does not show the password.
#[derive(Clone)]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<Zeroizing<String>>,
    except: Vec<Named>,
}

/// An entry of a list of hosts, such as `no_proxy`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Named {
    All,
    /// The host itself and everything below it.
    Domain(String),
    Network(IpAddr, u8),
}

impl Proxy {
    /// From `http://[user:password@]host[:port]` and the entries of `no_proxy`: a host name (which
    /// covers the names below it), an address, a network such as `10.0.0.0/8`, or `*`.
    ///
    /// # Errors
    /// What cannot be read, without the password.
    pub fn new(url: &str, no_proxy: &[String]) -> Result<Self, Error> {
        let bad = |problem: &str| Error::new(ErrorKind::Settings, format!("The proxy's address {problem}."));
        let uri: Uri = url.parse().map_err(|_| bad("is not an absolute URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?;
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            let plain = Zeroizing::new(percent_encoding::percent_decode_str(user).collect::<Vec<u8>>());
            Zeroizing::new(format!("Basic {}", STANDARD.encode(&*plain)))
        });
        let except = no_proxy.iter().map(|entry| Named::parse("no_proxy", entry)).collect::<Result<_, _>>()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(80), authorization, except })
    }

    /// Whether a host is reached through the proxy.
    pub(super) fn covers(&self, host: &str) -> bool {
        let address = host_of(host).parse::<IpAddr>().ok();
        !self.except.iter().any(|entry| entry.has_host(host) || address.is_some_and(|it| entry.has_address(it)))
    }
}

/// A host of an address as it compares.
pub(super) fn host_of(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

impl Named {
    /// Whether it names this host.
    pub(super) fn has_host(&self, host: &str) -> bool {
        let host = host_of(host);
        match self {
            Self::All => true,
            Self::Domain(domain) => {
                host == *domain || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            Self::Network(..) => false,
        }
    }

    /// Whether it names this address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network, bits) if within(address, *network, *bits))
    }

    pub(super) fn parse(setting: &str, entry: &str) -> Result<Self, Error> {
        let entry = entry.trim();
        if entry == "*" {
            return Ok(Self::All);
        }
        let bad = || {
            let hint = "a host name, an address, a network such as 10.0.0.0/8, or *";
            Error::new(ErrorKind::Settings, format!("The entry {entry:?} of {setting} is not {hint}."))
        };
        let (address, bits) = entry.split_once('/').map_or((entry, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| bad()))?;
            return if bits <= most { Ok(Self::Network(address, bits)) } else { Err(bad()) };
        }
        let domain = entry.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if domain.is_empty() || !domain.bytes().all(fits) {
            return Err(bad());
        }
        Ok(Self::Domain(domain))
    }
}

/// Whether the first `bits` of both addresses are the same.
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    address.is_ipv4() == network.is_ipv4()
        && (bits == 0 || (number(address) ^ number(network)) >> (128 - u32::from(bits)) == 0)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(entries: &[&str]) -> Proxy {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Proxy::new("http://user:p%40ss@proxy.example:3128", &entries).unwrap()
    }

    #[test]
    fn the_address_gives_host_port_and_credentials() {
        let proxy = proxy(&[]);
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
        assert_eq!(proxy.authorization.as_deref().map(String::as_str), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(format!("{proxy:?}"), "proxy proxy.example:3128");
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let proxy = proxy(&["corp.example", "10.0.0.0/8", "fd00::/8", "192.0.2.7"]);
        for direct in ["corp.example", "CA.corp.example.", "10.255.0.1", "[fd00::1]", "192.0.2.7"] {
            assert!(!proxy.covers(direct), "{direct}");
        }
        for through in ["notcorp.example", "11.0.0.1", "192.0.2.8", "example", "fe80::1"] {
            assert!(proxy.covers(through), "{through}");
        }
    }

    #[test]
    fn bad_settings_are_refused_without_their_password() {
        for url in ["https://user:geheim@proxy:1", "user:geheim@proxy", ""] {
            let error = Proxy::new(url, &[]).unwrap_err();
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
        for entry in ["", "10.0.0.0/33", "a b", "10.0.0.0/x"] {
            assert!(Proxy::new("http://p", &[entry.to_owned()]).is_err(), "{entry}");
        }
    }
}
