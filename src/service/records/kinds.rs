//! The kinds of records, and the key of each value.

use super::audit::{AuditKeyRecord, AuditLine, AuditVolume};
use super::authorities::{CrlRecord, IssuedAdoption, IssuedIndex, ResponderRecord, RevokedRecord};
use super::grants::{GrantRecord, RightsChanges, RoleRecord};
use super::key::{Place, Sealed};
use super::marks::{Mark, Marker, Sweep};
use super::parked::ParkedRecord;
use super::replicas::ReplicaRecord;
use super::reseal_job::ResealRecord;
use crate::domain::authority::AuthorityRecord;
use crate::domain::blob;
use crate::domain::installation::Installation;
use crate::domain::issued::{IntentRef, IssuedRecord};
use crate::domain::renewal::VaultRenewals;
use crate::domain::webhook::{Delivery, ExpiryWatch, Webhook};
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Contacts, IssuerConfig, IssuerName, Operation, Policy,
    RequestId, Tags, Timestamp, Vault, VaultName,
};
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
    /// `None` where the request is the caller's own.
    #[serde(with = "blob::or_empty")]
    pub(in crate::service) sealed_key: Option<Blob>,
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
    /// Where its certificate stands in the log of the CA of this server that signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) intent: Option<IntentRef>,
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
    /// Who asked; `None` in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) principal: Option<String>,
}

impl RequestRecord {
    /// Whether this principal made the request, as far as is known.
    pub(in crate::service) fn is_of(&self, principal: &str) -> bool {
        self.principal.as_ref().is_none_or(|known| known == principal)
    }
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
    /// When its issuer object was deleted while orders were open at the CA: kept to cancel them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) retired: Option<Timestamp>,
}

/// How the calls of an issuer went, as all replicas saw it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct IssuerHealthRecord {
    pub(in crate::service) vault: VaultName,
    pub(in crate::service) issuer: IssuerName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) last_success: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) last_failure: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::service) last_error: String,
}

/// What a replica answers a CA that validates a name; due when it is of no use any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ChallengeRecord {
    /// `http-01`, `tls-alpn-01` or `pki-validation`.
    pub(in crate::service) kind: String,
    /// The token, the host name, or the host name and the digest of the file's content.
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

/// What is done with a record as the type of its value.
pub(in crate::service) trait OfKind {
    type Answer;

    fn of<T: Stored + Serialize>(self) -> Self::Answer;
}

/// Declares each kind of record once, with the first part of its keys and the type of its values.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:literal of $value:ty,)+) => {
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

            /// Does it with the type of the values of this kind.
            pub(in crate::service) fn with_type<A: OfKind>(self, act: A) -> A::Answer {
                match self {
                    $(Self::$kind => act.of::<$value>(),)+
                }
            }
        }
    };
}

kinds! {
    /// A name with its policy.
    Certificate = "certificates" of CertificateEntry,
    /// A version.
    Version = "versions" of Certificate,
    /// The present operation of a name.
    Pending = "pending" of PendingRecord,
    /// The pending operation of a deleted certificate.
    Suspended = "kept" of PendingRecord,
    /// An order to be cancelled at the issuer after its operation was deleted.
    AbandonedOrder = "orders" of PendingRecord,
    /// Where a request id is found.
    Request = "requests" of RequestRecord,
    /// A repeat over REST.
    Repeat = "repeats" of RequestRecord,
    Deleted = "deleted" of DeletedRecord,
    Purging = "leaving" of PurgingRecord,
    Contacts = "contacts" of Contacts,
    /// What holds for all renewals of a vault.
    VaultRenewals = "vault-renewals" of VaultRenewals,
    Vault = "vaults" of Vault,
    Issuer = "issuers" of IssuerConfig,
    /// An authority of a built-in CA, kept apart from its issuer.
    Authority = "authorities" of AuthorityRecord,
    /// A certificate that a built-in CA signed, or was to sign.
    Issued = "issued" of IssuedRecord,
    /// The same in the order of time.
    IssuedByTime = "issued-by-time" of IssuedIndex,
    /// The same by its key.
    IssuedByKey = "issued-by-key" of IssuedIndex,
    /// A revoked certificate of a built-in CA.
    Revoked = "revoked" of RevokedRecord,
    /// A revocation list of a built-in CA.
    Crl = "crls" of CrlRecord,
    /// The OCSP responder of a built-in CA.
    Responder = "responders" of ResponderRecord,
    /// How far earlier certificates were taken over into the logs of CAs.
    IssuedAdoption = "issued-adoption" of IssuedAdoption,
    /// What a provider keeps of an issuer object, sealed.
    IssuerState = "issuer-states" of IssuerStateRecord,
    /// How the calls of an issuer went.
    IssuerHealth = "issuer-health" of IssuerHealthRecord,
    /// A grant that was made through the API.
    Grant = "grants" of GrantRecord,
    /// A role that calls set.
    Role = "roles" of RoleRecord,
    /// What changed of them last.
    RightsChanges = "rights-changes" of RightsChanges,
    /// What a replica answers a CA that validates a name.
    Challenge = "challenges" of ChallengeRecord,
    /// A line of the audit ledger, in the order of time.
    AuditLine = "audit" of AuditLine,
    /// A key that signs checkpoints of the audit ledger.
    AuditKey = "audit-keys" of AuditKeyRecord,
    /// How much of the audit ledger there is.
    AuditVolume = "audit-volumes" of AuditVolume,
    /// A process that shares the store.
    Replica = "replicas" of ReplicaRecord,
    /// The walk that brings records under the newest master key.
    Reseal = "reseals" of ResealRecord,
    /// A due record of a kind that some version has no job for.
    Parked = "parked" of ParkedRecord,
    /// A version on a host, as the host reported it.
    Installation = "installations" of Installation,
    /// Where events of a vault are sent.
    Webhook = "webhooks" of Webhook,
    /// How far the ends of certificates were told to a webhook.
    ExpiryWatch = "expiry-watches" of ExpiryWatch,
    /// An event on its way to a webhook.
    Delivery = "deliveries" of Delivery,
    /// An event that a webhook did not take.
    DeadLetter = "dead-letters" of Delivery,
    /// What the store says of itself.
    Meta = "meta" of Mark,
}

/// A value that is stored under a key.
pub(in crate::service) trait Stored: DeserializeOwned + Sealed {
    /// Whether the value names the object that belongs there. What a value does not name (the vault of an issuer) is
    /// bound by the code of the body alone.
    fn belongs(&self, place: &Place<'_>) -> bool;

    /// No version wrote it without a code, so none is believed without one, however old the store is.
    const ALWAYS_CODED: bool = false;
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

impl Stored for IssuerHealthRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::IssuerHealth && place.names(&self.vault, self.issuer.as_str())
    }
}

/// Challenges belong to no vault: a CA asks by token or host name alone.
impl Stored for ChallengeRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        // A file has a host and the digest of its content.
        let (name, digest) = self.name.split_once('/').unwrap_or((&self.name, ""));
        place.kind == Kind::Challenge && place.vault == self.kind && (place.name, place.id) == (name, digest)
    }
}

/// Its key ends with that of the record.
impl Stored for ParkedRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        let parts = [place.vault, place.name, place.id].into_iter().filter(|part| !part.is_empty());
        place.kind == Kind::Parked && parts.collect::<Vec<_>>().join("/") == self.key
    }
}

impl Stored for Mark {
    fn belongs(&self, place: &Place<'_>) -> bool {
        match self {
            Self::Marker(marker) => marker.belongs(place),
            Self::Sweep(sweep) => sweep.belongs(place),
        }
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
