//! Built-in CAs, stored separately from their issuer objects, since certificates depend on them after the object is
//! gone.

use super::blob::Blob;
use super::{IssuerName, Serial, Timestamp, VaultName};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Beyond the end of the last certificate: a step that was under way when the issuer was deleted may have signed.
const GRACE: Duration = Duration::from_secs(24 * 3600);
const DAY: i64 = 24 * 3600 * 1000;

/// Where an authority stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthorityState {
    /// Its certificate is still to come from another CA.
    Requested,
    /// It is announced, and begins to sign when it is activated.
    Next,
    /// It signs.
    Active,
    /// It signs no certificates any more; its key is kept for those that it signed.
    Retired,
    /// Its key was erased.
    Gone,
}

impl AuthorityState {
    /// As the APIs name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }
}

/// One authority: a key with its certificates. An issuer that is deleted and set again has another one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AuthorityRecord {
    pub vault: VaultName,
    pub issuer: IssuerName,
    /// As in the issuer object: the certificate that signs leaves first, the root last.
    pub chain: Vec<Blob>,
    /// The key, once the issuer object that had it is gone; erased when no certificate depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_key: Option<Blob>,
    /// No certificate that it signed lives longer; none where it has signed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_expiry: Option<Timestamp>,
    pub created: Timestamp,
    /// Which one of its issuer it is, from 1 in the order in which they were made; those of releases without numbers are
    /// all the first.
    #[serde(default = "first")]
    pub generation: u32,
    /// Since when it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
    #[serde(default)]
    pub lists: Lists,
    #[serde(default, skip_serializing_if = "Above::is_empty")]
    pub above: Above,
}

/// The revocation lists of an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Lists {
    /// Into how many lists its revocations are split; fixed, as each certificate names its list.
    pub shards: u32,
    /// No list has a number above this one yet, and one whose record is lost goes on above it: an earlier program
    /// published lists up to it, or it was noted that numbers up to it may be given out.
    #[serde(default)]
    pub last_crl: u64,
}

impl Default for Lists {
    fn default() -> Self {
        Self { shards: 1, last_crl: 0 }
    }
}

/// What an authority waits for, and who vouches for it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Above {
    /// Before it signs; none afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Its request to another CA (PKCS #10, DER), until the certificate is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr: Option<Blob>,
    /// The certificate (X.509, DER) by which the root before it vouches for its own root: handed out in place of that
    /// root, so that clients of either trust what it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross: Option<Blob>,
    /// A CA that is not of this server signed its certificate, and has to sign that of the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
}

impl Above {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where an authority stands before it signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its certificate is still to come from another CA.
    Requested,
    /// It is announced, and begins to sign when it is activated.
    Next,
}

const fn first() -> u32 {
    1
}

impl AuthorityRecord {
    /// What is handed out above a leaf, where that is not the chain: the cross certificate in place of the root it
    /// vouches for. Empty where nobody vouches.
    pub fn handed(&self) -> Vec<Blob> {
        match (&self.above.cross, self.chain.split_last()) {
            (Some(cross), Some((_, below))) => below.iter().cloned().chain([cross.clone()]).collect(),
            _ => Vec::new(),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> AuthorityState {
        match (self.retired, &self.sealed_key) {
            (None, _) => match self.above.stage {
                Some(Stage::Requested) => AuthorityState::Requested,
                Some(Stage::Next) => AuthorityState::Next,
                None => AuthorityState::Active,
            },
            (Some(_), Some(_)) => AuthorityState::Retired,
            (Some(_), None) => AuthorityState::Gone,
        }
    }

    /// Whether it is requested or next.
    pub fn waits(&self) -> bool {
        matches!(self.state(), AuthorityState::Requested | AuthorityState::Next)
    }

    /// Whether it signs or signed certificates: one that was given up before keeps the stage that it had reached.
    pub fn was_activated(&self) -> bool {
        self.above.stage.is_none()
    }

    /// Whether clients may meet what it signs: not where it was given up before it signed, nor once its key is erased.
    pub fn is_met(&self) -> bool {
        match self.state() {
            AuthorityState::Next | AuthorityState::Active => true,
            AuthorityState::Retired => self.was_activated(),
            AuthorityState::Requested | AuthorityState::Gone => false,
        }
    }

    /// On which of its lists a certificate would be.
    pub fn shard_of(&self, serial: &Serial) -> u32 {
        shard_of(serial, self.lists.shards)
    }

    /// Counts a certificate that ends at `expires`; whether there is anything to write. Rounded up to days, so that it
    /// is written once a day however many certificates are signed.
    pub fn signed(&mut self, expires: Timestamp) -> bool {
        if self.last_expiry.is_some_and(|last| last >= expires) {
            return false;
        }
        let days = expires.0.div_euclid(DAY).saturating_add(1);
        self.last_expiry = Some(Timestamp(days.saturating_mul(DAY)));
        true
    }

    /// When its key can be erased; `None` while it signs, and if there is none.
    pub fn erasable_at(&self) -> Option<Timestamp> {
        let retired = self.retired?;
        self.sealed_key.as_ref()?;
        Some(self.last_expiry.map_or(retired, |last| last.max(retired)).plus(GRACE))
    }
}

/// On which of so many lists a certificate would be: they are told apart by the last byte of the serial number.
pub fn shard_of(serial: &Serial, shards: u32) -> u32 {
    u32::from(serial.bytes().last().copied().unwrap_or_default()) % shards.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuthorityRecord {
        AuthorityRecord {
            vault: VaultName::default_vault(),
            issuer: IssuerName::parse("corp").unwrap(),
            chain: Vec::new(),
            sealed_key: None,
            last_expiry: None,
            created: Timestamp(0),
            generation: 1,
            retired: None,
            lists: Lists::default(),
            above: Above::default(),
        }
    }

    #[test]
    fn the_last_expiry_only_grows_and_is_written_once_a_day() {
        let mut record = record();
        assert!(record.signed(Timestamp(10 * DAY + 5)));
        assert_eq!(record.last_expiry, Some(Timestamp(11 * DAY)));
        assert!(!record.signed(Timestamp(11 * DAY)) && !record.signed(Timestamp(3)));
        assert!(record.signed(Timestamp(11 * DAY + 1)));
        assert_eq!(record.last_expiry, Some(Timestamp(12 * DAY)));
    }

    #[test]
    fn a_key_stays_until_the_last_certificate_has_expired() {
        let mut record = record();
        assert_eq!(record.erasable_at(), None);
        record.retired = Some(Timestamp(5 * DAY));
        assert_eq!(record.erasable_at(), None);
        record.sealed_key = Some(Blob::default());
        assert_eq!(record.erasable_at(), Some(Timestamp(6 * DAY)));
        record.last_expiry = Some(Timestamp(50 * DAY));
        assert_eq!(record.erasable_at(), Some(Timestamp(51 * DAY)));
        record.last_expiry = Some(Timestamp(DAY));
        assert_eq!(record.erasable_at(), Some(Timestamp(6 * DAY)));
    }
}
