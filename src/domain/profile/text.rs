//! A profile as people write it, and as it is stored: JSON over REST and in files, a message over gRPC.

use serde::{Deserialize, Serialize};

/// Every member may be missing. Unknown ones are refused: a rule that is not understood must not be passed over.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileText {
    /// Longest validity: `P90D`, `PT8H` (ISO 8601, without months and years).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_validity: Option<String>,
    /// The validity where the request says none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesText>,
    /// `EC-P256`, `RSA-2048`, `RSA-2048+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Object identifiers in dotted form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ekus: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<Vec<String>>,
    /// `from-request`, `cn-from-first-name`, `empty`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The organization of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub o: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_names: Option<u32>,
    /// `auto`, `crl`, `ocsp`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub must_staple: Option<bool>,
}

/// The names that may be asked for. A kind that is not named is not allowed.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamesText {
    /// A name, or `*.corp.example` for every name of one label more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<String>>,
    /// Addresses and networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Vec<String>>,
    /// An address, or `@corp.example` for all of a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<String>>,
    /// A URI, or its beginning with a `*` behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uris: Option<Vec<String>>,
    /// A user principal name, or `@corp.example`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upns: Option<Vec<String>>,
    /// Whether wildcard names that the patterns of `dns` cover may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wildcards: Option<bool>,
}
