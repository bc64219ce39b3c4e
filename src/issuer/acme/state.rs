//! What is kept of an issuer object (sealed by the service), and of an order (its checkpoint).
//! Both are JSON with a version; new members have defaults, so that every released format loads.

use super::jws::{authorization_digest, base64url};
use super::settings::Settings;
use crate::domain::{Blob, Timestamp};
use crate::issuer::dns::TxtRecord;
use crate::issuer::kept::{self, Versioned};
use crate::issuer::provider::{ChallengeKey, ChallengeKind, State};
use crate::issuer::{Checkpoint, IssuerError};
use serde::{Deserialize, Serialize};
use tracing::warn;

/// The form that this release writes.
const VERSION: u32 = 1;
/// Records that are remembered when they cannot be removed.
const LEFTOVERS: usize = 50;

/// The state of an issuer object.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AcmeState {
    version: u32,
    pub(super) settings: Settings,
    /// PKCS#8; made before the account is.
    pub(super) account_key: Blob,
    /// The account's address; none until the CA gave it, and again after the CA forgot it.
    #[serde(default)]
    pub(super) account_url: Option<String>,
    /// The contacts that the CA knows.
    #[serde(default)]
    pub(super) contacts: Vec<String>,
    /// The key that takes over: written before the CA is asked, so that a crash in between loses
    /// neither.
    #[serde(default)]
    pub(super) next_key: Option<Blob>,
}

impl Versioned for AcmeState {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl AcmeState {
    pub(super) fn new(settings: Settings, account_key: Vec<u8>) -> Self {
        let account_key = Blob(account_key);
        Self { version: VERSION, settings, account_key, account_url: None, contacts: Vec::new(), next_key: None }
    }

    pub(super) fn read(state: &State) -> Result<Self, IssuerError> {
        kept::read_state(state)
    }

    pub(super) fn write(&self) -> State {
        kept::write_state(self)
    }
}

impl Drop for AcmeState {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.account_key.0.zeroize();
        if let Some(Blob(key)) = &mut self.next_key {
            key.zeroize();
        }
    }
}

/// How an order is proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "dns-01")]
    Dns01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-persist-01")]
    DnsPersist01,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }
}

/// Where an order of ours stands. The address of the order is all that is needed to go on; the
/// rest saves requests, or is to be undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    #[serde(default)]
    pub(super) order: Option<OpenOrder>,
    /// Orders that were made for this operation.
    #[serde(default)]
    pub(super) orders: u32,
    /// Orders that became invalid.
    #[serde(default)]
    pub(super) failures: u32,
    /// Accounts that were registered during this operation.
    #[serde(default)]
    pub(super) registrations: u32,
    /// No request before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<Timestamp>,
    /// Why the last order failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) without_replaces: bool,
    /// Records of earlier orders that could not be removed yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) leftovers: Vec<DnsRecord>,
}

/// The order at the CA.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenOrder {
    pub(super) url: String,
    #[serde(default)]
    pub(super) phase: Phase,
    /// Until the answers are chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) authorizations: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) answers: Vec<Answer>,
    /// How the answers prove their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<Method>,
    /// The thumbprint of the account key that the answers were made with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) thumbprint: String,
    /// The DNS records of the answers may be there.
    #[serde(default)]
    pub(super) written: bool,
    /// So many of the DNS records were written.
    #[serde(default)]
    pub(super) done: usize,
    /// Questions since the last change of phase.
    #[serde(default)]
    pub(super) polls: u32,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// The authorizations were not read yet.
    #[default]
    New,
    /// The answers are chosen and, where replicas serve them, published.
    Answered,
    /// The DNS records are written; the servers may not have them yet.
    Written,
    /// The CA was asked to look.
    Asked,
}

/// What proves one name. Short members and addresses without the CA's own origin: a checkpoint
/// with 250 names stays below its bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The name without `*.`, or the address.
    #[serde(rename = "name")]
    pub(super) identifier: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) wildcard: bool,
    #[serde(rename = "authz")]
    pub(super) authorization: String,
    #[serde(rename = "chall")]
    pub(super) challenge: String,
    pub(super) token: String,
    /// Names of the CA, for dns-persist-01.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) issuer_domains: Vec<String>,
}

impl Answer {
    /// The record that replicas answer from.
    fn key(&self, method: Method) -> Option<ChallengeKey> {
        match method {
            Method::Http01 => Some(ChallengeKey { kind: ChallengeKind::Http01, name: self.token.clone() }),
            Method::TlsAlpn01 => Some(ChallengeKey { kind: ChallengeKind::TlsAlpn01, name: self.identifier.clone() }),
            Method::Dns01 | Method::DnsPersist01 => None,
        }
    }
}

impl OpenOrder {
    /// What replicas serve: the record and the key authorization of each answer.
    pub(super) fn served(&self) -> Vec<(ChallengeKey, String)> {
        let Some(method) = self.method else { return Vec::new() };
        let served = self.answers.iter().filter_map(|answer| Some((answer.key(method)?, self.authorization(answer))));
        served.collect()
    }

    /// The DNS records of the answers, for dns-01.
    pub(super) fn records(&self) -> Vec<DnsRecord> {
        if self.method != Some(Method::Dns01) {
            return Vec::new();
        }
        let record = |answer: &Answer| DnsRecord {
            domain: answer.identifier.clone(),
            token: answer.token.clone(),
            key_authorization: self.authorization(answer),
        };
        self.answers.iter().map(record).collect()
    }

