//! The key that signs checkpoints of the audit ledger: ECDSA on P-256 with SHA-256 (FIPS 186-5), sealed in the store.

use super::asn1::Element;
use super::defect::defect;
use super::digest::fingerprint;
use super::key_pair::KeyPair;
use super::seal::{SealContext, Sealer};
use super::x509::PublicKeyInfo;
use crate::domain::policy::KeyType;
use crate::domain::text::hex;
use crate::domain::{Blob, Result};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, VerificationAlgorithm};
use std::fmt;

/// A key that signs checkpoints.
pub struct AuditKey {
    id: String,
    pair: KeyPair,
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AuditKey {
    /// A new key.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeyType::P256)?;
        Ok(Self { id: audit_key_id(&pair.public_key_der()), pair })
    }

    /// [`audit_key_id`] of its public key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
    pub fn public_key(&self) -> Vec<u8> {
        self.pair.public_key_der()
    }

    /// Its PKCS#8, sealed for its place.
    pub fn seal(&self, sealer: &Sealer) -> Result<Blob> {
        Ok(sealer.seal(&self.pair.to_pkcs8(), &SealContext::audit_key(&self.id))?.into())
    }

    /// The key that was sealed for the place of this id.
    ///
    /// # Errors
    /// Where the master key is not there, or what was sealed is another key.
    pub fn open(sealer: &Sealer, id: &str, sealed: &Blob) -> Result<Self> {
        let pkcs8 = sealer.open(&sealed.0, &SealContext::audit_key(id))?;
        let pair = KeyPair::from_pkcs8(&pkcs8).map_err(defect("the sealed key of the audit ledger is not a key"))?;
        Ok(Self { id: audit_key_id(&pair.public_key_der()), pair })
    }

    /// The signature in the DER form of X.509 (RFC 3279 section 2.2.3).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.pair.sign(message)
    }
}

/// The first 16 hex digits of SHA-256 of a SubjectPublicKeyInfo (DER).
pub fn audit_key_id(public_key: &[u8]) -> String {
    hex(&fingerprint(public_key)[..8])
}

/// Whether the key with this SubjectPublicKeyInfo (DER) made the signature.
pub fn verify_audit_signature(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = Element::parse(public_key).and_then(PublicKeyInfo::read);
    key.is_some_and(|key| ECDSA_P256_SHA256_ASN1.verify_sig(key.bits, message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterKeys;

    #[test]
    fn what_is_sealed_opens_in_its_place_and_its_signatures_verify() {
        let sealer = Sealer::new(MasterKeys::random());
        let key = AuditKey::generate().unwrap();
        let sealed = key.seal(&sealer).unwrap();
        let opened = AuditKey::open(&sealer, key.id(), &sealed).unwrap();
        assert_eq!(opened.id(), key.id());
        assert!(AuditKey::open(&sealer, "0123456789abcdef", &sealed).is_err());
        let signature = opened.sign(b"message").unwrap();
        assert!(verify_audit_signature(&key.public_key(), b"message", &signature));
        assert!(!verify_audit_signature(&key.public_key(), b"massage", &signature));
        let other = AuditKey::generate().unwrap();
        assert!(!verify_audit_signature(&other.public_key(), b"message", &signature));
        assert!(!verify_audit_signature(b"no key", b"message", &signature));
    }
}
