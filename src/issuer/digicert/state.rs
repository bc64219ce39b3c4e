//! What is kept of an issuer object (sealed by the service), and of an order (its checkpoint). Both are JSON with a
//! version; new members have defaults, so that every released format loads.

use super::names::Validity;
use super::settings::{DcvMethod, Settings};
use crate::domain::{Blob, Timestamp};
use crate::issuer::dns::TxtRecord;
use crate::issuer::kept::{self, Versioned};
use crate::issuer::provider::{ChallengeKey, State};
use crate::issuer::{Checkpoint, IssuerError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The form that this release writes.
const VERSION: u32 = 1;

/// The state of an issuer object.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DigiCertState {
    version: u32,
    pub(super) settings: Settings,
    /// The organization's number, once it was looked up.
    #[serde(default)]
    pub(super) organization: Option<u64>,
    /// With `mode=acme`: the external account, and what the ACME engine keeps.
    #[serde(default)]
    pub(super) account: Option<ExternalAccount>,
}

/// An account for ACME that DigiCert made; it is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ExternalAccount {
    pub(super) directory: String,
    pub(super) kid: String,
    pub(super) hmac: String,
    pub(super) product: String,
    /// The state of the ACME engine.
    pub(super) engine: Blob,
}

impl Versioned for DigiCertState {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl DigiCertState {
    pub(super) fn new(settings: Settings) -> Self {
        Self { version: VERSION, settings, organization: None, account: None }
    }

    pub(super) fn read(state: &State) -> Result<Self, IssuerError> {
        kept::read_state(state)
    }

    pub(super) fn write(&self) -> State {
        kept::write_state(self)
    }
}

impl Drop for DigiCertState {
    fn drop(&mut self) {
        self.settings.access.api_key.zeroize();
        if let Some(account) = &mut self.account {
            account.hmac.zeroize();
            account.engine.0.zeroize();
        }
    }
}

/// Where an order of ours stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    pub(super) phase: Phase,
    /// The order that this one renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Before>,
    /// An answer to the order was lost: DigiCert may have it and not list it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unsure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Placed>,
    /// Questions since the order was placed.
    #[serde(default)]
    pub(super) polls: u32,
    /// When the status was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) looked: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) validity: Option<Validity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<Proof>,
    /// DigiCert gave no random value: it validates the names otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) no_proof: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Nothing was asked for.
    New,
    /// The order may have been sent.
    Submitting,
    /// DigiCert has it.
    Ordered,
}

/// The order before this one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) order: u64,
    /// Its term covers the new certificate.
    pub(super) reissue: bool,
    /// Reissues with the same CSR that it had already: of earlier operations with the same key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<u64>,
}

/// What DigiCert has of us.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Placed {
    pub(super) order: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) requests: Vec<u64>,
    /// A reissue of an order that had a certificate before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) reissue: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) random_value: Option<String>,
}

/// How control of the names is being proved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Proof {
    pub(super) method: DcvMethod,
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    pub(super) names: Vec<String>,
    /// The TXT records may be there.
    #[serde(default)]
    pub(super) written: bool,
    /// DigiCert found it.
    #[serde(default)]
    pub(super) found: bool,
    /// So many of the records were written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) done: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Proof {
    /// The TXT records, where there are some.
    pub(super) fn records(&self) -> Vec<TxtRecord> {
        if self.method != DcvMethod::DnsTxtToken {
            return Vec::new();
        }
        let owner = |name: &String| match &self.label {
            Some(label) => format!("{label}.{name}."),
            None => format!("{name}."),
        };
        let record = |name: &String| TxtRecord {
            owner: owner(name),
            value: self.value.clone(),
            domain: name.clone(),
            token: String::new(),
            key_authorization: self.value.clone(),
        };
        self.names.iter().map(record).collect()
    }

    /// The files that replicas serve.
    pub(super) fn files(&self) -> Vec<ChallengeKey> {
        if self.method != DcvMethod::HttpToken {
            return Vec::new();
        }
        let file = |name: &String| ChallengeKey::file(name, &self.value);
        self.names.iter().map(file).collect()
    }
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
            phase: Phase::New,
            before: None,
            unsure: false,
            order: None,
            polls: 0,
            looked: None,
            validity: None,
            proof: None,
            no_proof: false,
        }))
    }

    pub(super) fn write(&self) -> Checkpoint {
        kept::write_checkpoint(self)
    }

    /// The records are written again before the next look: somebody else may have removed them.
    pub(super) fn write_again(&mut self) {
        if let Some(proof) = &mut self.proof {
            proof.done = 0;
        }
    }

    /// What replicas serve for the order.
    pub(super) fn files(&self) -> Vec<ChallengeKey> {
        self.proof.iter().flat_map(Proof::files).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// As the first release with this provider wrote them.
    const STATE: &str = r#"{"version":1,"settings":{"access":{"base_url":"https://www.digicert.com/services/v2",
        "api_key":"geheim","ca_file":null},"organization":{"Id":123456},"products":{"ov-ssl":"ssl_basic"},
        "ordering":{"max_days":199,"years":1,"container":null,"ca_cert_id":null,"signature_hash":"sha256",
        "payment_method":"balance","skip_approval":true,"approve":false,"reissue":true},
        "validation":{"method":"dns-txt-token","label":null,"dns":null},"acme":null},"organization":123456,
        "account":null}"#;
    const CHECKPOINT: &str = r#"{"version":1,"phase":"ordered","before":{"order":1,"reissue":false},
        "order":{"order":542772,"certificate":112233,"requests":[922432],"random_value":"r"},"polls":3,
        "looked":1790000000000,"validity":{"wanted":365,"days":199},
        "proof":{"method":"dns-txt-token","value":"r","names":["example.com"],"written":true,"found":false}}"#;

    fn newer(text: &str) -> Vec<u8> {
        text.replacen("\"version\":1", "\"version\":2", 1).into_bytes()
    }

    #[test]
    fn the_stored_forms_of_the_first_release_load() {
        let state = DigiCertState::read(&State(Zeroizing::new(STATE.as_bytes().to_vec()))).unwrap();
        assert_eq!(state.organization, Some(123_456));
        let saved = Saved::read(&Checkpoint(CHECKPOINT.as_bytes().to_vec())).unwrap();
        assert_eq!((saved.phase, saved.order.as_ref().unwrap().order), (Phase::Ordered, 542_772));
        assert_eq!(saved.proof.unwrap().records()[0].owner, "example.com.");
    }

    #[test]
    fn a_form_of_a_newer_release_is_left_to_it() {
        let state = State(Zeroizing::new(newer(STATE)));
        assert!(matches!(DigiCertState::read(&state), Err(IssuerError::Retry { .. })));
        assert!(matches!(Saved::read(&Checkpoint(newer(CHECKPOINT))), Err(IssuerError::Retry { .. })));
    }

    #[test]
    fn a_state_that_is_damaged_does_not_show_itself() {
        let damaged = STATE.replace("199", "\"geheim\"");
        let error = DigiCertState::read(&State(Zeroizing::new(damaged.into_bytes()))).err().unwrap();
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