    fn authorization(&self, answer: &Answer) -> String {
        format!("{}.{}", answer.token, self.thumbprint)
    }
}

/// A TXT record of dns-01.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct DnsRecord {
    /// The host name that it proves, without `*.`.
    pub(super) domain: String,
    pub(super) token: String,
    pub(super) key_authorization: String,
}

impl DnsRecord {
    /// The record as it is written (section 8.4).
    pub(super) fn txt(&self) -> TxtRecord {
        let Self { domain, token, key_authorization } = self.clone();
        TxtRecord {
            owner: format!("_acme-challenge.{}.", domain.trim_end_matches('.')),
            value: base64url(&authorization_digest(&key_authorization)),
            domain,
            token,
            key_authorization,
        }
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
            order: None,
            orders: 0,
            failures: 0,
            registrations: 0,
            not_before: None,
            reason: None,
            without_replaces: false,
            leftovers: Vec::new(),
        }))
    }

    pub(super) fn write(&self) -> Checkpoint {
        kept::write_checkpoint(self)
    }

    /// Remembers records that are to be removed.
    pub(super) fn keep_leftovers(&mut self, records: Vec<DnsRecord>) {
        self.leftovers.extend(records);
        for lost in self.leftovers.drain(..self.leftovers.len().saturating_sub(LEFTOVERS)) {
            warn!(record = lost.txt().owner, "too many DNS records could not be removed; this one stays");
        }
    }

    /// What replicas serve for the open order.
    pub(super) fn keys(&self) -> Vec<ChallengeKey> {
        self.order.iter().flat_map(OpenOrder::served).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// As the first release with this engine wrote them.
    const STATE: &str = r#"{"version":1,"settings":{"directory":"https://ca.example/dir","ca_file":null,
        "method":"dns-01","contacts":["mailto:ops@example.com"],"binding":{"kid":"kid-1","mac_key":"AAEC"},
        "profile":"classic","profiles":{"ov-ssl":"ov"},"preferred_chain":null,"max_orders":5,
        "dns":{"writer":{"Rfc2136":{"server":"192.0.2.1:53","zone":null,
        "key":{"name":"update","algorithm":"hmac-sha256","secret":"AAEC"}}},"resolvers":["192.0.2.2:53"],
        "check":true,"check_servers":[],"ttl":60}},"account_key":"AAEC","account_url":"https://ca.example/acct/1",
        "contacts":["mailto:ops@example.com"],"next_key":null}"#;
    const CHECKPOINT: &str = r#"{"version":1,"order":{"url":"https://ca.example/order/1","phase":"written",
        "answers":[{"name":"example.com","wildcard":true,"authz":"/authz/1","chall":"/chall/1","token":"t"}],
        "method":"dns-01","thumbprint":"p","written":true,"polls":3},"orders":1,"failures":0,"registrations":0,
        "without_replaces":false}"#;

    #[test]
    fn the_stored_forms_of_the_first_release_load() {
        let state = AcmeState::read(&State(Zeroizing::new(STATE.as_bytes().to_vec()))).unwrap();
        assert_eq!(state.account_url.as_deref(), Some("https://ca.example/acct/1"));
        let saved = Saved::read(&Checkpoint(CHECKPOINT.as_bytes().to_vec())).unwrap();
        let order = saved.order.unwrap();
        assert_eq!((order.phase, order.polls), (Phase::Written, 3));
        assert_eq!(order.records()[0].key_authorization, "t.p");
    }

    #[test]
    fn a_form_of_a_newer_release_is_left_to_it() {
        let newer = |text: &str| text.replacen("\"version\":1", "\"version\":2", 1).into_bytes();
        let state = State(Zeroizing::new(newer(STATE)));
        assert!(matches!(AcmeState::read(&state), Err(IssuerError::Retry { .. })));
        assert!(matches!(Saved::read(&Checkpoint(newer(CHECKPOINT))), Err(IssuerError::Retry { .. })));
    }

    #[test]
    fn a_state_that_is_damaged_does_not_show_itself() {
        let damaged = State(Zeroizing::new(STATE.replace("\"ttl\":60", "\"ttl\":\"geheim\"").into_bytes()));
        let error = AcmeState::read(&damaged).err().unwrap();
        assert!(!error.to_string().contains("geheim"), "{error}");
        assert_eq!(format!("{damaged:?}"), format!("{} bytes of state", damaged.0.len()));
    }

    #[test]
    fn an_order_with_all_the_names_of_a_policy_fits_into_a_checkpoint() {
        let mut saved = Saved::read(&Checkpoint(CHECKPOINT.as_bytes().to_vec())).unwrap();
        let order = saved.order.as_mut().unwrap();
        order.answers = (0..250)
            .map(|number| Answer {
                identifier: format!("host-{number:03}.department.example.com"),
                wildcard: false,
                authorization: "/acme/authz/3188926071/619371634321".to_owned(),
                challenge: "/acme/chall/3188926071/619371634321/Xu5j-A".to_owned(),
                token: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA".to_owned(),
                issuer_domains: Vec::new(),
            })
            .collect();
        assert!(saved.write().0.len() < 60 * 1024, "{}", saved.write().0.len());
    }
}
