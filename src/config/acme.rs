//! ACME settings of this machine: the http-01 port and DNS hooks.

use crate::domain::duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How this server answers ACME challenges.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeSettings {
    /// The address and port that answers `http-01` over plain HTTP, such as `0.0.0.0:80`: the CA has to reach it
    /// at port 80 of every host name that is ordered. Any replica can answer for all. Default none.
    pub http_listen: Option<SocketAddr>,
    /// Programs that write DNS records, by the name that issuers use for them (`dns_hook`).
    pub hooks: BTreeMap<String, HookSettings>,
}

/// A program that writes and removes DNS records.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HookSettings {
    /// The calling convention: lego, lego in raw mode, or certbot's manual hooks.
    #[serde(default)]
    pub form: HookForm,
    /// The program.
    pub program: PathBuf,
    /// For certbot's convention, the program that removes a record. Default none: records stay.
    #[serde(default)]
    pub cleanup: Option<PathBuf>,
    /// Its environment, beside `PATH` and `HOME`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may take. Default 60 s.
    #[serde(default = "a_minute", with = "duration")]
    pub timeout: Duration,
}

/// How a hook is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookForm {
    /// `PROGRAM present|cleanup FQDN VALUE`.
    #[default]
    Lego,
    /// `PROGRAM present|cleanup -- DOMAIN TOKEN KEY_AUTHORIZATION`.
    LegoRaw,
    /// With `CERTBOT_DOMAIN` and `CERTBOT_VALIDATION` in the environment.
    Certbot,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_has_a_form_and_a_time_of_its_own() {
        let text = "http_listen = '[::]:80'\n[hooks.dns]\nprogram = '/bin/dns'\n[hooks.old]\nform = 'lego-raw'\n\
                    program = '/bin/old'\ntimeout = '2m'\n[hooks.old.environment]\nZONE = 'example.com'";
        let AcmeSettings { http_listen, hooks } = toml::from_str(text).unwrap();
        assert_eq!(http_listen.unwrap().port(), 80);
        let shown: Vec<_> =
            hooks.iter().map(|(name, hook)| (name.as_str(), hook.form, hook.timeout.as_secs())).collect();
        assert_eq!(shown, [("dns", HookForm::Lego, 60), ("old", HookForm::LegoRaw, 120)]);
        assert_eq!(hooks["old"].environment["ZONE"], "example.com");
        let error = toml::from_str::<AcmeSettings>("[hooks.x]\nprogramm = '/bin/x'").unwrap_err().to_string();
        assert!(error.contains("programm"), "{error}");
    }
}
