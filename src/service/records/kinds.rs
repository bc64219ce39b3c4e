//! The kinds of records, and the key of each value.

use super::adoption::{Marker, Sweep};
use super::body;
use super::key::Place;
use crate::domain::authority::AuthorityRecord;
use crate::domain::pending::Transition;
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Contacts, Error, IssuerConfig, IssuerName, Operation, Policy,
    RequestId, Result, Tags, Timestamp, Vault, VaultName,
};
use crate::keys::authority;
use crate::store::{Record, Revision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A pending operation with what only the service needs of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct PendingRecord {
    pub(in crate::service) operation: Operation,
    /// The policy as it was when the operation began.
    pub(in crate::service) policy: Policy,
    pub(in crate::service) sealed_key: Blob,
    /// The checkpoint that the issuer gets back.
    pub(in crate::service) checkpoint: Blob,
    /// Steps in a row that brought nothing.
    pub(in crate::service) attempts: u32,
    /// When the record was to be due, as planned with this body; see [`PendingRecord::lease`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) planned: Option<Timestamp>,
    /// The operation fails when the issuer has not decided by then.
    pub(in crate::service) deadline: Timestamp,
    /// For the version that will be.
    pub(in crate::service) enabled: bool,
    pub(in crate::service) tags: Option<Tags>,
}

impl PendingRecord {
    /// Until when a step may be under way: a claim moves the due time of the record and leaves the
    /// body alone. Until then that step may still call the authority, whatever happened to the record meanwhile, so no
    /// other step may start.
    pub(in crate::service) fn lease(&self, record: &Record) -> Option<Timestamp> {
        self.planned.and_then(|planned| record.due.filter(|due| *due != planned))
    }

    /// Makes it due now, or when the step that may be under way is over: at most `lease` from now,
    /// whatever another clock made of it. Answers when.
    pub(in crate::service) fn expedite(&mut self, record: &Record, now: Timestamp, lease: Duration) -> Timestamp {
        self.attempts = 0;
        if let Some(end) = self.lease(record) {
            return end.min(now.plus(lease));
        }
        self.planned = Some(now);
        now
    }
}

/// The part of a pending record that callers see; the rest, including the sealed key, is skipped.
#[derive(Deserialize)]
pub(in crate::service) struct ShownPending {
    pub(in crate::service) operation: Operation,
}

/// Where the operation of a request id is found, and a hash of the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct RequestRecord {
    pub(in crate::service) certificate: CertificateName,
    pub(in crate::service) request_id: RequestId,
    /// SHA-256 of the request, in hex: the same id with another request is refused.
    pub(in crate::service) fingerprint: String,
    pub(in crate::service) created: Timestamp,
    /// The revision of the creation, where the record was written again since; else that of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) revision: Option<Revision>,
}

/// A deleted certificate in the list of those; due when it is to be purged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct DeletedRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) name: CertificateName,
}

/// What a provider keeps of an issuer object: written with it, and removed with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct IssuerStateRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) issuer: IssuerName,
    /// Who wrote the state: another provider does not read it.
    pub(in crate::service) provider: String,
    /// Sealed.
    pub(in crate::service) state: Blob,
    /// The secret options as they were set, a JSON object, sealed; for changes that name only some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) secrets: Option<Blob>,
}

/// What a replica answers a CA that validates a name; due when it is of no use any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ChallengeRecord {
    /// `http-01` or `tls-alpn-01`.
    pub(in crate::service) kind: String,
    /// The token, or the host name.
    pub(in crate::service) name: String,
    pub(in crate::service) key_authorization: String,
    pub(in crate::service) expires: Timestamp,
}

/// Says that the records of a name are not all there: they are removed when it is due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct PurgingRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) name: CertificateName,
    /// A restore was cut short, not a removal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::service) restoring: bool,
}

