//! RSA with PKCS#1 v1.5 padding of raw bytes, without a DigestInfo (`RSNULL` of Key Vault). The safe interface of the
//! crypto library always adds one, so this makes two calls of its C interface: the only unsafe code of the program.

#![expect(unsafe_code, reason = "aws-lc-rs has no signature without a DigestInfo; aws-lc, which it is made of, has")]

use super::defect;
use crate::domain::{Error, Result};
use aws_lc_sys::{
    CBS, CBS_init, EVP_PKEY, EVP_PKEY_free, EVP_PKEY_get0_RSA, EVP_parse_private_key, EVP_parse_public_key,
    RSA_PKCS1_PADDING, RSA_sign_raw, RSA_size, RSA_verify_raw,
};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// What the padding takes of the modulus, in bytes (RFC 8017 section 9.2).
pub(crate) const OVERHEAD: usize = 11;

/// A key that is freed, and its secret parts wiped, when it is dropped.
struct Key(NonNull<EVP_PKEY>);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: it came from a parser of the library, is owned, and is freed once.
        unsafe { EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl Key {
    /// From PKCS#8 (RFC 5958), or from SubjectPublicKeyInfo.
    fn parse(der: &[u8], private: bool) -> Option<Self> {
        let mut bytes = MaybeUninit::<CBS>::uninit();
        // SAFETY: `CBS_init` fills the struct, which borrows `der` for this block; the parser reads no more than its
        // length and gives a key of its own, or null.
        let key = unsafe {
            CBS_init(bytes.as_mut_ptr(), der.as_ptr(), der.len());
            if private { EVP_parse_private_key(bytes.as_mut_ptr()) } else { EVP_parse_public_key(bytes.as_mut_ptr()) }
        };
        NonNull::new(key).map(Self)
    }

    /// What one of the two operations writes into a buffer as long as the modulus.
    fn operate(&self, input: &[u8], operation: Operation) -> Option<Vec<u8>> {
        // SAFETY: the key lives as long as `self`; the RSA key in it is borrowed, or null where it is another kind.
        let rsa = NonNull::new(unsafe { EVP_PKEY_get0_RSA(self.0.as_ptr()) })?;
        // SAFETY: `rsa` is an RSA key.
        let size = usize::try_from(unsafe { RSA_size(rsa.as_ptr()) }).ok()?;
        let (mut output, mut length) = (vec![0; size], 0_usize);
        // SAFETY: each pointer comes with the length of what it points to, and none is kept.
        let done = unsafe {
            operation(
                rsa.as_ptr(),
                &raw mut length,
                output.as_mut_ptr(),
                output.len(),
                input.as_ptr(),
                input.len(),
                RSA_PKCS1_PADDING,
            )
        };
        output.truncate(length);
        (done == 1).then_some(output)
    }
}

/// `RSA_sign_raw` and `RSA_verify_raw`: key, length of the output, output and its room, input and its length, padding.
type Operation = unsafe extern "C" fn(
    *mut aws_lc_sys::RSA,
    *mut usize,
    *mut u8,
    usize,
    *const u8,
    usize,
    std::os::raw::c_int,
) -> std::os::raw::c_int;

/// Signs up to the length of the modulus less [`OVERHEAD`] bytes; the caller has checked that.
pub(crate) fn sign(pkcs8: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
    let key =
        Key::parse(pkcs8, true).ok_or_else(|| defect("a key could not be opened to sign")("not a private key"))?;
    key.operate(bytes, RSA_sign_raw).ok_or_else(|| defect("a key could not sign bytes")("refused by the library"))
}

/// Whether the key of this SubjectPublicKeyInfo signed these bytes.
pub(crate) fn verify(public: &[u8], bytes: &[u8], signature: &[u8]) -> Result<bool> {
    let key = Key::parse(public, false).ok_or_else(Error::internal)?;
    Ok(key.operate(signature, RSA_verify_raw).is_some_and(|signed| signed == bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::keys::KeyPair;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use der::Decode;
    use x509_cert::spki::SubjectPublicKeyInfoOwned;

    /// DigestInfo of SHA-256 without the digest (RFC 8017 section 9.2, note 1).
    const SHA_256: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

    #[test]
    fn with_the_name_of_a_hash_it_is_the_signature_of_that_hash() {
        let key = KeyPair::generate(KeyType::Rsa2048).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"message");
        let signature = sign(&key.to_pkcs8(), &[&SHA_256, digest.as_ref()].concat()).unwrap();
        let info = SubjectPublicKeyInfoOwned::from_der(&key.public_key_der()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, info.subject_public_key.raw_bytes());
        assert!(public.verify(b"message", &signature).is_ok());
    }

    #[test]
    fn bytes_of_every_length_that_fits_are_signed_and_found_again() {
        let key = KeyPair::generate(KeyType::Rsa2048).unwrap();
        let public = key.public_key_der();
        for length in [0, 1, 20, 64, 256 - OVERHEAD] {
            let bytes = vec![7; length];
            let signature = sign(&key.to_pkcs8(), &bytes).unwrap();
            assert_eq!(signature.len(), 256);
            assert!(verify(&public, &bytes, &signature).unwrap());
            assert!(!verify(&public, &[&bytes[..], &[1]].concat(), &signature).unwrap());
            assert!(!verify(&public, &bytes, &signature[1..]).unwrap());
        }
        assert!(sign(&key.to_pkcs8(), &[7; 256 - OVERHEAD + 1]).is_err());
    }

    #[test]
    fn another_kind_of_key_signs_nothing() {
        let key = KeyPair::generate(KeyType::P256).unwrap();
        assert!(sign(&key.to_pkcs8(), b"x").is_err());
        assert!(!verify(&key.public_key_der(), b"x", b"y").unwrap());
        assert!(sign(b"nonsense", b"x").is_err() && verify(b"nonsense", b"x", b"y").is_err());
    }
}
