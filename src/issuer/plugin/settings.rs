//! `[[plugins]]`: where a plug-in is, and how long it is waited for.

use super::address::Address;
use super::connect::PluginTls;
use crate::domain::duration;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// A plug-in: a CA that another process speaks to.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginOptions {
    /// The provider's name in issuer objects; none of the built-in ones.
    pub name: String,
    /// Where it listens: `unix:/PATH`, or `https://HOST:PORT`.
    pub address: Address,
    /// For `https`, the files of both sides, which are read for each connection: a PEM file of the CAs that the
    /// plug-in's certificate is checked against.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// For `https`, a PEM file of the chain that the server shows, leaf first.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// For `https`, a PEM file of the leaf's key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// How long a call may take. Default 60 s; a step of an order is cut at 80 % of `limits.work_lease` too.
    #[serde(default = "a_minute", with = "duration")]
    pub timeout: Duration,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

impl PluginOptions {
    /// The files of TLS, where the address needs them.
    ///
    /// # Errors
    /// Files that are missing or of no use.
    pub(super) fn tls(&self) -> Result<Option<PluginTls>, String> {
        let Self { name: _, address, ca, certificate, key, timeout: _ } = self;
        match (address, ca.clone(), certificate.clone(), key.clone()) {
            (Address::Unix(_), None, None, None) => Ok(None),
            (Address::Unix(_), ..) => Err("ca, certificate and key are for https addresses: leave them out".into()),
            (Address::Tls { .. }, Some(ca), Some(certificate), Some(key)) => {
                Ok(Some(PluginTls { ca, certificate, key }))
            }
            (Address::Tls { .. }, ..) => {
                Err("an https address needs ca, certificate and key: both sides show certificates".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_in_has_a_name_and_an_address() {
        let read = toml::from_str::<PluginOptions>;
        let plugin = read("name = 'Corp'\naddress = 'unix:/run/corp.sock'").unwrap();
        assert_eq!((plugin.name.as_str(), plugin.timeout.as_secs()), ("Corp", 60));
        for (text, part) in [
            ("name = 'Corp'", "missing field `address`"),
            ("name = 'Corp'\naddress = 'http://127.0.0.1:1'", "do not go over plain HTTP"),
            ("name = 'Corp'\naddress = 'unix:/x'\ncert = 'x'", "unknown field `cert`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
