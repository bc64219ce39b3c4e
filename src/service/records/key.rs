//! The keys of records. The type of a [`Key`] or [`Prefix`] is that of the value stored under it; both are built from
//! names only.

use super::audit::{audit_time, place_of_line};
use super::grants::{GrantRecord, RightsChanges, RoleRecord};
use super::marks::{Marker, Sweep};
use super::replicas::ReplicaRecord;
use super::reseal_job::ResealRecord;
use super::{
    AuditKeyRecord, AuditLine, AuditVolume, ChallengeRecord, CrlRecord, DeletedRecord, IssuedAdoption, IssuedIndex,
    IssuerHealthRecord, IssuerStateRecord, Kind, ParkedRecord, PendingRecord, PurgingRecord, RequestRecord,
    ResponderRecord, RevokedRecord, ShownPending, hex,
};
use crate::domain::authority::AuthorityRecord;
use crate::domain::installation::{HostName, Installation};
use crate::domain::issued::IssuedRecord;
use crate::domain::renewal::VaultRenewals;
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Contacts, IssuerConfig, IssuerName, RequestId, Serial,
    Timestamp, Vault, VaultName, Version,
};
use crate::keys::{SealContext, digest};
use std::fmt;
use std::marker::PhantomData;
use uuid::Uuid;

/// The key under which a `T` is stored.
pub(in crate::service) struct Key<T> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub(super) fn new(text: String) -> Self {
        Self { text, of: PhantomData }
    }

    pub(in crate::service) fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl<T> fmt::Display for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Key<PendingRecord> {
    /// Of the same record what callers see.
    pub(in crate::service) fn shown(self) -> Key<ShownPending> {
        Key::new(self.text)
    }
}

impl Key<Certificate> {
    /// What the private key of the version was sealed for.
    pub(in crate::service) fn sealed_for(&self) -> SealContext {
        let Place { kind: _, vault, name, id } = Place::of(&self.text).unwrap_or(Place::NOWHERE);
        SealContext::key_of_version(vault, name, id)
    }
}

/// What the keys of several records have in common.
pub(in crate::service) struct Prefix<T> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Prefix<T> {
    pub(super) fn new(text: String) -> Self {
        Self { text, of: PhantomData }
    }

    /// Every record of a kind.
    #[cfg(test)]
    pub(super) fn all(kind: super::Kind) -> Self {
        Self::new(kind.prefix().to_owned())
    }

    pub(in crate::service) fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T> fmt::Debug for Prefix<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prefix").field(&self.text).finish()
    }
}

/// The names in a key. Names are in lower case there.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Place<'a> {
    pub(in crate::service) kind: Kind,
    /// The vault, or the name of what belongs to none.
    pub(in crate::service) vault: &'a str,
    /// Of a certificate or issuer, or a request id; empty if the vault is all.
    pub(in crate::service) name: &'a str,
    /// Of a version or a host; empty elsewhere.
    pub(in crate::service) id: &'a str,
}

impl<'a> Place<'a> {
    const NOWHERE: Self = Self { kind: Kind::Meta, vault: "", name: "", id: "" };

    /// `None` for the key of a kind that this version does not know.
    pub(in crate::service) fn of(key: &'a str) -> Option<Self> {
        let kind = Kind::of(key)?;
        let mut parts = key.strip_prefix(kind.prefix())?.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        Some(Self { kind, vault: next(), name: next(), id: next() })
    }

    pub(super) fn names(&self, vault: &VaultName, name: &str) -> bool {
        self.vault == vault.as_str() && self.is_named(name)
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.bytes().eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    }

    /// The vault and the certificate of a record that belongs to one.
    pub(in crate::service) fn certificate(&self) -> crate::domain::Result<(VaultName, CertificateName)> {
        Ok((VaultName::parse(self.vault)?, CertificateName::parse(self.name)?))
    }
}

/// A sealed value of a record, and what it was sealed for.
pub(in crate::service) type SealedValue<'a> = (&'a Blob, SealContext);

