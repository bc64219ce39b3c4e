//! The operations allowed with the key of a certificate, and their algorithms (JWA, RFC 7518).

use super::policy::{KeyType, KeyUsage};

/// An operation of the key view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyOperation {
    Sign,
    Verify,
    WrapKey,
    UnwrapKey,
    Encrypt,
    Decrypt,
}

impl KeyOperation {
    /// In the order in which `key_ops` lists them.
    pub const ALL: [Self; 6] = [Self::Sign, Self::Verify, Self::WrapKey, Self::UnwrapKey, Self::Encrypt, Self::Decrypt];

    /// The word of `key_ops` (RFC 7517 section 4.3).
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::WrapKey => "wrapKey",
            Self::UnwrapKey => "unwrapKey",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }

    /// Whether it takes the private half.
    pub fn needs_private_key(self) -> bool {
        matches!(self, Self::Sign | Self::Decrypt | Self::UnwrapKey)
    }

    /// Whether a key may do this before and after the validity of its certificate: what was made
    /// within it has to stay readable.
    pub fn is_timeless(self) -> bool {
        matches!(self, Self::Verify | Self::UnwrapKey | Self::Decrypt)
    }

    /// What a key of this type may do under these usages (contract section 7). No usage at all
    /// restricts nothing (RFC 5280 section 4.2.1.3). An EC key signs and verifies only.
    pub fn allowed(key_type: KeyType, usages: &[KeyUsage]) -> Vec<Self> {
        let able = |operation: &Self| key_type.is_rsa() || matches!(operation, Self::Sign | Self::Verify);
        let granted =
            |operation: &Self| usages.is_empty() || usages.iter().any(|usage| operation.is_granted_by(*usage));
        Self::ALL.into_iter().filter(|operation| able(operation) && granted(operation)).collect()
    }

    fn is_granted_by(self, usage: KeyUsage) -> bool {
        match usage {
            KeyUsage::DigitalSignature | KeyUsage::NonRepudiation | KeyUsage::KeyCertSign | KeyUsage::CrlSign => {
                matches!(self, Self::Sign | Self::Verify)
            }
            KeyUsage::KeyEncipherment => matches!(self, Self::WrapKey | Self::UnwrapKey),
            KeyUsage::DataEncipherment => matches!(self, Self::Encrypt | Self::Decrypt),
            KeyUsage::EncipherOnly => self == Self::Encrypt,
            KeyUsage::DecipherOnly => self == Self::Decrypt,
            KeyUsage::KeyAgreement => false,
        }
    }
}

/// How a digest is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    Es256K,
    /// PKCS#1 v1.5 padding of raw bytes: the caller adds the DigestInfo, if any.
    RsNull,
}

impl SignatureAlgorithm {
    pub const ALL: [Self; 11] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Es256K,
        Self::RsNull,
    ];

    /// `alg` on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Es256K => "ES256K",
            Self::RsNull => "RSNULL",
        }
    }

    /// From the name, which compares letter by letter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text)
    }

    /// How long the digest is, in bytes; `None` if it is no digest, and has any length that fits the key.
    pub fn digest_length(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Es256K => Some(32),
            Self::Rs384 | Self::Ps384 | Self::Es384 => Some(48),
            Self::Rs512 | Self::Ps512 | Self::Es512 => Some(64),
            Self::RsNull => None,
        }
    }

    /// Whether a key of this type can sign so; an EC key has exactly one algorithm.
    pub fn fits(self, key_type: KeyType) -> bool {
        match self {
            Self::Es256 => key_type == KeyType::P256,
            Self::Es384 => key_type == KeyType::P384,
            Self::Es512 => key_type == KeyType::P521,
            Self::Es256K => key_type == KeyType::P256K,
            _ => key_type.is_rsa(),
        }
    }
}

/// How RSA encrypts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncryptionAlgorithm {
    /// PKCS#1 v1.5. What does not decrypt answers other bytes than were encrypted, never an error.
    Rsa15,
    /// OAEP with SHA-1 and MGF1 with SHA-1.
    RsaOaep,
    /// OAEP with SHA-256 and MGF1 with SHA-256.
    RsaOaep256,
}

impl EncryptionAlgorithm {
    pub const ALL: [Self; 3] = [Self::Rsa15, Self::RsaOaep, Self::RsaOaep256];

    /// `alg` on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa15 => "RSA1_5",
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }

    /// From the name, which compares letter by letter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text)
    }

    /// The bytes that the padding takes (RFC 8017 sections 7.1.1 and 7.2.1).
    pub fn overhead(self) -> usize {
        match self {
            Self::Rsa15 => 11,
            Self::RsaOaep => 2 * 20 + 2,
            Self::RsaOaep256 => 2 * 32 + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(key_type: KeyType, usages: &[KeyUsage]) -> String {
        KeyOperation::allowed(key_type, usages).into_iter().map(KeyOperation::name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_usages_decide_what_a_key_may_do() {
        use KeyUsage as U;
        let rsa = |usages: &[U]| words(KeyType::Rsa2048, usages);
        assert_eq!(rsa(&[U::DigitalSignature, U::KeyEncipherment]), "sign verify wrapKey unwrapKey");
        assert_eq!(rsa(&[U::NonRepudiation]), "sign verify");
        assert_eq!(rsa(&[U::KeyCertSign, U::CrlSign]), "sign verify");
        assert_eq!(rsa(&[U::DataEncipherment]), "encrypt decrypt");
        assert_eq!((rsa(&[U::EncipherOnly]), rsa(&[U::DecipherOnly])), ("encrypt".to_owned(), "decrypt".to_owned()));
        assert_eq!(rsa(&[U::KeyAgreement]), "");
        assert_eq!(rsa(&[]), "sign verify wrapKey unwrapKey encrypt decrypt");
    }

    #[test]
    fn an_ec_key_only_signs() {
        assert_eq!(words(KeyType::P256, &[]), "sign verify");
        assert_eq!(words(KeyType::P384, &[KeyUsage::DataEncipherment]), "");
    }

    #[test]
    fn each_algorithm_has_its_keys() {
        let fitting = |key_type| {
            let all = SignatureAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(key_type));
            all.map(SignatureAlgorithm::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(fitting(KeyType::Rsa4096), "RS256 RS384 RS512 PS256 PS384 PS512 RSNULL");
        assert_eq!((fitting(KeyType::P256), fitting(KeyType::P384)), ("ES256".to_owned(), "ES384".to_owned()));
        assert_eq!((fitting(KeyType::P521), fitting(KeyType::P256K)), ("ES512".to_owned(), "ES256K".to_owned()));
        assert_eq!(SignatureAlgorithm::parse("rs256"), None);
        assert_eq!(EncryptionAlgorithm::parse("RSA1_5"), Some(EncryptionAlgorithm::Rsa15));
    }
}
