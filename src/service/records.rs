//! What is stored, under which key. Bodies are JSON with a format number; a body of a newer format
//! is refused, one of an older format is read for ever.

use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Error, IssuerConfig, IssuerName, Operation, Policy,
    RequestId, Result, Tags, Timestamp, VaultName, Version,
};
use crate::store::Record;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The format that this version writes.
const FORMAT: u32 = 1;

/// A stored body: the format beside the value.
#[derive(Serialize, Deserialize)]
struct Body<T> {
    format: u32,
    value: T,
}

/// A pending operation with what only the service needs of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PendingRecord {
    pub(super) operation: Operation,
    /// The policy as it was when the operation began.
    pub(super) policy: Policy,
    pub(super) sealed_key: Blob,
    /// What the issuer wants to be told again.
    pub(super) checkpoint: Blob,
    /// Steps in a row that brought nothing.
    pub(super) attempts: u32,
    /// When the record was to be due, as planned with this body; see [`PendingRecord::lease`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) planned: Option<Timestamp>,
    /// The operation fails when the issuer has not decided by then.
    pub(super) deadline: Timestamp,
    /// For the version that will be.
    pub(super) enabled: bool,
    pub(super) tags: Option<Tags>,
}

impl PendingRecord {
    /// Until when a step may be under way: a claim moves the due time of the record and leaves the
    /// body alone. Until then the authority may still hear from that step, whatever happened to
    /// the record meanwhile, so nobody else is sent to it.
    pub(super) fn lease(&self, record: &Record) -> Option<Timestamp> {
        self.planned.and_then(|planned| record.due.filter(|due| *due != planned))
    }

    /// Makes it due now, or when the step that may be under way is over: at most `lease` from now,
    /// whatever another clock made of it. Answers when.
    pub(super) fn hurry(&mut self, record: &Record, now: Timestamp, lease: Duration) -> Timestamp {
        self.attempts = 0;
        if let Some(end) = self.lease(record) {
            return end.min(now.plus(lease));
        }
        self.planned = Some(now);
        now
    }
}

/// Of a pending record what callers see; the rest, the sealed key among it, is passed over.
#[derive(Deserialize)]
pub(super) struct ShownPending {
    pub(super) operation: Operation,
}

/// Where the operation of a request id is found, and what was asked with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RequestRecord {
    pub(super) certificate: CertificateName,
    pub(super) request_id: RequestId,
    /// SHA-256 of the request, in hex: the same id with another request is refused.
    pub(super) fingerprint: String,
    pub(super) created: Timestamp,
}

/// A deleted certificate in the list of those; due when it is to be purged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeletedRecord {
    pub(super) vault: VaultName,
    pub(super) name: CertificateName,
}

/// Says that the records of a name are not all there: they are removed when it is due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LeavingRecord {
    pub(super) vault: VaultName,
    pub(super) name: CertificateName,
}

/// The kinds of records that become due.
pub(super) enum DueKind {
    Pending,
    Tombstone,
    Request,
    Deleted,
    Leaving,
    Unknown,
}

pub(super) mod key {
    use super::*;

    pub(in crate::service) const PENDING: &str = "pending/";
    pub(in crate::service) const TOMBSTONE: &str = "orders/";
    const REQUEST: &str = "requests/";
    const REPEAT: &str = "repeats/";
    const DELETED: &str = "deleted/";
    const LEAVING: &str = "leaving/";
    pub(in crate::service) const VAULTS: &str = "vaults/";

    pub(in crate::service) fn pending(vault: &VaultName, name: &CertificateName) -> String {
        format!("{PENDING}{vault}/{}", name.key())
    }

    pub(in crate::service) fn pendings_of(vault: Option<&VaultName>) -> String {
        vault.map_or_else(|| PENDING.to_owned(), |vault| format!("{PENDING}{vault}/"))
    }

    pub(in crate::service) fn certificate(vault: &VaultName, name: &CertificateName) -> String {
        format!("certificates/{vault}/{}", name.key())
    }

    pub(in crate::service) fn version(vault: &VaultName, name: &CertificateName, version: Version) -> String {
        format!("versions/{vault}/{}/{version}", name.key())
    }

    pub(in crate::service) fn certificates_of(vault: &VaultName) -> String {
        format!("certificates/{vault}/")
    }

