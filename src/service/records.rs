//! What is stored, under which key. Bodies are JSON with a format number; a body of a newer format
//! is refused, one of an older format is read for ever.

use crate::domain::authority::AuthorityRecord;
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

/// Declares each kind of record once, with the first part of its keys.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:literal,)+) => {
        /// The kinds of records.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            pub(super) const ALL: &[Self] = &[$(Self::$kind),+];

            /// How the keys of this kind begin.
            pub(super) const fn prefix(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($prefix, "/"),)+
                }
            }

            /// The kind of a record; `None` for one that this version does not know.
            pub(super) fn of(key: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| key.starts_with(kind.prefix()))
            }
        }
    };
}

kinds! {
    /// A name with its policy: [`CertificateEntry`].
    Certificate = "certificates",
    /// A version: [`Certificate`].
    Version = "versions",
    /// The present operation of a name: [`PendingRecord`].
    Pending = "pending",
    /// The pending operation of a deleted certificate.
    Kept = "kept",
    /// An order to be cancelled at the issuer after its operation was deleted.
    Tombstone = "orders",
    /// Where a request id is found: [`RequestRecord`].
    Request = "requests",
    /// A repeat over REST.
    Repeat = "repeats",
    /// [`DeletedRecord`].
    Deleted = "deleted",
    /// [`LeavingRecord`].
    Leaving = "leaving",
    Contacts = "contacts",
    Vault = "vaults",
    Issuer = "issuers",
    /// An authority of a built-in CA, kept apart from its issuer: [`AuthorityRecord`].
    Authority = "authorities",
}

pub(super) mod key {
    use super::*;

    /// A key in a vault; without a name what all of the kind have in common.
    fn named(kind: Kind, vault: &VaultName, name: &str) -> String {
        format!("{}{vault}/{name}", kind.prefix())
    }

    pub(in crate::service) fn pending(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Pending, vault, &name.key())
    }

    pub(in crate::service) fn pendings_of(vault: Option<&VaultName>) -> String {
        vault.map_or_else(|| Kind::Pending.prefix().to_owned(), |vault| named(Kind::Pending, vault, ""))
    }

    pub(in crate::service) fn certificate(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Certificate, vault, &name.key())
    }

    pub(in crate::service) fn version(vault: &VaultName, name: &CertificateName, version: Version) -> String {
        format!("{}{version}", versions_of(vault, name))
    }

    pub(in crate::service) fn certificates_of(vault: &VaultName) -> String {
        named(Kind::Certificate, vault, "")
    }

    pub(in crate::service) fn versions_of(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Version, vault, &name.key()) + "/"
    }

    pub(in crate::service) fn deleted(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Deleted, vault, &name.key())
    }

    pub(in crate::service) fn deleted_of(vault: &VaultName) -> String {
        named(Kind::Deleted, vault, "")
    }

    /// The pending operation of a deleted certificate.
    pub(in crate::service) fn kept(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Kept, vault, &name.key())
    }

    pub(in crate::service) fn leaving(vault: &VaultName, name: &CertificateName) -> String {
        named(Kind::Leaving, vault, &name.key())
    }

    pub(in crate::service) fn contacts(vault: &VaultName) -> String {
        format!("{}{vault}", Kind::Contacts.prefix())
    }

    pub(in crate::service) fn vault(vault: &VaultName) -> String {
        format!("{}{vault}", Kind::Vault.prefix())
    }

    pub(in crate::service) fn issuer(vault: &VaultName, name: &IssuerName) -> String {
        named(Kind::Issuer, vault, &name.key())
    }

    pub(in crate::service) fn issuers_of(vault: &VaultName) -> String {
        named(Kind::Issuer, vault, "")
    }

    /// An authority by [`crate::keys::authority::identifier`].
    pub(in crate::service) fn authority(vault: &VaultName, id: &str) -> String {
        named(Kind::Authority, vault, id)
    }

    pub(in crate::service) fn authorities_of(vault: &VaultName) -> String {
        named(Kind::Authority, vault, "")
    }

    pub(in crate::service) fn request(vault: &VaultName, id: RequestId) -> String {
        named(Kind::Request, vault, &id.to_string())
    }

    /// A repeat over REST: what the client calls its request, hashed because it is free text.
    pub(in crate::service) fn repeat(vault: &VaultName, client_request_id: &str) -> String {
        let digest = crate::keys::digest::sha256(&[client_request_id.as_bytes()]);
        named(Kind::Repeat, vault, &hex(&digest[..16]))
    }

    /// An order to be cancelled at the issuer after its operation was deleted.
    pub(in crate::service) fn tombstone(vault: &VaultName, id: RequestId) -> String {
        named(Kind::Tombstone, vault, &id.to_string())
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
impl Stored for AuthorityRecord {}
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
