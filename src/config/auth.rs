//! Who may call.

use crate::jwt::{FederatedOptions, JwtOptions};
use crate::mtls::{CertificateOptions, SpiffeOptions, X509Options};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};

/// Authentication: who calls. What a caller may do is said in `[access]`. Outside development mode it has a tokens file,
/// issuers of tokens or CAs of client certificates, or several of them. A token in a request wins over a certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Lines of `principal sha256-hex`, one for each bearer token. Reloaded when it changes. Default none.
    pub tokens_file: Option<PathBuf>,
    /// Whether gRPC reflection needs no token: it shows the contract, no data. Default false; in development mode no
    /// call needs one.
    pub open_reflection: bool,
    /// Where clients are sent for a token.
    pub challenge: ChallengeSettings,
    /// Issuers whose tokens are accepted. Default none.
    pub jwt: Vec<JwtOptions>,
    /// Programs that are known by the subject of their tokens. Default none.
    pub client: Vec<FederatedOptions>,
    /// SPIFFE trust domains whose workloads may call. Default none.
    pub spiffe: Vec<SpiffeOptions>,
    /// CAs whose client certificates are accepted. Default none.
    pub x509: Vec<X509Options>,
    /// Limits on client certificates.
    pub client_certificates: CertificateOptions,
}

/// What the challenge of a 401 tells clients of Key Vault. Both have to be `https` addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChallengeSettings {
    /// The login service, with the tenant as its last part: `https://login.microsoftonline.com/TENANT`. Default
    /// `https://HOST/adfs`, the token endpoint of this server.
    #[serde(deserialize_with = "address")]
    pub authority: Option<String>,
    /// What a token is asked for: the libraries append `/.default`, and send it only to hosts below this one. Default the
    /// base domain.
    #[serde(deserialize_with = "address")]
    pub resource: Option<String>,
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte);
    let is_one = text.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.len() <= 2000 && rest.bytes().all(plain)
    });
    if is_one { Ok(Some(text)) } else { Err(D::Error::custom("it is not an address: write https://HOST/PATH")) }
}

impl AuthSettings {
    /// Whether anybody can prove who he is.
    pub(super) fn knows_somebody(&self) -> bool {
        self.tokens_file.is_some() || !self.jwt.is_empty() || self.takes_certificates()
    }

    /// Whether clients are asked for certificates.
    pub fn takes_certificates(&self) -> bool {
        !self.spiffe.is_empty() || !self.x509.is_empty()
    }

    /// Makes relative paths of issuers and CAs begin at the folder of the configuration file.
    pub(super) fn begin_at(&mut self, configuration: &Path) {
        if let Some(folder) = configuration.parent() {
            self.jwt.iter_mut().for_each(|issuer| issuer.begin_at(folder));
            self.spiffe.iter_mut().for_each(|domain| domain.begin_at(folder));
            self.x509.iter_mut().for_each(|cas| cas.begin_at(folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_has_addresses_that_fit_into_a_header() {
        let read = |text: &str| toml::from_str::<ChallengeSettings>(&format!("authority = '{text}'"));
        assert!(read("https://login.microsoftonline.com/0a1b2c3d-0000-4000-8000-000000000001").is_ok());
        for bad in ["", "http://x", "https://", "https:///x", "https://a\"b", "https://a b", "https://a?b", "x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
