//! The policy of a certificate, complete: every member has a value and every value is allowed.
//! Names, defaults and limits are those of Key Vault (contract sections 3, 5 and 10).

use super::Timestamp;
use super::granted::{Granted, Revocation};
use super::san::SubjectAlternativeNames;
use super::subject::common_name;
use serde::{Deserialize, Serialize};

/// How a certificate is made and kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub key: KeyProperties,
    pub content_type: ContentType,
    pub x509: X509Properties,
    pub lifetime_actions: Vec<LifetimeAction>,
    pub issuer: IssuerParameters,
    pub enabled: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// What a profile of the issuer decided of a certificate; only in the policy of an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
}

impl Policy {
    /// When a certificate ends whose operation began at `created`.
    pub fn ends(&self, created: Timestamp) -> Timestamp {
        let by_months = created.plus_months(self.x509.validity_months);
        self.granted.as_ref().map_or(by_months, |granted| granted.end(created, by_months))
    }

    /// How the status of a certificate is found out, as a profile has it; `Auto` without one.
    pub fn revocation(&self) -> Revocation {
        self.granted.as_ref().map_or(Revocation::Auto, |granted| granted.revocation)
    }

    /// The same with a common name that is a host name or an address among the alternative names, where CAs that look
    /// at these alone find it; `None` if nothing is to be added.
    pub fn with_common_name_in_sans(&self) -> Option<Self> {
        let common_name = common_name(&self.x509.subject).ok().flatten()?;
        let mut named = SubjectAlternativeNames::default();
        if common_name.parse::<std::net::IpAddr>().is_ok() {
            named.ip_addresses.push(common_name);
        } else if common_name.contains('.') {
            named.dns_names.push(common_name);
        }
        if named.is_empty() || !named.problems().is_empty() {
            return None;
        }
        let before = self.x509.sans.clone().unwrap_or_default();
        let mut sans = before.clone();
        sans.dns_names.extend(named.dns_names);
        sans.ip_addresses.extend(named.ip_addresses);
        let sans = sans.without_repetitions();
        let mut policy = self.clone();
        let added = sans.len() > before.without_repetitions().len();
        policy.x509.sans = Some(sans);
        added.then_some(policy)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct KeyProperties {
    pub exportable: bool,
    pub key_type: KeyType,
    pub reuse_key: bool,
}

/// The type of a key with its size.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum KeyType {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    /// secp256k1.
    P256K,
}

impl KeyType {
    /// `kty` on the wire.
    pub fn kty(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => "RSA",
            Self::P256 | Self::P384 | Self::P521 | Self::P256K => "EC",
        }
    }

    /// `crv` on the wire; none for RSA.
    pub fn curve(self) -> Option<&'static str> {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => None,
            Self::P256 => Some("P-256"),
            Self::P384 => Some("P-384"),
            Self::P521 => Some("P-521"),
            Self::P256K => Some("P-256K"),
        }
    }

    /// `key_size` on the wire, in bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
            Self::P256 | Self::P256K => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    pub fn is_rsa(self) -> bool {
        self.curve().is_none()
    }

    /// Whether such a key can be used so (RFC 4055 section 1.2, RFC 8813 section 3).
    pub fn can(self, usage: KeyUsage) -> bool {
        use KeyUsage as U;
        match usage {
            U::DigitalSignature | U::NonRepudiation | U::KeyCertSign | U::CrlSign => true,
            U::KeyEncipherment | U::DataEncipherment => self.is_rsa(),
            U::KeyAgreement | U::EncipherOnly | U::DecipherOnly => !self.is_rsa(),
        }
    }
}

/// The form in which the secret is handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ContentType {
    #[serde(rename = "application/x-pkcs12")]
    Pkcs12,
    #[serde(rename = "application/x-pem-file")]
    Pem,
}

