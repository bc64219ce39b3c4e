//! Built-in CAs, stored separately from their issuer objects, since certificates depend on them after the object is
//! gone.

use super::blob::Blob;
use super::{IssuerName, Timestamp, VaultName};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Beyond the end of the last certificate: a step that was under way when the issuer was deleted may have signed.
const GRACE: Duration = Duration::from_secs(24 * 3600);
const DAY: i64 = 24 * 3600 * 1000;

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
    /// Since when it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
}

impl AuthorityRecord {
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
            retired: None,
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