    pub(in crate::service) fn versions_of(vault: &VaultName, name: &CertificateName) -> String {
        format!("versions/{vault}/{}/", name.key())
    }

    pub(in crate::service) fn deleted(vault: &VaultName, name: &CertificateName) -> String {
        format!("{DELETED}{vault}/{}", name.key())
    }

    pub(in crate::service) fn deleted_of(vault: &VaultName) -> String {
        format!("{DELETED}{vault}/")
    }

    /// The pending operation of a deleted certificate.
    pub(in crate::service) fn kept(vault: &VaultName, name: &CertificateName) -> String {
        format!("kept/{vault}/{}", name.key())
    }

    pub(in crate::service) fn leaving(vault: &VaultName, name: &CertificateName) -> String {
        format!("{LEAVING}{vault}/{}", name.key())
    }

    pub(in crate::service) fn contacts(vault: &VaultName) -> String {
        format!("contacts/{vault}")
    }

    pub(in crate::service) fn vault(vault: &VaultName) -> String {
        format!("{VAULTS}{vault}")
    }

    pub(in crate::service) fn issuer(vault: &VaultName, name: &IssuerName) -> String {
        format!("issuers/{vault}/{}", name.key())
    }

    pub(in crate::service) fn issuers_of(vault: &VaultName) -> String {
        format!("issuers/{vault}/")
    }

    pub(in crate::service) fn request(vault: &VaultName, id: RequestId) -> String {
        format!("{REQUEST}{vault}/{id}")
    }

    /// A repeat over REST: what the client calls its request, hashed because it is free text.
    pub(in crate::service) fn repeat(vault: &VaultName, client_request_id: &str) -> String {
        let digest = crate::keys::digest::sha256(&[client_request_id.as_bytes()]);
        format!("{REPEAT}{vault}/{}", hex(&digest[..16]))
    }

    /// An order to be cancelled at the issuer after its operation was deleted.
    pub(in crate::service) fn tombstone(vault: &VaultName, id: RequestId) -> String {
        format!("{TOMBSTONE}{vault}/{id}")
    }

    pub(in crate::service) fn kind(key: &str) -> DueKind {
        if key.starts_with(PENDING) {
            DueKind::Pending
        } else if key.starts_with(TOMBSTONE) {
            DueKind::Tombstone
        } else if key.starts_with(REQUEST) || key.starts_with(REPEAT) {
            DueKind::Request
        } else if key.starts_with(DELETED) {
            DueKind::Deleted
        } else if key.starts_with(LEAVING) {
            DueKind::Leaving
        } else {
            DueKind::Unknown
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// A value that stands under a key.
pub(super) trait Stored: DeserializeOwned {}
impl Stored for PendingRecord {}
impl Stored for ShownPending {}
impl Stored for RequestRecord {}
impl Stored for DeletedRecord {}
impl Stored for LeavingRecord {}
impl Stored for crate::domain::Contacts {}
impl Stored for crate::domain::Vault {}
impl Stored for CertificateEntry {}
impl Stored for Certificate {}
impl Stored for IssuerConfig {}
impl Stored for crate::domain::pending::Transition {}

pub(super) fn encode<T: Stored + Serialize>(value: &T) -> Result<Vec<u8>> {
    // Most records fit; growing step by step would copy each of them several times.
    let mut body = Vec::with_capacity(2048);
    serde_json::to_writer(&mut body, &Body { format: FORMAT, value }).map_err(|error| {
        tracing::error!(%error, "a record could not be written as JSON");
        Error::internal()
    })?;
    Ok(body)
}

pub(super) fn decode<T: Stored>(what: &str, body: &[u8]) -> Result<T> {
    match serde_json::from_slice::<Body<T>>(body) {
        Ok(Body { format, value }) if (1..=FORMAT).contains(&format) => Ok(value),
        Ok(Body { format, .. }) => {
            tracing::error!(record = what, format, known = FORMAT, "a record has a format of a newer version");
            Err(Error::internal())
        }
        Err(error) => {
            tracing::error!(record = what, %error, "a record is not readable");
            Err(Error::internal())
        }
    }
}

/// The value of a record beside its revision.
pub(super) fn read<T: Stored>(record: &Record) -> Result<T> {
    decode(&record.key, &record.body)
}