impl ContentType {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pkcs12 => "application/x-pkcs12",
            Self::Pem => "application/x-pem-file",
        }
    }

    /// From the media type in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pkcs12, Self::Pem].into_iter().find(|known| known.media_type().eq_ignore_ascii_case(text))
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct X509Properties {
    /// The name as it was written; empty if only alternative names are given.
    pub subject: String,
    /// `None` if the caller sent none; an empty one is echoed as `{}`.
    pub sans: Option<SubjectAlternativeNames>,
    /// Object identifiers in dotted form.
    pub ekus: Vec<String>,
    /// Sorted by name without case, each once.
    pub key_usage: Vec<KeyUsage>,
    pub validity_months: u32,
    pub ca: bool,
}

impl X509Properties {
    /// The usages that a certificate of this policy may say: those of the list that the key can do, keyCertSign
    /// only together with the CA flag (RFC 5280 section 4.2.1.9), and encipherOnly and decipherOnly not together: each
    /// excludes what the other one allows (RFC 3279 section 2.3.5, RFC 5480 section 3).
    pub fn usages_to_sign(&self, key: KeyType) -> Vec<KeyUsage> {
        if self.ca && self.key_usage.is_empty() {
            return vec![KeyUsage::CrlSign, KeyUsage::KeyCertSign];
        }
        let is_restricted = KeyUsage::RESTRICTIONS.iter().all(|usage| self.key_usage.contains(usage));
        let possible = |usage: &KeyUsage| {
            key.can(*usage)
                && (self.ca || *usage != KeyUsage::KeyCertSign)
                && !(is_restricted && KeyUsage::RESTRICTIONS.contains(usage))
        };
        self.key_usage.iter().copied().filter(possible).collect()
    }
}

/// A use of a key; the discriminant is its bit in the KeyUsage extension (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum KeyUsage {
    DigitalSignature = 0,
    NonRepudiation = 1,
    KeyEncipherment = 2,
    DataEncipherment = 3,
    KeyAgreement = 4,
    KeyCertSign = 5,
    CrlSign = 6,
    EncipherOnly = 7,
    DecipherOnly = 8,
}

impl KeyUsage {
    /// Those that say what keyAgreement may not be used for.
    pub const RESTRICTIONS: [Self; 2] = [Self::EncipherOnly, Self::DecipherOnly];

    /// In the order of the wire: by name, without case.
    pub const ALL: [Self; 9] = [
        Self::CrlSign,
        Self::DataEncipherment,
        Self::DecipherOnly,
        Self::DigitalSignature,
        Self::EncipherOnly,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::KeyEncipherment,
        Self::NonRepudiation,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::CrlSign => "cRLSign",
            Self::EncipherOnly => "encipherOnly",
            Self::DecipherOnly => "decipherOnly",
        }
    }

    /// From the name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name().eq_ignore_ascii_case(text))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LifetimeAction {
    pub trigger: Trigger,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Trigger {
    /// 1 to 99.
    LifetimePercentage(u32),
    /// 1 to 27 for each month of validity.
    DaysBeforeExpiry(u32),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Action {
    EmailContacts,
    AutoRenew,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::EmailContacts => "EmailContacts",
            Self::AutoRenew => "AutoRenew",
        }
    }

    /// From the name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::EmailContacts, Self::AutoRenew].into_iter().find(|action| action.name().eq_ignore_ascii_case(text))
    }
}

/// The issuer that a policy names, and how to ask it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IssuerParameters {
    /// As it was written: `Self`, `Unknown` (in any case), or the name of an issuer object.
    pub name: String,
    /// `cty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_type: Option<String>,
    /// `cert_transparency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_transparency: Option<bool>,
}

/// The name for "nobody: a person merges what a CA returned".
pub const UNKNOWN: &str = "Unknown";

impl IssuerParameters {
    /// Whether the certificate is merged by hand.
    pub fn is_manual(&self) -> bool {
        self.name.eq_ignore_ascii_case(UNKNOWN)
    }

    /// Whether the certificate signs itself.
    pub fn is_self(&self) -> bool {
        self.name.eq_ignore_ascii_case("Self")
    }
}