/// Declares each kind of record once, with the first part of its keys.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:literal,)+) => {
        /// The kinds of records.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(in crate::service) enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            pub(in crate::service) const ALL: &[Self] = &[$(Self::$kind),+];

            /// How the keys of this kind begin.
            pub(in crate::service) const fn prefix(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($prefix, "/"),)+
                }
            }

            /// The kind of a record; `None` for one that this version does not know.
            pub(in crate::service) fn of(key: &str) -> Option<Self> {
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
    Suspended = "kept",
    /// An order to be cancelled at the issuer after its operation was deleted.
    AbandonedOrder = "orders",
    /// Where a request id is found: [`RequestRecord`].
    Request = "requests",
    /// A repeat over REST.
    Repeat = "repeats",
    /// [`DeletedRecord`].
    Deleted = "deleted",
    /// [`PurgingRecord`].
    Purging = "leaving",
    Contacts = "contacts",
    Vault = "vaults",
    Issuer = "issuers",
    /// An authority of a built-in CA, kept apart from its issuer: [`AuthorityRecord`].
    Authority = "authorities",
    /// What a provider keeps of an issuer object, sealed: [`IssuerStateRecord`].
    IssuerState = "issuer-states",
    /// What a replica answers a CA that validates a name: [`ChallengeRecord`].
    Challenge = "challenges",
    /// What the store says of itself: [`Marker`], [`Sweep`].
    Meta = "meta",
}

/// Lower-case hex.
pub(in crate::service) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// A value that is stored under a key.
pub(in crate::service) trait Stored: DeserializeOwned {
    /// Whether the value names the object that belongs there. What a value does not name (the vault of an issuer) is
    /// bound by the code of the body alone.
    fn belongs(&self, place: &Place<'_>) -> bool;
}

impl Stored for PendingRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        is_place_of(&self.operation, place)
    }
}

impl Stored for ShownPending {
    fn belongs(&self, place: &Place<'_>) -> bool {
        is_place_of(&self.operation, place)
    }
}

fn is_place_of(operation: &Operation, place: &Place<'_>) -> bool {
    match place.kind {
        Kind::Pending | Kind::Suspended => place.names(&operation.vault, operation.certificate.as_str()),
        Kind::AbandonedOrder => place.names(&operation.vault, &operation.request_id.to_string()),
        _ => false,
    }
}

impl Stored for RequestRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        match place.kind {
            Kind::Request => place.name == self.request_id.to_string(),
            // Its name is a hash of what the client called its request.
            Kind::Repeat => true,
            _ => false,
        }
    }
}

impl Stored for DeletedRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Deleted && place.names(&self.vault, self.name.as_str())
    }
}

impl Stored for PurgingRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Purging && place.names(&self.vault, self.name.as_str())
    }
}

impl Stored for CertificateEntry {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Certificate && place.names(&self.vault, self.name.as_str())
    }
}

impl Stored for Certificate {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Version
            && place.names(&self.vault, self.name.as_str())
            && place.id == self.version.to_string()
    }
}

impl Stored for IssuerConfig {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Issuer && place.is_named(self.name.as_str())
    }
}

impl Stored for IssuerStateRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::IssuerState && place.names(&self.vault, self.issuer.as_str())
    }
}

/// Challenges belong to no vault: a CA asks by token or host name alone.
impl Stored for ChallengeRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Challenge && place.vault == self.kind && place.name == self.name
    }
}

/// Its name is the identifier of the certificate that signs.
impl Stored for AuthorityRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        let signer = self.chain.first().and_then(|Blob(der)| authority::identifier(der));
        place.kind == Kind::Authority && signer.is_some_and(|id| place.names(&self.vault, &id))
    }
}

impl Stored for Contacts {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Contacts
    }
}

impl Stored for Vault {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Vault && place.vault == self.name.as_str()
    }
}

impl Stored for Marker {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Meta && place.vault == Self::NAME
    }
}

impl Stored for Sweep {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Meta && place.vault == Self::NAME
    }
}

/// The body of an event. It carries no code: the log says what happened, and nothing is decided by it.
pub(in crate::service) fn encode_event(transition: &Transition) -> Result<Vec<u8>> {
    body::plain(transition).map_err(|error| {
        tracing::error!(%error, "an event could not be written as JSON");
        Error::internal()
    })
}

pub(in crate::service) fn decode_event(body: &[u8]) -> Result<Transition> {
    body::read_plain(body).map_err(|problem| {
        tracing::error!(%problem, "an event of the log is not readable");
        Error::internal()
    })
}
