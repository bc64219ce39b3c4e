//! What is sealed in a record of each kind, and for which place: what `certmint reseal` wraps anew. Every kind has to say
//! it, and names each of its members here, so that a new one does not compile before somebody decided about it.

use super::audit::{AuditKeyRecord, AuditLine, AuditVolume};
use super::authorities::{
    CrlRecord, IssuedAdoption, IssuedIndex, NextResponder, ResponderKey, ResponderRecord, RevokedRecord,
};
use super::grants::{GrantRecord, RightsChanges, RoleRecord};
use super::key::{Place, Sealed, SealedValue};
use super::kinds::{
    ChallengeRecord, DeletedRecord, IssuerHealthRecord, IssuerStateRecord, PendingRecord, PurgingRecord, RequestRecord,
    ShownPending,
};
use super::marks::{Mark, Marker, Sweep};
use super::parked::ParkedRecord;
use super::replicas::ReplicaRecord;
use super::reseal_job::ResealRecord;
use crate::domain::authority::AuthorityRecord;
use crate::domain::installation::Installation;
use crate::domain::issued::IssuedRecord;
use crate::domain::issuer::{Authority, Credentials};
use crate::domain::renewal::VaultRenewals;
use crate::domain::webhook::{Delivery, ExpiryWatch, Receiver, Webhook};
use crate::domain::{Certificate, CertificateEntry, Contacts, IssuerConfig, Vault};
use crate::keys::SealContext;

/// Records without sealed values, with all of their members.
macro_rules! nothing_is_sealed {
    ($($record:ident { $($member:ident),+ })+) => {
        $(impl Sealed for $record {
            fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
                let Self { $($member: _),+ } = self;
                Vec::new()
            }
        })+
    };
}

nothing_is_sealed! {
    CertificateEntry {
        vault, name, policy, tags, latest, first_version, preserve_cert_order, created, updated, summary, state, versions,
        renewal
    }
    // The part of a pending record that callers see.
    ShownPending { operation }
    RequestRecord { certificate, request_id, fingerprint, created, revision, principal }
    DeletedRecord { vault, name }
    PurgingRecord { vault, name, restoring }
    Vault { name, settings, created }
    VaultRenewals { vault, maintenance, paused }
    IssuedRecord { authority, serial, state, tbs, cer, asked, content, created, revocation }
    IssuedIndex { authority }
    RevokedRecord { vault, authority, shard, serial, revocation, not_after }
    CrlRecord { vault, authority, shard, number, this_update, next_update, entries, der }
    IssuedAdoption { begun, finished }
    IssuerHealthRecord { vault, issuer, last_success, last_failure, last_error }
    GrantRecord { id, grant, created, created_by }
    RoleRecord { id, name, description, actions, changed, changed_by }
    RightsChanges { history, number, recent }
    ChallengeRecord { kind, name, key_authorization, expires }
    AuditVolume { writer, hour, lines, bytes }
    ParkedRecord { key, since }
    Marker { since }
    Sweep { started }
    ReplicaRecord { id, keys, since, seen }
    Installation { vault, certificate, host, version, state, message, since, reported, principal }
    Delivery { webhook, webhook_id, place, event, since, planned, tries, given_up }
    ExpiryWatch { vault, webhook, webhook_id, told, until, after, waking }
    ResealRecord { to, counts_only, begun, by, pass, after, resealed, tally, ended, counted }
}

impl Sealed for Certificate {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self {
            vault,
            name,
            version,
            cer: _,
            chain: _,
            sealed_key,
            content_type: _,
            exportable: _,
            key_usage: _,
            enabled: _,
            not_before: _,
            expires: _,
            created: _,
            updated: _,
            tags: _,
            preserve_cert_order: _,
        } = self;
        let context = || SealContext::certificate_key(vault.as_str(), name.as_str(), *version);
        sealed_key.iter().map(|key| (key, context())).collect()
    }
}

impl Sealed for PendingRecord {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self {
            operation,
            policy: _,
            sealed_key,
            // Providers keep what is secret in the state of their issuer object.
            checkpoint: _,
            attempts: _,
            planned: _,
            deadline: _,
            enabled: _,
            tags: _,
            intent: _,
        } = self;
        // Of an order that is to be cancelled the key says the request alone.
        let (vault, name) = (operation.vault.as_str(), operation.certificate.as_str());
        let context = || SealContext::certificate_key(vault, name, operation.version);
        sealed_key.iter().map(|key| (key, context())).collect()
    }
}

impl Sealed for IssuerConfig {
    fn sealed<'a>(&'a self, place: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self {
            name,
            provider: _,
            credentials: Credentials { account_id: _, sealed_password },
            organization: _,
            enabled: _,
            created: _,
            updated: _,
            authority,
            options: _,
            paused: _,
        } = self;
        // The vault is in the key alone.
        let (vault, name) = (place.vault, name.as_str());
        let password = sealed_password.iter().map(|it| (it, SealContext::issuer_password(vault, name)));
        let keys = authority
            .iter()
            .map(|Authority { chain: _, sealed_key, handed: _ }| (sealed_key, SealContext::authority_key(vault, name)));
        password.chain(keys).collect()
    }
}

impl Sealed for AuthorityRecord {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self {
            vault,
            issuer,
            chain: _,
            sealed_key,
            last_expiry: _,
            created: _,
            generation: _,
            retired: _,
            lists: _,
            above: _,
        } = self;
        let context = || SealContext::authority_key(vault.as_str(), issuer.as_str());
        sealed_key.iter().map(|key| (key, context())).collect()
    }
}

impl Sealed for ResponderRecord {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self { vault, authority, next, current } = self;
        let context = || SealContext::responder_key(vault.as_str(), authority);
        let next = next.iter().map(|NextResponder { sealed_key, public_key: _, serial: _ }| sealed_key);
        let current = current.iter().map(|ResponderKey { sealed_key, public_key: _, cer: _, not_after: _ }| sealed_key);
        next.chain(current).map(|key| (key, context())).collect()
    }
}

impl Sealed for IssuerStateRecord {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self { vault, issuer, provider: _, state, secrets, retired: _ } = self;
        let (vault, issuer) = (vault.as_str(), issuer.as_str());
        let state = std::iter::once((state, SealContext::issuer_state(vault, issuer)));
        state.chain(secrets.iter().map(|it| (it, SealContext::issuer_secrets(vault, issuer)))).collect()
    }
}

impl Sealed for Webhook {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self {
            vault,
            name,
            id: _,
            receiver: Receiver { url: _, envelope: _, handshake: _, ca_certificates: _ },
            event_types: _,
            sealed,
            paused: _,
            created: _,
            updated: _,
        } = self;
        vec![(sealed, SealContext::webhook_secrets(vault.as_str(), name.as_str()))]
    }
}

impl Sealed for AuditKeyRecord {
    fn sealed<'a>(&'a self, place: &Place<'_>) -> Vec<SealedValue<'a>> {
        let Self { sealed_key, public_key: _, created: _ } = self;
        vec![(sealed_key, SealContext::audit_key(place.vault))]
    }
}

/// A line of text.
impl Sealed for AuditLine {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        Vec::new()
    }
}

/// A list of addresses.
impl Sealed for Contacts {
    fn sealed<'a>(&'a self, _: &Place<'_>) -> Vec<SealedValue<'a>> {
        Vec::new()
    }
}

impl Sealed for Mark {
    fn sealed<'a>(&'a self, place: &Place<'_>) -> Vec<SealedValue<'a>> {
        match self {
            Self::Marker(marker) => marker.sealed(place),
            Self::Sweep(sweep) => sweep.sealed(place),
        }
    }
}