/// A record of which is known what is sealed in it.
pub(in crate::service) trait Sealed {
    /// Every sealed value of the record that lies at this place.
    fn sealed<'a>(&'a self, place: &Place<'_>) -> Vec<SealedValue<'a>>;
}

/// A key in a vault; without a name what all of the kind have in common.
pub(super) fn named(kind: Kind, vault: &VaultName, name: &str) -> String {
    format!("{}{vault}/{name}", kind.prefix())
}

pub(in crate::service) fn pending(vault: &VaultName, name: &CertificateName) -> Key<PendingRecord> {
    Key::new(named(Kind::Pending, vault, &name.key()))
}

pub(in crate::service) fn pendings_of(vault: Option<&VaultName>) -> Prefix<ShownPending> {
    Prefix::new(vault.map_or_else(|| Kind::Pending.prefix().to_owned(), |vault| named(Kind::Pending, vault, "")))
}

pub(in crate::service) fn certificate(vault: &VaultName, name: &CertificateName) -> Key<CertificateEntry> {
    Key::new(named(Kind::Certificate, vault, &name.key()))
}

pub(in crate::service) fn version(vault: &VaultName, name: &CertificateName, version: Version) -> Key<Certificate> {
    Key::new(format!("{}{version}", versions_of(vault, name).text))
}

pub(in crate::service) fn certificates_of(vault: &VaultName) -> Prefix<CertificateEntry> {
    Prefix::new(named(Kind::Certificate, vault, ""))
}

pub(in crate::service) fn versions_of(vault: &VaultName, name: &CertificateName) -> Prefix<Certificate> {
    Prefix::new(named(Kind::Version, vault, &name.key()) + "/")
}

/// What a host reported of a certificate.
pub(in crate::service) fn installation(
    vault: &VaultName,
    name: &CertificateName,
    host: &HostName,
) -> Key<Installation> {
    Key::new(format!("{}{}", installations_of(vault, name).text, host.key()))
}

pub(in crate::service) fn installations_of(vault: &VaultName, name: &CertificateName) -> Prefix<Installation> {
    Prefix::new(named(Kind::Installation, vault, &name.key()) + "/")
}

pub(in crate::service) fn installations_in(vault: &VaultName) -> Prefix<Installation> {
    Prefix::new(named(Kind::Installation, vault, ""))
}

pub(in crate::service) fn deleted(vault: &VaultName, name: &CertificateName) -> Key<DeletedRecord> {
    Key::new(named(Kind::Deleted, vault, &name.key()))
}

pub(in crate::service) fn deleted_of(vault: &VaultName) -> Prefix<DeletedRecord> {
    Prefix::new(named(Kind::Deleted, vault, ""))
}

/// The pending operation of a deleted certificate.
pub(in crate::service) fn suspended(vault: &VaultName, name: &CertificateName) -> Key<PendingRecord> {
    Key::new(named(Kind::Suspended, vault, &name.key()))
}

pub(in crate::service) fn purging(vault: &VaultName, name: &CertificateName) -> Key<PurgingRecord> {
    Key::new(named(Kind::Purging, vault, &name.key()))
}

pub(in crate::service) fn all_leaving() -> Prefix<PurgingRecord> {
    Prefix::new(Kind::Purging.prefix().to_owned())
}

pub(in crate::service) fn contacts(vault: &VaultName) -> Key<Contacts> {
    Key::new(format!("{}{vault}", Kind::Contacts.prefix()))
}

pub(in crate::service) fn vault_renewals(vault: &VaultName) -> Key<VaultRenewals> {
    Key::new(format!("{}{vault}", Kind::VaultRenewals.prefix()))
}

pub(in crate::service) fn vault(vault: &VaultName) -> Key<Vault> {
    Key::new(format!("{}{vault}", Kind::Vault.prefix()))
}

pub(in crate::service) fn issuer(vault: &VaultName, name: &IssuerName) -> Key<IssuerConfig> {
    Key::new(named(Kind::Issuer, vault, &name.key()))
}

pub(in crate::service) fn issuers_of(vault: &VaultName) -> Prefix<IssuerConfig> {
    Prefix::new(named(Kind::Issuer, vault, ""))
}

