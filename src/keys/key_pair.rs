//! A private key in memory: generated or parsed by aws-lc, which zeroes it when it is dropped.

use super::asn1::{Element, SEQUENCE, context};
use super::{defect, rewritten_key, unusable_key};
use crate::domain::policy::KeyType;
use crate::domain::{Error, Result};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256,
};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1,
    SECP_384_R_1, SECP_521_R_1, SHA_256_WITH_RSA_ENCRYPTION,
};
use der::asn1::{Any, AnyRef, BitStringRef};
use der::{Decode, Encode, SliceReader, Tag, Tagged};
use std::fmt;
use x509_cert::spki::{AlgorithmIdentifier, AlgorithmIdentifierOwned, AlgorithmIdentifierRef, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

/// A private key of one of the types that a policy can ask for.
pub struct KeyPair {
    key_type: KeyType,
    key: Key,
    public_key: Vec<u8>,
}

/// secp256k1 (SEC 2 section 2.4.1).
pub(crate) const SECP_256_K_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");

pub(crate) enum Key {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.key_type)
    }
}

impl KeyPair {
    /// A new key. Takes the time of a core: about 0.02 ms for P-256, 0.1 s for RSA-2048, 1 s for
    /// RSA-4096.
    pub fn generate(key_type: KeyType) -> Result<Self> {
        let key = match plan(key_type) {
            Plan::Rsa(size) => rsa::KeyPair::generate(size).map(Key::Rsa),
            Plan::Ec(algorithm) => EcdsaKeyPair::generate(algorithm).map(Key::Ec),
        };
        Self::new(key_type, key.map_err(defect("a key could not be generated"))?)
    }

    /// From PKCS#8 (RFC 5958), without a password. The parts of the key are checked against each
    /// other. What is not in DER is written so first. The error is the caller's: neither RSA of 2048, 3072 or 4096 bits
    /// nor EC on a known curve, or not a key at all.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        or_rewritten(der, Self::from_pkcs8_der, rewritten_key::pkcs8)
    }

    fn from_pkcs8_der(der: &[u8]) -> Result<Self> {
        let refused = || unusable(&unusable_key::pkcs8(der));
        match algorithm_of(der).ok_or_else(refused)? {
            (RSA_ENCRYPTION, _) => Self::rsa(rsa::KeyPair::from_pkcs8(der).map_err(|_| refused())?),
            (ID_EC_PUBLIC_KEY, Some(curve)) => {
                let (key_type, algorithm) = by_curve(curve).ok_or_else(refused)?;
                Self::new(key_type, Key::Ec(EcdsaKeyPair::from_pkcs8(algorithm, der).map_err(|_| refused())?))
            }
            _ => Err(refused()),
        }
    }

    /// From an RSAPrivateKey (PKCS#1, RFC 8017 appendix A.1.2), as [`KeyPair::from_pkcs8`].
    pub fn from_pkcs1(der: &[u8]) -> Result<Self> {
        let read =
            |der: &[u8]| Self::rsa(rsa::KeyPair::from_der(der).map_err(|_| unusable(&unusable_key::pkcs1(der)))?);
        or_rewritten(der, read, rewritten_key::key)
    }

    /// From an ECPrivateKey that names its curve (SEC 1, RFC 5915), as [`KeyPair::from_pkcs8`].
    pub fn from_sec1(der: &[u8]) -> Result<Self> {
        or_rewritten(der, Self::from_sec1_der, rewritten_key::key)
    }

    fn from_sec1_der(der: &[u8]) -> Result<Self> {
        let refused = || unusable(&unusable_key::sec1(der));
        let (key_type, algorithm) = curve_of(der).and_then(by_curve).ok_or_else(refused)?;
        let key = EcdsaKeyPair::from_private_key_der(algorithm, der).map_err(|_| refused())?;
        Self::new(key_type, Key::Ec(key))
    }

    fn rsa(key: rsa::KeyPair) -> Result<Self> {
        let key_type = match key.public_modulus_len() {
            256 => KeyType::Rsa2048,
            384 => KeyType::Rsa3072,
            512 => KeyType::Rsa4096,
            bytes => return Err(unusable(&format!(" It is an RSA key of {} bits.", bytes * 8))),
        };
        Self::new(key_type, Key::Rsa(key))
    }

    /// PKCS#8 (RFC 5958) in DER, without a password; zeroed when it is dropped.
    #[expect(clippy::expect_used, reason = "writing out a checked key fails only where memory ran out")]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        match &self.key {
            Key::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().expect("an RSA key has a PKCS#8 form");
                Zeroizing::new(der.as_ref().to_vec())
            }
            Key::Ec(key) => Zeroizing::new(key.to_pkcs8v1().expect("an EC key has a PKCS#8 form").as_ref().to_vec()),
        }
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
    pub fn public_key_der(&self) -> Vec<u8> {
        self.public_key.clone()
    }

    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// What [`KeyPair::sign`] signs with: sha256WithRSAEncryption, or ECDSA with the SHA-2 of the
    /// size of the curve (RFC 4055 section 5, RFC 5758 section 3.2).
    pub fn algorithm(&self) -> AlgorithmIdentifierOwned {
        signature_algorithm(self.key_type)
    }

    /// Hashes and signs; PKCS#1 v1.5 for RSA, the DER form of X.509 for ECDSA.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Key::Ec(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(defect("a key could not sign"))
    }

    /// The key itself, for the operations of the key view.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn new(key_type: KeyType, key: Key) -> Result<Self> {
        let failed = "a public key could not be encoded";
        let public_key = match &key {
            Key::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(defect(failed))?;
                der.as_ref().to_vec()
            }
            // The point is there in bytes. aws-lc would compute them once more, for a tenth of the time of a new key.
            Key::Ec(key) => {
                let point = BitStringRef::from_bytes(key.public_key().as_ref()).map_err(defect(failed))?;
                let curve = curve(key_type).ok_or_else(Error::internal)?;
                let algorithm = AlgorithmIdentifier { oid: ID_EC_PUBLIC_KEY, parameters: Some(curve) };
                SubjectPublicKeyInfo { algorithm, subject_public_key: point }.to_der().map_err(defect(failed))?
            }
        };
        Ok(Self { key_type, key, public_key })
    }
}

