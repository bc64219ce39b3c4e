//! The operations of the key view: signing digests, and encrypting short values.

use super::key_pair::Key;
use super::{KeyPair, asn1, defect, raw_rsa};
use crate::domain::policy::KeyType;
use crate::domain::{EncryptionAlgorithm, Error, PublicKey, Result, SignatureAlgorithm};
use asn1::{Element, INTEGER, SEQUENCE};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{self as algorithms, RsaSignatureEncoding, UnparsedPublicKey, VerificationAlgorithm};
use der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

/// Signs a digest of the length of the algorithm. RSA signatures are as long as the modulus, those
/// of EC are r and s, each as long as the field (RFC 7518 section 3.4).
pub fn sign(key: &KeyPair, algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Vec<u8>> {
    let failed = "a key could not sign a digest";
    if algorithm == SignatureAlgorithm::RsNull {
        return raw_rsa::sign(&key.to_pkcs8(), digest);
    }
    let digest = imported(algorithm, digest)?;
    match key.key() {
        Key::Rsa(key) => {
            let mut signature = vec![0; key.public_modulus_len()];
            let encoding = rsa_encoding(algorithm).ok_or_else(Error::internal)?;
            key.sign_digest(encoding, &digest, &mut signature).map_err(defect(failed))?;
            Ok(signature)
        }
        Key::Ec(ec) => {
            let signature = ec.sign_digest(&digest).map_err(defect(failed))?;
            fixed(signature.as_ref(), field_length(key.key_type())).ok_or_else(Error::internal)
        }
    }
}

/// Whether this key made that signature over the digest.
pub fn verify(key: &PublicKey, algorithm: SignatureAlgorithm, digest: &[u8], signature: &[u8]) -> Result<bool> {
    let Some(verification) = verification(algorithm) else {
        return raw_rsa::verify(&key.der, digest, signature);
    };
    let info = SubjectPublicKeyInfoOwned::from_der(&key.der).map_err(defect("a public key could not be read"))?;
    let bits = info.subject_public_key.raw_bytes();
    let digest = imported(algorithm, digest)?;
    Ok(UnparsedPublicKey::new(verification, bits).verify_digest(&digest, signature).is_ok())
}

/// Encrypts; the plain text is short enough for the key (checked by the caller).
pub fn encrypt(key: &PublicKey, algorithm: EncryptionAlgorithm, plain: &[u8]) -> Result<Vec<u8>> {
    let failed = "a text could not be encrypted";
    let public = PublicEncryptingKey::from_der(&key.der).map_err(defect(failed))?;
    let mut ciphertext = vec![0; public.key_size_bytes()];
    let length = match oaep(algorithm) {
        Some(scheme) => OaepPublicEncryptingKey::new(public)
            .and_then(|key| key.encrypt(scheme, plain, &mut ciphertext, None).map(|bytes| bytes.len())),
        None => Pkcs1PublicEncryptingKey::new(public)
            .and_then(|key| key.encrypt(plain, &mut ciphertext).map(|bytes| bytes.len())),
    };
    ciphertext.truncate(length.map_err(defect(failed))?);
    Ok(ciphertext)
}

/// Decrypts; the ciphertext is as long as the modulus (checked by the caller).
///
/// With `RSA1_5` there is always an answer: what has no valid padding gives bytes that follow from
/// key and ciphertext and look like any plain text, so that nobody learns from the answers whether
/// a padding was right (Bleichenbacher's attack). With OAEP all failures are one error.
pub fn decrypt(key: &KeyPair, algorithm: EncryptionAlgorithm, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let pkcs8 = key.to_pkcs8();
    let private = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(defect("a key could not be opened to decrypt"))?;
    let mut plain = Zeroizing::new(vec![0; private.key_size_bytes()]);
    let Some(scheme) = oaep(algorithm) else {
        // Made before it is known whether it is needed: both ways do the same work.
        let instead = synthetic(&pkcs8, ciphertext, plain.len());
        let length = Pkcs1PrivateDecryptingKey::new(private)
            .and_then(|key| key.decrypt(ciphertext, &mut plain).map(|bytes| bytes.len()));
        return Ok(match length {
            Ok(length) => {
                plain.truncate(length);
                plain
            }
            Err(_) => instead,
        });
    };
    let length = OaepPrivateDecryptingKey::new(private)
        .and_then(|key| key.decrypt(scheme, ciphertext, &mut plain, None).map(|bytes| bytes.len()))
        .map_err(|_| {
            Error::field(
                "value",
                "It could not be decrypted: it was encrypted with another key or algorithm, or it is damaged.",
            )
        })?;
    plain.truncate(length);
    Ok(plain)
}

/// Bytes in the place of a plain text: as long as one may be, the same for the same ciphertext.
fn synthetic(pkcs8: &[u8], ciphertext: &[u8], modulus: usize) -> Zeroizing<Vec<u8>> {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, digest::digest(&digest::SHA256, pkcs8).as_ref());
    let part = |label: &str, counter: u16| {
        let mut context = hmac::Context::with_key(&secret);
        context.update(label.as_bytes());
        context.update(&counter.to_be_bytes());
        context.update(ciphertext);
        context.sign()
    };
    let longest = modulus - EncryptionAlgorithm::Rsa15.overhead();
    let wish = part("length", 0);
    let wish = wish.as_ref().iter().take(4).fold(0_usize, |wish, byte| wish << 8 | usize::from(*byte));
    let mut bytes = Zeroizing::new(Vec::with_capacity(modulus + 32));
    for counter in 0..=u16::try_from(modulus / 32).unwrap_or(u16::MAX) {
        bytes.extend_from_slice(part("message", counter).as_ref());
    }
    bytes.truncate(wish % (longest + 1));
    bytes
}

