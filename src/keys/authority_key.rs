//! The key of a certificate authority, as far as signing needs it: the one place where a key in memory and one in
//! hardware differ.

use super::KeyPair;
use crate::domain::Result;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// Signs certificates, CRLs and OCSP answers. Calls may take as long as RSA-4096 or a device does: make them where that
/// much computing or waiting is right.
pub trait AuthorityKey: Send + Sync {
    /// The SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
    fn public_key(&self) -> Vec<u8>;

    /// What [`AuthorityKey::sign`] signs with; it stands inside of what is signed, so it never changes.
    fn algorithm(&self) -> AlgorithmIdentifierOwned;

    /// Hashes and signs; the answer is in the form that X.509 has for the algorithm.
    ///
    /// # Errors
    /// Where the key cannot be used now; nothing was signed then.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

impl AuthorityKey for KeyPair {
    fn public_key(&self) -> Vec<u8> {
        self.public_key_der()
    }

    fn algorithm(&self) -> AlgorithmIdentifierOwned {
        Self::algorithm(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        Self::sign(self, message)
    }
}
