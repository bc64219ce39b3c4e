//! Where a plug-in listens.

use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A Unix socket, or TCP with TLS. Plain TCP is not offered: the secrets of issuers go to a plug-in.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// `unix:/run/certmint/ca.sock`.
    Unix(PathBuf),
    /// `https://ca-plugin.internal:8444`.
    Tls { host: String, port: u16 },
}

/// Why a text is no address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{given}` is no address of a plug-in: {problem}; write unix:/PATH or https://HOST:PORT")]
pub struct AddressError {
    given: String,
    problem: &'static str,
}

/// The kernel's `sun_path` holds 108 bytes with the zero at the end.
const MAX_PATH: usize = 107;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |problem| Err(AddressError { given: text.chars().take(200).collect(), problem });
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                path if !path.starts_with('/') => wrong("the path of a socket is absolute"),
                path if path.len() > MAX_PATH => wrong("the path of a socket has at most 107 bytes"),
                path => Ok(Self::Unix(path.into())),
            };
        }
        if text.starts_with("http://") {
            return wrong("secrets do not go over plain HTTP");
        }
        let Some(uri) = text.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("https")) else {
            return wrong("it has neither of the two forms");
        };
        match uri.host() {
            Some(host) if !host.is_empty() && matches!(uri.path(), "" | "/") && uri.query().is_none() => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self::Tls { host, port: uri.port_u16().unwrap_or(443) })
            }
            _ => wrong("it has a path, or no host"),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Self::Tls { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_https_are_addresses_and_are_written_as_they_are_read() {
        for (text, written) in [
            ("unix:/run/ca.sock", "unix:/run/ca.sock"),
            ("unix:///run/ca.sock", "unix:/run/ca.sock"),
            ("https://ca.internal:8444", "https://ca.internal:8444"),
            ("https://ca.internal", "https://ca.internal:443"),
            ("https://[::1]:8444/", "https://[::1]:8444"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, reason) in [
            ("unix:ca.sock", "absolute"),
            (long.as_str(), "107 bytes"),
            ("http://127.0.0.1:1", "plain HTTP"),
            ("https://host:1/path", "a path"),
            ("tcp:host:1", "neither of the two forms"),
            ("", "neither of the two forms"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("unix:/PATH"), "{error}");
        }
    }
}
