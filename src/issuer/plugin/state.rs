//! What is kept of an issuer object of a plug-in, sealed by the service: what its users set. The plug-in gets it with
//! every call and keeps nothing.

use super::words::Secrets;
use crate::domain::issuer::{Administrator, Organization};
use crate::issuer::IssuerError;
use crate::issuer::kept::{self, Versioned};
use crate::issuer::provider::{IssuerInput, State};
use crate::proto::plugin::v1 as pb;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// The form that this release writes.
const VERSION: u32 = 1;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct PluginState {
    version: u32,
    #[serde(default)]
    pub(super) options: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) account_id: Option<String>,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) organization: Option<Organization>,
}

impl Versioned for PluginState {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl PluginState {
    pub(super) fn of(input: &IssuerInput) -> Self {
        let IssuerInput { options, secrets, account_id, password, organization, ca: _ } = input;
        Self {
            version: VERSION,
            options: options.clone(),
            secrets: secrets.iter().map(|(name, secret)| (name.clone(), secret.as_str().to_owned())).collect(),
            account_id: account_id.clone(),
            password: password.as_ref().map(|password| password.as_str().to_owned()),
            organization: organization.clone(),
        }
    }

    pub(super) fn read(state: &State) -> Result<Self, IssuerError> {
        kept::read_state(state)
    }

    pub(super) fn write(&self) -> State {
        kept::write_state(self)
    }

    pub(super) fn hidden(&self) -> Secrets {
        Secrets::new(self.secrets.values().chain(&self.password).map(String::as_str))
    }

    /// As the caller set it.
    pub(super) fn input(&self) -> IssuerInput {
        let secret = |text: &String| Zeroizing::new(text.clone());
        IssuerInput {
            options: self.options.clone(),
            secrets: self.secrets.iter().map(|(name, text)| (name.clone(), secret(text))).collect(),
            account_id: self.account_id.clone(),
            password: self.password.as_ref().map(secret),
            organization: self.organization.clone(),
            ca: None,
        }
    }

    /// As the plug-in gets it.
    pub(super) fn message(&self, provider: &str, issuer: &str) -> pb::IssuerConfig {
        pb::IssuerConfig {
            provider: provider.to_owned(),
            issuer_name: issuer.to_owned(),
            account_id: self.account_id.clone().unwrap_or_default(),
            password: self.password.clone().unwrap_or_default(),
            organization: self.organization.as_ref().map(organization),
            options: self.options.clone(),
            secret_options: self.secrets.clone(),
        }
    }
}

fn organization(organization: &Organization) -> pb::Organization {
    let Organization { id, administrators, without_administrators: _ } = organization;
    let person = |Administrator { first_name, last_name, email, phone }: &Administrator| pb::Administrator {
        first_name: first_name.clone().unwrap_or_default(),
        last_name: last_name.clone().unwrap_or_default(),
        email: email.clone().unwrap_or_default(),
        phone: phone.clone().unwrap_or_default(),
    };
    pb::Organization { id: id.clone().unwrap_or_default(), administrators: administrators.iter().map(person).collect() }
}

impl Drop for PluginState {
    fn drop(&mut self) {
        self.secrets.values_mut().chain(&mut self.password).for_each(Zeroize::zeroize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by the first release with plug-ins.
    const STATE: &str = r#"{"version":1,"options":{"url":"https://ca.example"},"secrets":{"token":"s3cret"},
        "account_id":"7","password":"geheim","organization":{"id":"9","administrators":[]}}"#;

    #[test]
    fn every_released_form_loads() {
        let state = PluginState::read(&State(STATE.as_bytes().to_vec().into())).unwrap();
        let message = state.message("Corp", "ca");
        assert_eq!((message.options["url"].as_str(), message.account_id.as_str()), ("https://ca.example", "7"));
        assert_eq!((message.secret_options["token"].as_str(), message.password.as_str()), ("s3cret", "geheim"));
        assert_eq!(message.organization.unwrap().id, "9");
        let again = PluginState::read(&state.write()).unwrap();
        assert_eq!(again.secrets, state.secrets);
    }

    #[test]
    fn what_cannot_be_read_is_said_without_its_content() {
        for (text, says) in
            [(r#"{"version":1,"password":geheim"#, "Set the issuer again"), (r#"{"version":2}"#, "newer")]
        {
            let error = PluginState::read(&State(text.as_bytes().to_vec().into())).err().unwrap().to_string();
            assert!(error.contains(says) && !error.contains("geheim"), "{error}");
        }
    }
}
