//! ACME settings of this machine: the http-01 port and DNS hooks.

use crate::issuer::acme::Hook;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How this server answers ACME challenges.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeSettings {
    /// The address and port that answers `http-01` over plain HTTP, such as `0.0.0.0:80`: the CA has to reach it
    /// at port 80 of every host name that is ordered. Any replica can answer for all. Default none.
    pub http_listen: Option<SocketAddr>,
    /// Programs that write DNS records, by the name that issuers use for them (`dns_hook`).
    pub hooks: BTreeMap<String, Hook>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::acme::HookForm;

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
