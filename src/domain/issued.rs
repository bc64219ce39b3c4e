//! The log of a built-in CA: a record for each certificate that it was ever to sign, written before it signs. It belongs to
//! the CA, so that no deletion, purge or restore of a certificate changes it.

use super::blob::Blob;
use super::policy::Policy;
use super::revocation::Revocation;
use super::san::SubjectAlternativeNames;
use super::serial::Serial;
use super::{CertificateName, IssuerName, RequestId, Timestamp, VaultName, Version};
use serde::{Deserialize, Serialize};

/// How far it came with a certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuedState {
    /// The bytes to be signed are stored. They may have been signed; nobody was given the signature yet.
    Intended,
    /// It was signed, and is a version of its certificate.
    Issued,
    /// Its operation ended without it. It may have been signed, and nobody was given the signature.
    Abandoned,
}

impl IssuedState {
    pub const ALL: [Self; 3] = [Self::Intended, Self::Issued, Self::Abandoned];

    /// As the APIs name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Issued => "issued",
            Self::Abandoned => "abandoned",
        }
    }

    /// The state of a word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(word))
    }
}

/// By which way a certificate was asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A creation, for which the server made the key.
    Create,
    /// A creation with the caller's own request.
    Csr,
    /// An order over ACME.
    Acme,
    /// The renewal of a version, by the server itself or on request.
    Renewal,
    /// A part of the CA itself: the certificate of its OCSP responder, or of another authority.
    Authority,
}

impl Door {
    /// As the APIs name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Csr => "csr",
            Self::Acme => "acme",
            Self::Renewal => "renewal",
            Self::Authority => "authority",
        }
    }
}

/// Who asked for it, and for what.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IssuedFor {
    pub vault: VaultName,
    pub issuer: IssuerName,
    /// None of these three for a part of the CA itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Empty for a renewal by the server itself, and where it is not known: the certificate is older than the log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub principal: String,
    pub door: Door,
    /// The profile by which it was made; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
}

/// What the certificate says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IssuedContent {
    pub subject: String,
    /// Each with its type before it: `dns:`, `ip:`, `email:`, `uri:`, `upn:`.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of its SubjectPublicKeyInfo, in hex.
    pub key: String,
}

/// One certificate of a CA, signed or to be signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IssuedRecord {
    /// The authority by `keys::authority::identifier`.
    pub authority: String,
    pub serial: Serial,
    pub state: IssuedState,
    /// The bytes to be signed (TBSCertificate, DER), until it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tbs: Option<Blob>,
    /// X.509, DER, once it is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cer: Option<Blob>,
    pub asked: IssuedFor,
    pub content: IssuedContent,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
}

/// Where the record of an operation's certificate is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IntentRef {
    pub authority: String,
    pub serial: Serial,
}

/// The alternative names of a policy, as the log has them.
pub fn names_of(policy: &Policy) -> Vec<String> {
    policy.x509.sans.as_ref().map(names_in).unwrap_or_default()
}

/// Alternative names as the log has them.
pub fn names_in(sans: &SubjectAlternativeNames) -> Vec<String> {
    let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } = sans;
    [("dns", dns_names), ("ip", ip_addresses), ("email", emails), ("uri", uris), ("upn", upns)]
        .into_iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind}:{name}")))
        .collect()
}