/// A key as it is, or else as it is when it was written anew.
fn or_rewritten(
    der: &[u8],
    read: impl Fn(&[u8]) -> Result<KeyPair>,
    rewrite: impl Fn(&[u8]) -> Option<Zeroizing<Vec<u8>>>,
) -> Result<KeyPair> {
    read(der).or_else(|error| match rewrite(der).filter(|rewritten| rewritten.as_slice() != der) {
        Some(rewritten) => read(&rewritten),
        None => Err(error),
    })
}

/// What a key of a type signs with.
pub(crate) fn signature_algorithm(key_type: KeyType) -> AlgorithmIdentifierOwned {
    let (oid, parameters) = match key_type {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => (SHA_256_WITH_RSA_ENCRYPTION, Some(Any::null())),
        KeyType::P256 | KeyType::P256K => (ECDSA_WITH_SHA_256, None),
        KeyType::P384 => (ECDSA_WITH_SHA_384, None),
        KeyType::P521 => (ECDSA_WITH_SHA_512, None),
    };
    AlgorithmIdentifierOwned { oid, parameters }
}

/// The algorithm that a PKCS#8 key names, and its curve: aws-lc must be told which it is.
fn algorithm_of(der: &[u8]) -> Option<(ObjectIdentifier, Option<ObjectIdentifier>)> {
    let outer = AnyRef::from_der(der).ok().filter(|any| any.tag() == Tag::Sequence)?;
    let mut inside = SliceReader::new(outer.value()).ok()?;
    u8::decode(&mut inside).ok()?;
    let AlgorithmIdentifierRef { oid, parameters } = AlgorithmIdentifierRef::decode(&mut inside).ok()?;
    Some((oid, parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok())))
}

/// The curve that an ECPrivateKey names.
fn curve_of(der: &[u8]) -> Option<ObjectIdentifier> {
    let parts = Element::parse(der)?.children_of(SEQUENCE)?;
    let parameters = parts.iter().find(|part| part.tag == context(0))?.explicit(0)?;
    ObjectIdentifier::from_der(parameters.whole).ok()
}

