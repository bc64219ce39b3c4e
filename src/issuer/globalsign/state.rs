//! What is kept of an issuer object (sealed by the service), and of an order (its checkpoint).

use super::settings::Settings;
use crate::domain::Timestamp;
use crate::issuer::kept::{self, Versioned};
use crate::issuer::provider::State;
use crate::issuer::{Checkpoint, IssuerError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The form that this release writes.
const VERSION: u32 = 1;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct GlobalSignState {
    version: u32,
    pub(super) settings: Settings,
}

impl Versioned for GlobalSignState {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl GlobalSignState {
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

impl Drop for GlobalSignState {
    fn drop(&mut self) {
        self.settings.password.zeroize();
    }
}

/// Where an order of ours stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    /// When the first try was begun; orders since then are looked through for ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// An answer to the order was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unsure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<String>,
    #[serde(default)]
    pub(super) polls: u32,
    /// Shown after each reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// Orders with the same CSR that were there before the first try: of earlier operations with the same key.
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
            since: None,
            unsure: false,
            order: None,
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
    const STATE: &str = r#"{"version":1,"settings":{"base_url":"https://system.globalsign.com/kb/ws","user":"PAR1_x",
        "password":"geheim","ca_file":null,"contact":{"first_name":"a","last_name":"b","phone":"1","email":"e@x.example"},
        "products":{"ov-ssl":"PV_SHA2"},"profile":null,"domain":null,"max_months":null}}"#;
    const CHECKPOINT: &str = r#"{"version":1,"since":1790000000000,"order":"CE2026","polls":2}"#;

    #[test]
    fn the_stored_forms_of_the_first_release_load() {
        let state = GlobalSignState::read(&State(Zeroizing::new(STATE.as_bytes().to_vec()))).unwrap();
        assert_eq!(state.settings.user, "PAR1_x");
        let saved = Saved::read(&Checkpoint(CHECKPOINT.as_bytes().to_vec())).unwrap();
        assert_eq!(saved.order.as_deref(), Some("CE2026"));
    }

    #[test]
    fn a_form_of_a_newer_release_is_left_to_it() {
        let newer = |text: &str| text.replacen("\"version\":1", "\"version\":2", 1).into_bytes();
        let state = State(Zeroizing::new(newer(STATE)));
        assert!(matches!(GlobalSignState::read(&state), Err(IssuerError::Retry { .. })));
        assert!(matches!(Saved::read(&Checkpoint(newer(CHECKPOINT))), Err(IssuerError::Retry { .. })));
    }
}
