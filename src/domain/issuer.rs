//! An issuer object: a certificate authority that a vault can ask.

use super::blob::Blob;
use super::profile::ProfilesInput;
use super::{IssuerName, Result, Timestamp, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The provider whose keys this server makes itself.
pub const LOCAL_CA: &str = "LocalCA";
/// What clients of Azure call it that accept only the providers of Key Vault.
pub const LOCAL_CA_IN_AZURE: &str = "OneCertV2-PrivateCA";

/// Whether the provider is this server itself, by either of its names.
pub fn is_local_ca(provider: &str) -> bool {
    [LOCAL_CA, LOCAL_CA_IN_AZURE].iter().any(|name| name.eq_ignore_ascii_case(provider))
}

/// The issuer object as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IssuerConfig {
    pub name: IssuerName,
    /// As it was written; compares without case.
    pub provider: String,
    pub credentials: Credentials,
    pub organization: Option<Organization>,
    pub enabled: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Set where the provider signs with a key that certmint keeps.
    pub authority: Option<Authority>,
    /// Options of its provider, beyond the members of Key Vault; without secret options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Its CA is not asked while this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
}

/// That the CA of an issuer object is not asked, or a certificate not renewed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    pub since: Timestamp,
    /// As the operator said it; may be empty.
    pub reason: String,
}

impl Pause {
    /// Longest reason, in characters.
    const MAX_REASON: usize = 200;

    /// The reason as it is kept.
    ///
    /// # Errors
    /// Where it is too long, or has characters that nobody sees.
    pub fn reason(given: &str) -> Result<&str> {
        let reason = given.trim();
        text::check("reason", reason, Self::MAX_REASON)?;
        Ok(reason)
    }

    /// One that begins now, unless there is one: a second pause changes the reason alone.
    pub fn or_begun(before: Option<&Self>, reason: &str, now: Timestamp) -> Self {
        Self { since: before.map_or(now, |pause| pause.since), reason: reason.to_owned() }
    }
}

impl IssuerConfig {
    /// The authority that signs for it; none where it has a key that its provider does not use.
    pub fn ca(&self) -> Option<&Authority> {
        self.authority.as_ref().filter(|_| is_local_ca(&self.provider))
    }
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    pub account_id: Option<String>,
    /// Sealed; never answered.
    pub sealed_password: Option<Blob>,
}

/// `org_details` of Key Vault.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    pub id: Option<String>,
    pub administrators: Vec<Administrator>,
    /// That there are none was said: an empty list, which is not a missing one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_administrators: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Administrator {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// The keys and certificates of a built-in certificate authority.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// The certificate that signs leaves first, the root last: X.509, DER.
    pub chain: Vec<Blob>,
    /// The key of the first one: PKCS#8, sealed.
    pub sealed_key: Blob,
    /// What is handed out above a leaf, where that is not the chain: a cross certificate stands in place of the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed: Vec<Blob>,
}

impl Authority {
    /// The certificates that are handed out above a leaf.
    pub fn handed_out(&self) -> &[Blob] {
        if self.handed.is_empty() { &self.chain } else { &self.handed }
    }
}

/// What a caller sends to set or change an issuer; missing members stay as they are on a change.
#[derive(Clone, Default)]
pub struct IssuerInput {
    pub provider: Option<String>,
    pub account_id: Option<String>,
    /// In the clear on its way to be sealed.
    pub password: Option<zeroize::Zeroizing<String>>,
    pub organization: Option<Organization>,
    pub enabled: Option<bool>,
    /// By name; on a change the others stay as they are, and an empty text removes one.
    pub options: BTreeMap<String, String>,
    /// As `options`, in the clear on their way to be sealed; never answered.
    pub secret_options: BTreeMap<String, zeroize::Zeroizing<String>>,
    /// Of a CA of this server; those that are not named stay as they are, whether it is set or changed.
    pub profiles: ProfilesInput,
}
