//! The public key of a certificate in the numbers of a JWK (RFC 7518 section 6).

use super::asn1::{Element, OID};
use super::key_pair::SECP_256_K_1;
use super::x509::{PublicKeyInfo, X509};
use super::{defect, facts};
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::{Error, KeyNumbers, PublicKey, Result};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1};
use der::asn1::UintRef;
use der::{Decode, Sequence};

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// The key of a certificate (X.509, DER) of this server. A defect where it is none that a policy
/// can ask for.
pub fn of_certificate(der: &[u8]) -> Result<PublicKey> {
    let broken = "the public key of a certificate could not be read";
    let certificate = X509::read(der).map_err(defect(broken))?;
    let Some((key_type, numbers)) = numbers(&certificate.key) else {
        tracing::error!("a certificate has a key of an unknown type");
        return Err(Error::internal());
    };
    Ok(PublicKey { key_type, numbers, der: certificate.key.whole.to_vec() })
}

/// The type of a key (SubjectPublicKeyInfo, DER); none where no policy can ask for one like it.
pub(crate) fn key_type(public_key: &[u8]) -> Option<KeyType> {
    let key = PublicKeyInfo::read(Element::parse(public_key)?)?;
    numbers(&key).map(|(key_type, _)| key_type)
}

/// The uses that a certificate (X.509, DER) itself names; none where it does not say.
pub fn usages_of_certificate(der: &[u8]) -> Vec<KeyUsage> {
    let usages = X509::read(der).ok().and_then(|certificate| facts::key_usage(&certificate.extensions).ok());
    usages.flatten().unwrap_or_default()
}

/// The type of a key and its numbers; `None` where it is none that a policy can ask for.
pub(super) fn numbers(key: &PublicKeyInfo<'_>) -> Option<(KeyType, KeyNumbers)> {
    let bits = key.bits;
    if key.algorithm.is(RSA_ENCRYPTION) {
        let RsaPublicKey { modulus, exponent } = RsaPublicKey::from_der(bits).ok()?;
        let (n, e) = (modulus.as_bytes().to_vec(), exponent.as_bytes().to_vec());
        let key_type = match n.len() {
            256 => KeyType::Rsa2048,
            384 => KeyType::Rsa3072,
            512 => KeyType::Rsa4096,
            _ => return None,
        };
        return Some((key_type, KeyNumbers::Rsa { n, e }));
    }
    if !key.algorithm.is(ID_EC_PUBLIC_KEY) {
        return None;
    }
    let curve = key.algorithm.parameters.filter(|curve| curve.tag == OID)?;
    let (key_type, length) = match ObjectIdentifier::from_bytes(curve.content).ok()? {
        SECP_256_R_1 => (KeyType::P256, 32),
        SECP_384_R_1 => (KeyType::P384, 48),
        SECP_521_R_1 => (KeyType::P521, 66),
        SECP_256_K_1 => (KeyType::P256K, 32),
        _ => return None,
    };
    // An uncompressed point (SEC 1 section 2.3.3), as all our keys are written.
    let point = bits.strip_prefix(&[4]).filter(|point| point.len() == 2 * length)?;
    let (x, y) = point.split_at(length);
    Some((key_type, KeyNumbers::Ec { x: x.to_vec(), y: y.to_vec() }))
}
