//! `[publish]`: where the CAs of this server publish, and how long their logs are kept.

use crate::domain::authority::shard_of;
use crate::domain::{Serial, duration};
use crate::keys::pointers::Pointers;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The listener for what CAs publish, and its address in certificates.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaOptions {
    /// The address and port of the plain HTTP listener, such as `0.0.0.0:8080`. It needs no token, and any replica
    /// answers for all. Default none.
    pub listen: Option<SocketAddr>,
    /// Where clients reach that listener, such as `http://pki.corp.example`. It is written into the certificates that are
    /// signed from then on, and must be answered until the last of them has expired. Default none.
    pub base_url: Option<BaseUrl>,
    /// Into how many revocation lists those of a CA are split that is made from now on, 1 to 128. Default 1; a list
    /// should have no more than 20,000 entries.
    pub crl_shards: Shards,
    /// Connections at once, at most a quarter of them of one peer; further ones take the places of the oldest. Default 256.
    pub connections: NonZeroUsize,
    /// Whether the next CA of an issuer is made before the present one ends, and signs in time: see
    /// [private-ca.md](private-ca.md#the-next-ca). Default true.
    pub next_ca: bool,
    /// How long the next CA is published before it signs: longer than clients need to pick up its root. Default 30 days.
    #[serde(with = "duration")]
    pub announce: Duration,
    /// For how long after its end a certificate stays in the log of its CA. Default 400 days.
    #[serde(with = "duration")]
    pub issued_retention: Duration,
}

impl Default for CaOptions {
    fn default() -> Self {
        Self {
            listen: None,
            base_url: None,
            crl_shards: Shards(1),
            connections: NonZeroUsize::new(256).unwrap_or(NonZeroUsize::MIN),
            next_ca: true,
            announce: Duration::from_secs(30 * 86_400),
            issued_retention: Duration::from_secs(400 * 86_400),
        }
    }
}

/// An `http` address without a slash at its end, a query or a user.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl(String);

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.strip_suffix('/').unwrap_or(&text);
        let uri = plain.parse::<http::Uri>().ok();
        let good = uri.is_some_and(|uri| {
            let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            uri.scheme_str() == Some("http") && authority && uri.query().is_none()
        });
        // Longer ones would be a large part of every certificate.
        if good && plain.len() <= 200 && plain.is_ascii() {
            Ok(Self(plain.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not an http address such as `http://pki.corp.example`: clients follow no https there, as its certificate would have to be checked first"
            ))
        }
    }
}

impl CaOptions {
    /// Whether authorities make revocation lists and have OCSP responders from the beginning, and not only when something
    /// is revoked.
    pub(in crate::service) fn publishes(&self) -> bool {
        self.listen.is_some() || self.base_url.is_some()
    }

    /// The address that stands in certificates.
    pub(in crate::service) fn base(&self) -> Option<&str> {
        self.base_url.as_ref().map(BaseUrl::as_str)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number of revocation lists: 1 to 128.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Shards(u32);

impl Shards {
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Shards {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if (1..=128).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is out of range: use 1 to 128"))
        }
    }
}

/// The address of a revocation list.
pub(super) fn crl_url(base: &str, authority: &str, shards: u32, shard: u32) -> String {
    if shards > 1 { format!("{base}/crl/{authority}/{shard}.crl") } else { format!("{base}/crl/{authority}.crl") }
}

/// The address of the certificate of an authority.
pub(super) fn certificate_url(base: &str, authority: &str) -> String {
    format!("{base}/ca/{authority}.cer")
}

/// The address of an OCSP responder.
pub(super) fn ocsp_url(base: &str, authority: &str) -> String {
    format!("{base}/ocsp/{authority}")
}

/// Where the status of a certificate is found.
pub(in crate::service) fn pointers(base: &str, authority: &str, shards: u32, serial: &Serial) -> Pointers {
    Pointers {
        crl: crl_url(base, authority, shards, shard_of(serial, shards)),
        issuer: certificate_url(base, authority),
        ocsp: ocsp_url(base, authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_plain_http_and_a_number_of_lists_is_bounded() {
        let read = |text: &str| toml::from_str::<CaOptions>(text);
        let settings =
            read("listen = '0.0.0.0:8080'\nbase_url = 'http://pki.corp.example/x/'\ncrl_shards = 128").unwrap();
        assert_eq!(settings.base_url.unwrap().as_str(), "http://pki.corp.example/x");
        assert_eq!((settings.crl_shards.get(), CaOptions::default().crl_shards.get()), (128, 1));
        for url in [
            "https://pki.example",
            "pki.example",
            "http://u@pki.example",
            "http://pki.example?x=1",
            "ftp://a",
            "http://",
        ] {
            let refused = read(&format!("base_url = '{url}'")).unwrap_err().to_string();
            assert!(refused.contains("is not an http address"), "{url}: {refused}");
        }
        for shards in [0, 129] {
            assert!(read(&format!("crl_shards = {shards}")).unwrap_err().to_string().contains("out of range"));
        }
    }
}
