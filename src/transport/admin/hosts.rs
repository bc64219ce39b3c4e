//! Host check of the operators' port, against DNS rebinding: a web page whose name resolves to this machine could read
//! the port through a visitor's browser, but it cannot choose the `Host` header that the browser sends.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri};
use std::net::IpAddr;

/// The names that are answered for, beside addresses, `localhost` and names without a dot, which no public name is.
#[derive(Clone, Debug, Default)]
pub struct AdminHosts(Vec<String>);

fn authority(host: &str) -> Option<Authority> {
    host.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'))
}

impl AdminHosts {
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Refuses a request for another host, with the status and what to do. Probes of HTTP/1.0 have none.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let mut hosts = headers.get_all(HOST).iter();
        let header = hosts.next();
        if hosts.next().is_some() {
            return Err((StatusCode::BAD_REQUEST, "The request has more than one Host header.\n"));
        }
        let header = match header.map(|host| host.to_str().ok().and_then(authority)) {
            Some(None) => return Err((StatusCode::BAD_REQUEST, "The request has no valid Host header.\n")),
            Some(Some(authority)) => Some(authority),
            None => None,
        };
        let foreign = uri.authority().into_iter().chain(&header).any(|authority| !self.has(authority));
        if foreign {
            return Err((
                StatusCode::MISDIRECTED_REQUEST,
                "This port does not serve that host. Use its address, or add the host to `hosts` in [admin].\n",
            ));
        }
        Ok(())
    }

    fn has(&self, authority: &Authority) -> bool {
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        address.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || !name.is_empty() && !name.contains('.')
            || self.0.iter().any(|known| known.eq_ignore_ascii_case(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn status(hosts: &[&'static str]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        let known = AdminHosts::new(vec!["metrics.example".to_owned()]);
        known.check(&Uri::from_static("/metrics"), &headers).err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn addresses_and_names_of_this_machine_are_answered_and_public_names_are_not() {
        let mine = ["127.0.0.1:9443", "[::1]:9443", "10.0.0.7", "localhost", "LocalHost.:1", "certmint-1:9443"];
        for good in mine.into_iter().chain(["a.localhost", "Metrics.Example:9443"]) {
            assert_eq!(status(&[good]), None, "{good}");
        }
        assert_eq!(status(&[]), None);
        for foreign in [
            "evil.example",
            "evil.example:9443",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "x.metrics.example",
        ] {
            assert_eq!(status(&[foreign]), Some(421), "{foreign}");
        }
        for bad in ["a b", "", "u@x", "u@x@y"] {
            assert_eq!(status(&[bad]), Some(400), "{bad}");
        }
        assert_eq!(status(&["localhost", "localhost"]), Some(400));
    }

    #[test]
    fn the_host_of_the_request_line_counts_as_well() {
        let known = AdminHosts::default();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        assert!(known.check(&Uri::from_static("http://evil.example/metrics"), &headers).is_err());
    }
}