fn imported(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Digest> {
    let hash = match algorithm.digest_length() {
        Some(32) => &digest::SHA256,
        Some(48) => &digest::SHA384,
        _ => &digest::SHA512,
    };
    Digest::import_less_safe(bytes, hash).map_err(defect("a digest has another length than its algorithm"))
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static RsaSignatureEncoding> {
    use SignatureAlgorithm as A;
    Some(match algorithm {
        A::Rs256 => &algorithms::RSA_PKCS1_SHA256,
        A::Rs384 => &algorithms::RSA_PKCS1_SHA384,
        A::Rs512 => &algorithms::RSA_PKCS1_SHA512,
        A::Ps256 => &algorithms::RSA_PSS_SHA256,
        A::Ps384 => &algorithms::RSA_PSS_SHA384,
        A::Ps512 => &algorithms::RSA_PSS_SHA512,
        A::Es256 | A::Es384 | A::Es512 | A::Es256K | A::RsNull => return None,
    })
}

fn verification(algorithm: SignatureAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm as A;
    Some(match algorithm {
        A::Rs256 => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        A::Rs384 => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        A::Rs512 => &algorithms::RSA_PKCS1_2048_8192_SHA512,
        A::Ps256 => &algorithms::RSA_PSS_2048_8192_SHA256,
        A::Ps384 => &algorithms::RSA_PSS_2048_8192_SHA384,
        A::Ps512 => &algorithms::RSA_PSS_2048_8192_SHA512,
        A::Es256 => &algorithms::ECDSA_P256_SHA256_FIXED,
        A::Es384 => &algorithms::ECDSA_P384_SHA384_FIXED,
        A::Es512 => &algorithms::ECDSA_P521_SHA512_FIXED,
        A::Es256K => &algorithms::ECDSA_P256K1_SHA256_FIXED,
        A::RsNull => return None,
    })
}

fn oaep(algorithm: EncryptionAlgorithm) -> Option<&'static aws_lc_rs::rsa::OaepAlgorithm> {
    match algorithm {
        EncryptionAlgorithm::Rsa15 => None,
        EncryptionAlgorithm::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
    }
}

/// How long a coordinate is, in bytes.
fn field_length(key_type: KeyType) -> usize {
    usize::try_from(key_type.bits().div_ceil(8)).unwrap_or_default()
}

/// r and s out of the DER form, each filled up to the length of the field.
fn fixed(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let numbers = Element::parse(der)?.children_of(SEQUENCE)?;
    let [r, s] = numbers[..] else { return None };
    let mut out = vec![0; 2 * length];
    for (number, place) in [r, s].iter().zip(out.chunks_exact_mut(length)) {
        let digits = number.content.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &number.content[at..]);
        let start = length.checked_sub(digits.len()).filter(|_| number.tag == INTEGER)?;
        place[start..].copy_from_slice(digits);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyNumbers;
    use crate::domain::policy::KeyType;

    fn public(key: &KeyPair) -> PublicKey {
        let numbers = KeyNumbers::Rsa { n: Vec::new(), e: Vec::new() };
        PublicKey { key_type: key.key_type(), numbers, der: key.public_key_der() }
    }

    #[test]
    fn every_algorithm_signs_and_verifies_with_its_keys() {
        let types = [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::P256, KeyType::P384, KeyType::P521, KeyType::P256K];
        for key_type in types {
            let key = KeyPair::generate(key_type).unwrap();
            for algorithm in SignatureAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(key_type)) {
                let digest = vec![7; algorithm.digest_length().unwrap_or(20)];
                let mut signature = sign(&key, algorithm, &digest).unwrap();
                let expected =
                    if key_type.is_rsa() { key_type.bits() as usize / 8 } else { 2 * field_length(key_type) };
                assert_eq!(signature.len(), expected, "{algorithm:?}");
                assert!(verify(&public(&key), algorithm, &digest, &signature).unwrap(), "{algorithm:?}");
                signature[5] ^= 1;
                assert!(!verify(&public(&key), algorithm, &digest, &signature).unwrap(), "{algorithm:?}");
                assert!(!verify(&public(&key), algorithm, &digest, b"short").unwrap());
                assert!(algorithm.digest_length().is_none() || sign(&key, algorithm, &digest[1..]).is_err());
            }
        }
    }

    #[test]
    fn every_scheme_decrypts_what_it_encrypted_up_to_its_longest() {
        let key = KeyPair::generate(KeyType::Rsa2048).unwrap();
        for algorithm in EncryptionAlgorithm::ALL {
            for length in [0, 1, 256 - algorithm.overhead()] {
                let plain = vec![9; length];
                let ciphertext = encrypt(&public(&key), algorithm, &plain).unwrap();
                assert_eq!(decrypt(&key, algorithm, &ciphertext).unwrap().as_slice(), plain, "{algorithm:?}");
            }
        }
    }

    #[test]
    fn damage_is_one_error_with_oaep_and_no_error_with_the_old_scheme() {
        let (key, other) = (KeyPair::generate(KeyType::Rsa2048).unwrap(), KeyPair::generate(KeyType::Rsa2048).unwrap());
        let messages: std::collections::HashSet<String> = (0..20)
            .map(|at| {
                let mut damaged = encrypt(&public(&key), EncryptionAlgorithm::RsaOaep, b"secret").unwrap();
                damaged[at * 10 + 10] ^= 1;
                decrypt(&key, EncryptionAlgorithm::RsaOaep, &damaged).unwrap_err().message
            })
            .collect();
        assert_eq!(messages.len(), 1, "{messages:?}");
        let mut lengths = std::collections::HashSet::new();
        for _ in 0..20 {
            let foreign = encrypt(&public(&other), EncryptionAlgorithm::Rsa15, b"secret").unwrap();
            let Ok(first) = decrypt(&key, EncryptionAlgorithm::Rsa15, &foreign) else {
                panic!("the response revealed that the padding was wrong")
            };
            assert_ne!(first.as_slice(), b"secret");
            assert_eq!(decrypt(&key, EncryptionAlgorithm::Rsa15, &foreign).unwrap(), first, "a repeat tells nothing");
            assert!(first.len() <= 245);
            lengths.insert(first.len());
        }
        assert!(lengths.len() > 5, "lengths look like those of any text: {lengths:?}");
    }

    #[test]
    fn the_numbers_of_a_signature_are_filled_up() {
        assert_eq!(fixed(&[0x30, 6, 2, 1, 5, 2, 1, 0], 3), Some(vec![0, 0, 5, 0, 0, 0]));
        assert_eq!(fixed(&[0x30, 8, 2, 3, 0, 0xff, 1, 2, 1, 7], 2), Some(vec![0xff, 1, 0, 7]));
        assert_eq!(fixed(&[0x30, 6, 2, 1, 5, 4, 1, 0], 3), None);
    }
}
