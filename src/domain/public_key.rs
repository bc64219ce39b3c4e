//! The public half of a key in numbers, as a JWK shows it (RFC 7518 section 6).

use super::policy::KeyType;

/// A public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    pub key_type: KeyType,
    pub numbers: KeyNumbers,
    /// SubjectPublicKeyInfo, DER.
    pub der: Vec<u8>,
}

/// The numbers of a key, big-endian.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyNumbers {
    /// Without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// Each as long as the curve's field.
    Ec { x: Vec<u8>, y: Vec<u8> },
}
