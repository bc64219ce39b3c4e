//! How the server reaches others: CAs, and services that write DNS records.

use crate::outbound::{Error, Proxy};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// Outgoing connections.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundSettings {
    /// An HTTP proxy that connections go through (`CONNECT`): `http://[user:password@]host[:port]`. Default none;
    /// variables such as `HTTPS_PROXY` are not read.
    pub proxy: Option<ProxyAddress>,
    /// What is reached without it: host names (with the names below them), addresses, networks such as `10.0.0.0/8`,
    /// or `*`. Default none.
    pub no_proxy: Vec<String>,
}

/// The address of a proxy. `Debug` does not show its password.
#[derive(Clone, Eq, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ProxyAddress(String);

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl OutboundSettings {
    /// The proxy, if there is to be one.
    ///
    /// # Errors
    /// An address or an entry of `no_proxy` that cannot be read.
    pub fn proxy(&self) -> Result<Option<Arc<Proxy>>, Error> {
        let Self { proxy, no_proxy } = self;
        match proxy {
            Some(ProxyAddress(url)) => Proxy::new(url, no_proxy).map(|proxy| Some(Arc::new(proxy))),
            // Misspelt settings are reported even without a proxy.
            None => Proxy::new("http://localhost", no_proxy).map(|_| None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_its_password_is_not_shown() {
        let text = "proxy = 'http://user:geheim@proxy.example:3128'\nno_proxy = ['corp.example', '10.0.0.0/8']";
        let settings: OutboundSettings = toml::from_str(text).unwrap();
        assert_eq!(format!("{:?}", settings.proxy().unwrap().unwrap()), "proxy proxy.example:3128");
        assert!(!format!("{settings:?}").contains("geheim"));
        assert!(OutboundSettings::default().proxy().unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_and_without_a_proxy() {
        for text in
            ["proxy = 'socks5://geheim@proxy'", "no_proxy = ['10.0.0.0/33']", "proxy = 'http://p'\nno_proxy = ['']"]
        {
            let settings: OutboundSettings = toml::from_str(text).unwrap();
            let error = settings.proxy().unwrap_err().to_string();
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