pub(in crate::service) fn issuer_state(vault: &VaultName, name: &IssuerName) -> Key<IssuerStateRecord> {
    Key::new(named(Kind::IssuerState, vault, &name.key()))
}

pub(in crate::service) fn issuer_health(vault: &VaultName, name: &IssuerName) -> Key<IssuerHealthRecord> {
    Key::new(named(Kind::IssuerHealth, vault, &name.key()))
}

/// Orders to be cancelled at the issuers of a vault.
pub(in crate::service) fn abandoned_orders_of(vault: &VaultName) -> Prefix<ShownPending> {
    Prefix::new(named(Kind::AbandonedOrder, vault, ""))
}

/// A challenge by its kind and its token or host name.
pub(in crate::service) fn challenge(kind: &str, name: &str) -> Key<ChallengeRecord> {
    Key::new(format!("{}{kind}/{name}", Kind::Challenge.prefix()))
}

/// The challenges of a kind that have a host and something more.
pub(in crate::service) fn challenges_of(kind: &str, host: &str) -> Prefix<ChallengeRecord> {
    Prefix::new(format!("{}{kind}/{host}/", Kind::Challenge.prefix()))
}

/// An authority by [`crate::keys::authority::identifier`].
pub(in crate::service) fn authority(vault: &VaultName, id: &str) -> Key<AuthorityRecord> {
    Key::new(named(Kind::Authority, vault, id))
}

pub(in crate::service) fn authorities_of(vault: &VaultName) -> Prefix<AuthorityRecord> {
    Prefix::new(named(Kind::Authority, vault, ""))
}

/// A certificate of an authority, which is named by [`crate::keys::authority::identifier`].
pub(in crate::service) fn issued(authority: &str, serial: &Serial) -> Key<IssuedRecord> {
    Key::new(format!("{}{authority}/{serial}", Kind::Issued.prefix()))
}

/// The log of an authority.
pub(in crate::service) fn issued_of(authority: &str) -> Prefix<IssuedRecord> {
    Prefix::new(format!("{}{authority}/", Kind::Issued.prefix()))
}

/// In the order of time, then of serial numbers.
pub(in crate::service) fn issued_by_time(authority: &str, at: Timestamp, serial: &Serial) -> Key<IssuedIndex> {
    Key::new(format!("{}{authority}/{:015}-{serial}", Kind::IssuedByTime.prefix(), at.0.max(0)))
}

pub(in crate::service) fn issued_by_time_of(authority: &str) -> Prefix<IssuedIndex> {
    Prefix::new(format!("{}{authority}/", Kind::IssuedByTime.prefix()))
}

/// By SHA-256 of the SubjectPublicKeyInfo, in hex.
pub(in crate::service) fn issued_by_key(key: &str, serial: &Serial) -> Key<IssuedIndex> {
    Key::new(format!("{}{key}/{serial}", Kind::IssuedByKey.prefix()))
}

pub(in crate::service) fn issued_by_key_of(key: &str) -> Prefix<IssuedIndex> {
    Prefix::new(format!("{}{key}/", Kind::IssuedByKey.prefix()))
}

/// A revoked certificate on one of an authority's lists.
pub(in crate::service) fn revoked(authority: &str, shard: u32, serial: &Serial) -> Key<RevokedRecord> {
    Key::new(format!("{}{authority}/{shard}/{serial}", Kind::Revoked.prefix()))
}

pub(in crate::service) fn revoked_of(authority: &str, shard: u32) -> Prefix<RevokedRecord> {
    Prefix::new(format!("{}{authority}/{shard}/", Kind::Revoked.prefix()))
}

pub(in crate::service) fn crl(authority: &str, shard: u32) -> Key<CrlRecord> {
    Key::new(format!("{}{authority}/{shard}", Kind::Crl.prefix()))
}

pub(in crate::service) fn responder(authority: &str) -> Key<ResponderRecord> {
    Key::new(format!("{}{authority}", Kind::Responder.prefix()))
}

