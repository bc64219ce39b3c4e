//! The records of built-in CAs: the log of what they sign, what was revoked, and what they publish.

use crate::domain::{Blob, Revocation, Serial, Timestamp, VaultName};
use serde::{Deserialize, Serialize};

/// A second place of a record of the log of a CA, for another order: its key says all but this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct IssuedIndex {
    pub(in crate::service) authority: String,
}

/// A revoked certificate of an authority: due until a list has it, and again when no list needs it any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct RevokedRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) authority: String,
    /// Which of the authority's lists it is on.
    pub(in crate::service) shard: u32,
    pub(in crate::service) serial: Serial,
    pub(in crate::service) revocation: Revocation,
    pub(in crate::service) not_after: Timestamp,
}

/// A revocation list of an authority, as it is published; due when the next one is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct CrlRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) authority: String,
    pub(in crate::service) shard: u32,
    /// Rises by one with each list. 0: none was made yet.
    pub(in crate::service) number: u64,
    pub(in crate::service) this_update: Timestamp,
    pub(in crate::service) next_update: Timestamp,
    pub(in crate::service) entries: usize,
    /// CertificateList, DER; empty where none was made yet.
    pub(in crate::service) der: Blob,
}

/// The OCSP responder of an authority; due when it gets a next certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ResponderRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) authority: String,
    /// What is about to be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) next: Option<NextResponder>,
    /// What answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) current: Option<ResponderKey>,
}

/// A key of a responder whose certificate is stored to be signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct NextResponder {
    /// PKCS#8, sealed.
    pub(in crate::service) sealed_key: Blob,
    /// SubjectPublicKeyInfo, DER.
    pub(in crate::service) public_key: Blob,
    pub(in crate::service) serial: Serial,
}

/// A key of a responder with its certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ResponderKey {
    /// PKCS#8, sealed.
    pub(in crate::service) sealed_key: Blob,
    /// SubjectPublicKeyInfo, DER.
    pub(in crate::service) public_key: Blob,
    /// X.509, DER.
    pub(in crate::service) cer: Blob,
    pub(in crate::service) not_after: Timestamp,
}

/// How far the versions of earlier releases were taken over into the logs of CAs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct IssuedAdoption {
    /// When it was done first.
    pub(in crate::service) begun: Timestamp,
    /// When it was done last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) finished: Option<Timestamp>,
}
