//! Whether one certificate signed another: RSA (PKCS #1 v1.5 and PSS), ECDSA and Ed25519.

use super::asn1::{Element, SEQUENCE};
use super::key_pair::SECP_256_K_1;
use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::db::{rfc5912, rfc8410};
use der::{Encode, asn1::ObjectIdentifier};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Why a signature does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// The key did not make it.
    Wrong,
    /// The algorithm, or the key it would need, is not known here.
    Unsupported(ObjectIdentifier),
}

/// Checks `signature` over `message` by the key of an issuer (RFC 5280 section 4.1.1.2). SHA-1
/// with RSA is still read: old roots sign with it, and a merge is no decision of trust.
pub(crate) fn verify(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Problem> {
    let chosen = choose(key, algorithm).ok_or(Problem::Unsupported(algorithm.oid))?;
    UnparsedPublicKey::new(chosen, key.subject_public_key.raw_bytes())
        .verify(message, signature)
        .map_err(|_| Problem::Wrong)
}

fn choose(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
) -> Option<&'static dyn VerificationAlgorithm> {
    let family = key.algorithm.oid;
    if family == rfc5912::RSA_ENCRYPTION || family == rfc5912::ID_RSASSA_PSS {
        rsa(algorithm)
    } else if family == rfc5912::ID_EC_PUBLIC_KEY {
        ecdsa(key.algorithm.parameters.as_ref()?.decode_as().ok()?, algorithm.oid)
    } else if family == rfc8410::ID_ED_25519 && algorithm.oid == rfc8410::ID_ED_25519 {
        Some(&algorithms::ED25519)
    } else {
        None
    }
}

fn rsa(algorithm: &AlgorithmIdentifierOwned) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm.oid {
        rfc5912::SHA_1_WITH_RSA_ENCRYPTION => &algorithms::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => &algorithms::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => &algorithms::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        rfc5912::ID_RSASSA_PSS => match pss_hash(algorithm)? {
            rfc5912::ID_SHA_256 => &algorithms::RSA_PSS_2048_8192_SHA256,
            rfc5912::ID_SHA_384 => &algorithms::RSA_PSS_2048_8192_SHA384,
            rfc5912::ID_SHA_512 => &algorithms::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
        _ => return None,
    })
}

/// The hash of RSASSA-PSS-params (RFC 4055 section 3.1); its default, SHA-1, is not accepted.
fn pss_hash(algorithm: &AlgorithmIdentifierOwned) -> Option<ObjectIdentifier> {
    let parameters = algorithm.parameters.as_ref()?.to_der().ok()?;
    let parameters = Element::parse(&parameters)?.children_of(SEQUENCE)?;
    let hash = parameters.first()?.explicit(0)?.children_of(SEQUENCE)?;
    ObjectIdentifier::from_bytes(hash.first()?.content).ok()
}

fn ecdsa(curve: ObjectIdentifier, algorithm: ObjectIdentifier) -> Option<&'static dyn VerificationAlgorithm> {
    use rfc5912::{
        ECDSA_WITH_SHA_256 as SHA_256, ECDSA_WITH_SHA_384 as SHA_384, ECDSA_WITH_SHA_512 as SHA_512,
        SECP_256_R_1 as P256, SECP_384_R_1 as P384, SECP_521_R_1 as P521,
    };
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
