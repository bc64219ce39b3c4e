//! A private key as it is stored, and its opening.

use super::defect::defect;
use super::key_pair::KeyPair;
use super::public_half;
use super::seal::{SealContext, Sealer};
use crate::domain::{Blob, Error, Reason, Result};
use zeroize::Zeroizing;

/// A sealed private key, what it was sealed for, and the public key that belongs to it.
#[derive(Clone, Debug)]
pub struct SealedKey {
    pub sealed: Blob,
    pub context: SealContext,
    /// The SubjectPublicKeyInfo (DER) of the certificate or request that the key is used for: the key opens only where
    /// it is the other half of it.
    pub public_key: Vec<u8>,
}

/// The key, opened. A defect, never the caller's fault, where what was sealed is no key, or not the other half of
/// [`SealedKey::public_key`].
pub(crate) fn open_key(sealer: &Sealer, key: &SealedKey) -> Result<KeyPair> {
    let pkcs8 = open_pkcs8(sealer, key)?;
    KeyPair::from_pkcs8(&pkcs8).map_err(defect("a sealed key is not a key"))
}

/// The PKCS#8 of the key; errors as of [`open_key`].
pub(crate) fn open_pkcs8(sealer: &Sealer, key: &SealedKey) -> Result<Zeroizing<Vec<u8>>> {
    let SealedKey { sealed, context, public_key } = key;
    let pkcs8 = sealer.open(&sealed.0, context)?;
    if public_half::belongs(&pkcs8, public_key) {
        return Ok(pkcs8);
    }
    tracing::error!(place = %context, "a private key does not belong to the certificate beside it");
    Err(Error::new(
        Reason::Internal,
        "The private key does not belong to the certificate that is stored with it. Restore the certificate from a backup.",
    ))
}