fn by_curve(curve: ObjectIdentifier) -> Option<(KeyType, &'static EcdsaSigningAlgorithm)> {
    Some(match curve {
        SECP_256_R_1 => (KeyType::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        SECP_384_R_1 => (KeyType::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
        SECP_521_R_1 => (KeyType::P521, &ECDSA_P521_SHA512_ASN1_SIGNING),
        SECP_256_K_1 => (KeyType::P256K, &ECDSA_P256K1_SHA256_ASN1_SIGNING),
        _ => return None,
    })
}

fn curve(key_type: KeyType) -> Option<ObjectIdentifier> {
    match key_type {
        KeyType::P256 => Some(SECP_256_R_1),
        KeyType::P384 => Some(SECP_384_R_1),
        KeyType::P521 => Some(SECP_521_R_1),
        KeyType::P256K => Some(SECP_256_K_1),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => None,
    }
}

/// `what` is empty, or a sentence about the kind of key.
fn unusable(what: &str) -> Error {
    Error::bad_parameter(format!(
        "The private key cannot be used.{what} It must be a valid key: RSA of 2048, 3072 or 4096 bits, or EC on P-256, P-384, P-521 or P-256K, in PKCS#8, PKCS#1 or SEC 1.",
    ))
}

enum Plan {
    Rsa(KeySize),
    Ec(&'static EcdsaSigningAlgorithm),
}

fn plan(key_type: KeyType) -> Plan {
    match key_type {
        KeyType::Rsa2048 => Plan::Rsa(KeySize::Rsa2048),
        KeyType::Rsa3072 => Plan::Rsa(KeySize::Rsa3072),
        KeyType::Rsa4096 => Plan::Rsa(KeySize::Rsa4096),
        KeyType::P256 => Plan::Ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyType::P384 => Plan::Ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyType::P521 => Plan::Ec(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyType::P256K => Plan::Ec(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{self, UnparsedPublicKey};
    use x509_cert::spki::SubjectPublicKeyInfoOwned;

    const ALL: [KeyType; 7] = [
        KeyType::Rsa2048,
        KeyType::Rsa3072,
        KeyType::Rsa4096,
        KeyType::P256,
        KeyType::P384,
        KeyType::P521,
        KeyType::P256K,
    ];

    fn verifies(key: &KeyPair, message: &[u8], signed: &[u8]) -> bool {
        let public = SubjectPublicKeyInfoOwned::from_der(&key.public_key_der()).unwrap();
        let bytes = public.subject_public_key.raw_bytes();
        let algorithm: &dyn signature::VerificationAlgorithm = match key.key_type() {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => &signature::RSA_PKCS1_2048_8192_SHA256,
            KeyType::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            KeyType::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            KeyType::P521 => &signature::ECDSA_P521_SHA512_ASN1,
            KeyType::P256K => &signature::ECDSA_P256K1_SHA256_ASN1,
        };
        UnparsedPublicKey::new(algorithm, bytes).verify(message, signed).is_ok()
    }

    #[test]
    fn every_type_signs_and_survives_pkcs8() {
        for key_type in ALL {
            let key = KeyPair::generate(key_type).unwrap();
            assert_eq!(key.key_type(), key_type);
            let again = KeyPair::from_pkcs8(&key.to_pkcs8()).unwrap();
            assert_eq!(again.key_type(), key_type);
            assert_eq!(again.public_key_der(), key.public_key_der());
            let signed = again.sign(b"message").unwrap();
            assert!(verifies(&key, b"message", &signed), "{key_type:?}");
            assert!(!verifies(&key, b"massage", &signed), "{key_type:?}");
        }
    }

    #[test]
    fn a_public_key_is_encoded_as_aws_lc_has_it() {
        for key_type in ALL {
            let key = KeyPair::generate(key_type).unwrap();
            let der: PublicKeyX509Der<'_> = match key.key() {
                Key::Rsa(key) => key.public_key().as_der().unwrap(),
                Key::Ec(key) => key.public_key().as_der().unwrap(),
            };
            assert_eq!(key.public_key_der(), der.as_ref(), "{key_type:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut broken = KeyPair::generate(KeyType::P256).unwrap().to_pkcs8();
        broken.truncate(40);
        for bytes in [&b""[..], b"-----BEGIN PRIVATE KEY-----", &broken] {
            assert!(KeyPair::from_pkcs8(bytes).is_err());
        }
    }

    #[test]
    fn keys_of_openssl_are_read_if_a_policy_can_ask_for_their_type() {
        let bits_1024 = key_of_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
        let brainpool = key_of_openssl(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"]);
        let ed25519 = key_of_openssl(&["-algorithm", "ED25519"]);
        for der in [bits_1024, brainpool, ed25519] {
            let error = KeyPair::from_pkcs8(&der).expect_err("not of a known type");
            assert!(error.message.contains("RSA of 2048, 3072 or 4096 bits"), "{error}");
        }
        for (key_type, curve) in [
            (KeyType::P256, "P-256"),
            (KeyType::P384, "P-384"),
            (KeyType::P521, "P-521"),
            (KeyType::P256K, "secp256k1"),
        ] {
            let der = key_of_openssl(&["-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
            assert_eq!(KeyPair::from_pkcs8(&der).unwrap().key_type(), key_type);
        }
        let der = key_of_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
        assert_eq!(KeyPair::from_pkcs8(&der).unwrap().key_type(), KeyType::Rsa2048);
    }

    fn key_of_openssl(arguments: &[&str]) -> Vec<u8> {
        let output = std::process::Command::new("openssl").arg("genpkey").args(arguments).output();
        let output = output.expect("openssl is installed");
        let pem = String::from_utf8(output.stdout).unwrap();
        let (label, der) = der::pem::decode_vec(pem.as_bytes()).expect("openssl makes a key");
        assert_eq!(label, "PRIVATE KEY");
        der
    }

    #[test]
    fn debug_shows_the_type_alone() {
        let key = KeyPair::generate(KeyType::P384).unwrap();
        assert_eq!(format!("{key:?}"), "KeyPair(P384)");
    }
}
