//! A certificate: the entry under its name, and its versions.

use super::blob::Blob;
use super::policy::{ContentType, KeyUsage, Policy};
use super::renewal::Renewal;
use super::{CertificateName, Error, Result, Timestamp, VaultName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Labels of a certificate.
pub type Tags = BTreeMap<String, String>;

/// Most tags of one certificate (contract section 10).
pub const MAX_TAGS: usize = 15;
/// Longest name or value of a tag in characters.
pub const MAX_TAG_LENGTH: usize = 256;

/// Refuses too many and too long tags.
pub fn check_tags(tags: &Tags) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(Error::field("tags", format!("{} tags: at most {MAX_TAGS} are allowed.", tags.len())));
    }
    if tags.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(Error::field("tags", "The character U+0000 is not allowed in a tag."));
    }
    let long = |text: &String| text.chars().count() > MAX_TAG_LENGTH;
    match tags.iter().find(|(name, value)| long(name) || long(value) || name.is_empty()) {
        Some(_) => Err(Error::field(
            "tags",
            format!("A name or a value of a tag is longer than {MAX_TAG_LENGTH} characters, or a name is empty."),
        )),
        None => Ok(()),
    }
}

/// What stands under a name, whatever its versions.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CertificateEntry {
    pub vault: VaultName,
    pub name: CertificateName,
    pub policy: Policy,
    pub tags: Option<Tags>,
    /// The newest completed version.
    pub latest: Option<Version>,
    /// The version of the first creation: what the disabled placeholder shows until one is completed.
    pub first_version: Version,
    pub preserve_cert_order: Option<bool>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// What lists show of `latest`, so that a page of a list reads no versions. Believed only while
    /// it is about `latest`.
    #[serde(default)]
    pub summary: Option<VersionSummary>,
    #[serde(default)]
    pub state: EntryState,
    /// How many completed versions there are, so that a lost one is noticed; `None` if nobody counted, because a
    /// version of certmint wrote the entry that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u64>,
    /// How the renewal of the newest version stands; `None` where nothing was tried, and where a version of certmint wrote
    /// the entry that does not renew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

impl CertificateEntry {
    /// What lists show of the newest version; `None` if that has to be read.
    pub fn current_summary(&self) -> Option<&VersionSummary> {
        self.summary.as_ref().filter(|summary| Some(summary.version) == self.latest)
    }

    /// From when to when a certificate that was never completed will about be valid: what Key Vault
    /// shows, ten minutes back and the validity that was asked for.
    pub fn projected(&self) -> (Timestamp, Timestamp) {
        let Self { created, policy, .. } = self;
        (created.minus(Duration::from_secs(600)), created.plus_months(policy.x509.validity_months))
    }
}

/// Whether the name is in use, deleted, or neither any more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum EntryState {
    #[default]
    Live,
    /// Deleted and recoverable. The versions stay where they are.
    Deleted {
        at: Timestamp,
        purge: Timestamp,
        /// The vault had purge protection then: it stays so, whatever becomes of the vault.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
    },
    /// The versions are being removed, or are not all there yet; the name is taken until the end.
    #[serde(rename = "Leaving")]
    Purging,
}

/// What lists show of a version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct VersionSummary {
    pub version: Version,
    /// SHA-1 of the certificate.
    pub thumbprint: Blob,
    pub enabled: bool,
    pub not_before: Timestamp,
    pub expires: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub tags: Option<Tags>,
}

impl VersionSummary {
    pub fn of(certificate: &Certificate, thumbprint: [u8; 20]) -> Self {
        let Certificate {
            vault: _,
            name: _,
            version,
            cer: _,
            chain: _,
            sealed_key: _,
            content_type: _,
            exportable: _,
            key_usage: _,
            enabled,
            not_before,
            expires,
            created,
            updated,
            tags,
            preserve_cert_order: _,
        } = certificate;
        Self {
            version: *version,
            thumbprint: Blob(thumbprint.to_vec()),
            enabled: *enabled,
            not_before: *not_before,
            expires: *expires,
            created: *created,
            updated: *updated,
            tags: tags.clone(),
        }
    }
}

/// One version: the certificate, its chain and, where it was made here or imported, its sealed key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    pub vault: VaultName,
    pub name: CertificateName,
    pub version: Version,
    /// X.509, DER.
    pub cer: Blob,
    /// The certificates above it, in order: X.509, DER.
    pub chain: Vec<Blob>,
    /// PKCS#8, sealed for (vault, name, version). `None` where the caller made the request: the key stayed there.
    #[serde(with = "super::blob::or_empty")]
    pub sealed_key: Option<Blob>,
    pub content_type: ContentType,
    pub exportable: bool,
    /// What the policy said of the key when the version was made; of one that was stored without
    /// it, the certificate's own extension counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<Vec<KeyUsage>>,
    pub enabled: bool,
    pub not_before: Timestamp,
    pub expires: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub tags: Option<Tags>,
    pub preserve_cert_order: Option<bool>,
}
