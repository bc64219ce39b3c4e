//! What is kept of an issuer object (sealed by the service), and of an order (its checkpoint).

use super::settings::Settings;
use crate::issuer::kept::{self, Versioned};
use crate::issuer::provider::State;
use crate::issuer::{Checkpoint, IssuerError};
use serde::{Deserialize, Serialize};

/// The form that this release writes.
const VERSION: u32 = 1;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AtlasState {
    version: u32,
    pub(super) settings: Settings,
}

impl Versioned for AtlasState {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl AtlasState {
    pub(super) fn new(settings: Settings) -> Self {
        Self { version: VERSION, settings }
    }

    pub(super) fn read(state: &State) -> Result<Self, IssuerError> {
        kept::read_state(state)
    }

    pub(super) fn write(&self) -> State {
        kept::write_state(self)
    }
}

/// Where a request of ours stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    /// The beginnings of validity that were asked for, in seconds since the epoch, the last one last: by them a
    /// certificate is found whose answer was lost.
    #[serde(default)]
    pub(super) beginnings: Vec<i64>,
    /// How long the certificate is to be valid, in seconds.
    #[serde(default)]
    pub(super) seconds: i64,
    /// An answer to a request may have been lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unsure: bool,
    /// The serial number in hex, as the API writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) serial: Option<String>,
    #[serde(default)]
    pub(super) polls: u32,
    /// Shown after each reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// Certificates with the same key that were there before the first try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<String>,
}

impl Versioned for Saved {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl Saved {
    pub(super) fn read(at: &Checkpoint) -> Result<Self, IssuerError> {
        Ok(kept::read_checkpoint(at)?.unwrap_or(Self {
            version: VERSION,
            beginnings: Vec::new(),
            seconds: 0,
            unsure: false,
            serial: None,
            polls: 0,
            note: None,
            earlier: Vec::new(),
        }))
    }

    pub(super) fn write(&self) -> Checkpoint {
        kept::write_checkpoint(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// As the first release with this provider wrote them.
    const STATE: &str = r#"{"version":1,"settings":{"base_url":"https://emea.api.hvca.globalsign.com:8443/v2",
        "api_key":"k","api_secret":"geheim","client_certificate":"c","client_key":"geheim"}}"#;
    const CHECKPOINT: &str = r#"{"version":1,"beginnings":[1790000000],"seconds":86400,"serial":"0A","polls":2}"#;

    #[test]
    fn the_stored_forms_of_the_first_release_load() {
        let state = AtlasState::read(&State(Zeroizing::new(STATE.as_bytes().to_vec()))).unwrap();
        assert_eq!(state.settings.api_key, "k");
        let saved = Saved::read(&Checkpoint(CHECKPOINT.as_bytes().to_vec())).unwrap();
        assert_eq!(saved.serial.as_deref(), Some("0A"));
    }

    #[test]
    fn a_form_of_a_newer_release_is_left_to_it() {
        let newer = |text: &str| text.replacen("\"version\":1", "\"version\":2", 1).into_bytes();
        assert!(matches!(AtlasState::read(&State(Zeroizing::new(newer(STATE)))), Err(IssuerError::Retry { .. })));
        assert!(matches!(Saved::read(&Checkpoint(newer(CHECKPOINT))), Err(IssuerError::Retry { .. })));
    }
}
