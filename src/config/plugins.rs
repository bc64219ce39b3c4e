//! Issuer providers in other processes.

pub use crate::issuer::plugin::Address as PluginAddress;

use crate::domain::duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A plug-in: a CA that another process speaks to.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSettings {
    /// The provider's name in issuer objects; none of the built-in ones.
    pub name: String,
    /// Where it listens: `unix:/PATH`, or `https://HOST:PORT`.
    pub address: PluginAddress,
    /// For `https`, a PEM file of the CAs that the plug-in's certificate is checked against. The files are read for each
    /// connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// For `https`, a PEM file of the chain that the server shows, leaf first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// For `https`, a PEM file of the leaf's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How long a call may take. Default 60 s; a step of an order is cut at 80 % of `limits.work_lease` too.
    #[serde(default = "a_minute", with = "duration")]
    pub timeout: Duration,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_in_has_a_name_and_an_address() {
        let read = toml::from_str::<PluginSettings>;
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
