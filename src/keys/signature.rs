//! Whether one certificate signed another: RSA (PKCS #1 v1.5 and PSS), ECDSA and Ed25519. The result has three values,
//! since a signature that cannot be checked here is not necessarily wrong.

use super::algorithm_name;
use super::asn1::{Element, INTEGER, OID, SEQUENCE};
use super::key_pair::SECP_256_K_1;
use super::x509::{Algorithm, PublicKeyInfo};
use aws_lc_rs::signature::{self as algorithms, RsaParameters, RsaPssSaltLength, VerificationAlgorithm};
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::ObjectIdentifier;

/// What became of a signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The key made it.
    Right,
    /// The key did not make it.
    Wrong,
    /// The algorithm, or the key that it would need, is not supported here; this is its name.
    Unchecked(String),
}

/// Checks `signature` over `message` by the key of an issuer (RFC 5280 section 4.1.1.2). SHA-1
/// with RSA is still read: old roots sign with it, and a merge is no decision of trust.
pub(crate) fn verify(key: &PublicKeyInfo<'_>, algorithm: &Algorithm<'_>, message: &[u8], signature: &[u8]) -> Verdict {
    let verified = if key.algorithm.is(rfc5912::RSA_ENCRYPTION) || key.algorithm.is(rfc5912::ID_RSASSA_PSS) {
        rsa(algorithm).filter(|chosen| has_size_for(key.bits, chosen)).map(|chosen| {
            let chosen: &dyn VerificationAlgorithm = &chosen;
            chosen.verify_sig(key.bits, message, signature)
        })
    } else {
        other(key, algorithm).map(|chosen| chosen.verify_sig(key.bits, message, signature))
    };
    match verified {
        Some(Ok(())) => Verdict::Right,
        Some(Err(_)) => Verdict::Wrong,
        None => Verdict::Unchecked(format!(
            "{} with a key of the kind {}",
            algorithm_name::of_signature(algorithm),
            algorithm_name::of_key(key)
        )),
    }
}

fn has_size_for(key: &[u8], chosen: &RsaParameters) -> bool {
    let range = chosen.min_modulus_len()..=chosen.max_modulus_len();
    RsaParameters::public_modulus_len(key).is_ok_and(|bits| range.contains(&bits))
}

fn rsa(algorithm: &Algorithm<'_>) -> Option<RsaParameters> {
    Some(match ObjectIdentifier::from_bytes(algorithm.oid).ok()? {
        rfc5912::SHA_1_WITH_RSA_ENCRYPTION => algorithms::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => algorithms::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => algorithms::RSA_PKCS1_2048_8192_SHA384,
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => algorithms::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        rfc5912::ID_RSASSA_PSS => {
            let Pss { hash, mask_hash, salt } = Pss::read(algorithm.parameters?)?;
            // aws-lc masks with the hash of the message.
            let known = match hash {
                _ if hash != mask_hash => return None,
                rfc5912::ID_SHA_256 => algorithms::RSA_PSS_2048_8192_SHA256,
                rfc5912::ID_SHA_384 => algorithms::RSA_PSS_2048_8192_SHA384,
                rfc5912::ID_SHA_512 => algorithms::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            };
            known.with_pss_salt_length(RsaPssSaltLength::Custom(salt))
        }
        _ => return None,
    })
}

/// RSASSA-PSS-params (RFC 4055 section 3.1).
pub(super) struct Pss {
    pub(super) hash: ObjectIdentifier,
    pub(super) mask_hash: ObjectIdentifier,
    /// In bytes.
    salt: u16,
}

impl Pss {
    pub(super) fn read(parameters: Element<'_>) -> Option<Self> {
        let mut pss = Self { hash: rfc5912::ID_SHA_1, mask_hash: rfc5912::ID_SHA_1, salt: 20 };
        for part in parameters.children_of(SEQUENCE)? {
            let value = Element::parse(part.content)?;
            match part.tag & 0x1f {
                0 => pss.hash = oid(value)?,
                1 => {
                    let [_, hash] = value.children_of(SEQUENCE)?[..] else { return None };
                    pss.mask_hash = oid(hash)?;
                }
                2 if value.tag == INTEGER => pss.salt = u16::try_from(value.unsigned()?).ok()?,
                3 if value.unsigned() == Some(1) => {}
                _ => return None,
            }
        }
        Some(pss)
    }
}

fn oid(algorithm: Element<'_>) -> Option<ObjectIdentifier> {
    let oid = *algorithm.children_of(SEQUENCE)?.first()?;
    ObjectIdentifier::from_bytes(oid.content).ok().filter(|_| oid.tag == OID)
}

fn other(key: &PublicKeyInfo<'_>, algorithm: &Algorithm<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    if key.algorithm.is(rfc5912::ID_EC_PUBLIC_KEY) {
        let curve = key.algorithm.parameters.filter(|curve| curve.tag == OID)?;
        let curve = ObjectIdentifier::from_bytes(curve.content).ok()?;
        return ecdsa(curve, ObjectIdentifier::from_bytes(algorithm.oid).ok()?, key.bits);
    }
    let is_ed25519 = key.algorithm.is(rfc8410::ID_ED_25519) && algorithm.is(rfc8410::ID_ED_25519);
    (is_ed25519 && key.bits.len() == 32).then_some(&algorithms::ED25519)
}

fn ecdsa(
    curve: ObjectIdentifier,
    algorithm: ObjectIdentifier,
    point: &[u8],
) -> Option<&'static dyn VerificationAlgorithm> {
    use rfc5912::{
        ECDSA_WITH_SHA_256 as SHA_256, ECDSA_WITH_SHA_384 as SHA_384, ECDSA_WITH_SHA_512 as SHA_512,
        SECP_256_R_1 as P256, SECP_384_R_1 as P384, SECP_521_R_1 as P521,
    };
    let size = match curve {
        P256 | SECP_256_K_1 => 32,
        P384 => 48,
        P521 => 66,
        _ => return None,
    };
    // Compressed points (SEC 1 section 2.3.3) are left to others.
    if point.first() != Some(&4) || point.len() != 1 + 2 * size {
        return None;
    }
    Some(match (curve, algorithm) {
        (P256, SHA_256) => &algorithms::ECDSA_P256_SHA256_ASN1,
        (P256, SHA_384) => &algorithms::ECDSA_P256_SHA384_ASN1,
        (P256, SHA_512) => &algorithms::ECDSA_P256_SHA512_ASN1,
        (P384, SHA_256) => &algorithms::ECDSA_P384_SHA256_ASN1,
        (P384, SHA_384) => &algorithms::ECDSA_P384_SHA384_ASN1,
        (P384, SHA_512) => &algorithms::ECDSA_P384_SHA512_ASN1,
        (P521, SHA_256) => &algorithms::ECDSA_P521_SHA256_ASN1,
        (P521, SHA_384) => &algorithms::ECDSA_P521_SHA384_ASN1,
        (P521, SHA_512) => &algorithms::ECDSA_P521_SHA512_ASN1,
        (SECP_256_K_1, SHA_256) => &algorithms::ECDSA_P256K1_SHA256_ASN1,
        _ => return None,
    })
}