pub(in crate::service) fn issued_adoption() -> Key<IssuedAdoption> {
    Key::new(format!("{}versions", Kind::IssuedAdoption.prefix()))
}

pub(in crate::service) fn grant(id: Uuid) -> Key<GrantRecord> {
    Key::new(format!("{}{id}", Kind::Grant.prefix()))
}

pub(in crate::service) fn role(id: Uuid) -> Key<RoleRecord> {
    Key::new(format!("{}{id}", Kind::Role.prefix()))
}

pub(in crate::service) fn rights_changes() -> Key<RightsChanges> {
    Key::new(format!("{}{}", Kind::RightsChanges.prefix(), RightsChanges::NAME))
}

pub(in crate::service) fn request(vault: &VaultName, id: RequestId) -> Key<RequestRecord> {
    Key::new(named(Kind::Request, vault, &id.to_string()))
}

/// A repeat over REST: what the client calls its request, hashed because it is free text.
pub(in crate::service) fn repeat(vault: &VaultName, client_request_id: &str) -> Key<RequestRecord> {
    let digest = digest::sha256(&[client_request_id.as_bytes()]);
    Key::new(named(Kind::Repeat, vault, &hex(&digest[..16])))
}

/// An order to be cancelled at the issuer after its operation was deleted.
pub(in crate::service) fn abandoned_order(vault: &VaultName, id: RequestId) -> Key<PendingRecord> {
    Key::new(named(Kind::AbandonedOrder, vault, &id.to_string()))
}

/// A line of the audit ledger: in the order of time, then of the lines of each writer.
pub(in crate::service) fn audit_line(at: Timestamp, writer: &str, seq: u64) -> Key<AuditLine> {
    Key::new(format!("{}{}/{writer}/{}", Kind::AuditLine.prefix(), audit_time(at), place_of_line(seq)))
}

pub(in crate::service) fn audit_lines() -> Prefix<AuditLine> {
    Prefix::new(Kind::AuditLine.prefix().to_owned())
}

pub(in crate::service) fn audit_key(id: &str) -> Key<AuditKeyRecord> {
    Key::new(format!("{}{id}", Kind::AuditKey.prefix()))
}

pub(in crate::service) fn audit_keys() -> Prefix<AuditKeyRecord> {
    Prefix::new(Kind::AuditKey.prefix().to_owned())
}

/// What a writer wrote in the hour that began then.
pub(in crate::service) fn audit_volume(hour: Timestamp, writer: &str) -> Key<AuditVolume> {
    Key::new(format!("{}{}/{writer}", Kind::AuditVolume.prefix(), audit_time(hour)))
}

pub(in crate::service) fn audit_volumes() -> Prefix<AuditVolume> {
    Prefix::new(Kind::AuditVolume.prefix().to_owned())
}

/// A process that shares the store.
pub(in crate::service) fn replica(id: &str) -> Key<ReplicaRecord> {
    Key::new(format!("{}{id}", Kind::Replica.prefix()))
}

pub(in crate::service) fn replicas() -> Prefix<ReplicaRecord> {
    Prefix::new(Kind::Replica.prefix().to_owned())
}

/// The walk that brings records under the newest master key.
pub(in crate::service) fn reseal() -> Key<ResealRecord> {
    Key::new(format!("{}{}", Kind::Reseal.prefix(), ResealRecord::NAME))
}

/// A record that was parked, by its key.
pub(in crate::service) fn parked(key: &str) -> Key<ParkedRecord> {
    Key::new(format!("{}{key}", Kind::Parked.prefix()))
}

pub(in crate::service) fn all_parked() -> Prefix<ParkedRecord> {
    Prefix::new(Kind::Parked.prefix().to_owned())
}

/// Says that every record of the store carries a code.
pub(in crate::service) fn marker() -> Key<Marker> {
    Key::new(format!("{}{}", Kind::Meta.prefix(), Marker::NAME))
}

/// Since when records get their codes.
pub(in crate::service) fn sweep() -> Key<Sweep> {
    Key::new(format!("{}{}", Kind::Meta.prefix(), Sweep::NAME))
}
