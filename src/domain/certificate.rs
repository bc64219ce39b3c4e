//! A certificate: the entry under its name, and its versions.

use super::blob::Blob;
use super::policy::{ContentType, KeyUsage, Policy};
use super::{CertificateName, Error, Result, Timestamp, VaultName, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
}

/// One version: the certificate, its chain and its sealed key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    pub vault: VaultName,
    pub name: CertificateName,
    pub version: Version,
    /// X.509, DER.
    pub cer: Blob,
    /// The certificates above it, in order: X.509, DER.
    pub chain: Vec<Blob>,
    /// PKCS#8, sealed for (vault, name, version).
    pub sealed_key: Blob,
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
