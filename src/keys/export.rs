//! A certificate as a secret: PKCS #12 or PEM, with its private key if it is exportable.

use super::{pem, pkcs12, public_half};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// A version with its chain above it: X.509, DER.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// What decoders show as the name of the entry.
    pub name: &'a str,
    pub leaf: &'a [u8],
    pub chain: &'a [Vec<u8>],
}

/// PKCS #12 without a password, in base64; the key is PKCS #8. Without a key it holds the leaf
/// alone, as that of Key Vault does (contract section 8).
pub fn as_pkcs12(exported: Exported<'_>, key: Option<&[u8]>) -> Zeroizing<String> {
    let Exported { name, leaf, chain } = exported;
    let above = if key.is_some() { chain } else { &[] };
    let certificates: Vec<&[u8]> = std::iter::once(leaf).chain(above.iter().map(Vec::as_slice)).collect();
    let file = pkcs12::write(key, &certificates, name);
    Zeroizing::new(STANDARD.encode(&*file))
}

/// PKCS #12 with a password, DER; `None` where the crypto library fails.
pub fn as_protected_pkcs12(exported: Exported<'_>, key: &[u8], password: &str) -> Option<Zeroizing<Vec<u8>>> {
    let Exported { name, leaf, chain } = exported;
    let certificates: Vec<&[u8]> = std::iter::once(leaf).chain(chain.iter().map(Vec::as_slice)).collect();
    pkcs12::write_protected(key, &certificates, name, password).ok()
}

/// Whether a key (PKCS #8) is that of a certificate (both DER).
pub fn is_pair(leaf: &[u8], key: &[u8]) -> bool {
    public_half::of_certificate(leaf).is_some_and(|public| public_half::belongs(key, &public))
}

/// A key in PKCS #8 as PEM.
pub fn key_as_pem(key: &[u8]) -> Zeroizing<String> {
    const KEY: &str = "PRIVATE KEY";
    let mut text = Zeroizing::new(String::with_capacity(pem::encoded_length(KEY, key.len())));
    pem::write(&mut text, KEY, key);
    text
}

/// PEM: the key in PKCS #8, then the certificates from the leaf upwards.
pub fn as_pem(exported: Exported<'_>, key: Option<&[u8]>) -> Zeroizing<String> {
    const KEY: &str = "PRIVATE KEY";
    const CERTIFICATE: &str = "CERTIFICATE";
    let Exported { name: _, leaf, chain } = exported;
    let certificates = || std::iter::once(leaf).chain(chain.iter().map(Vec::as_slice));
    let length = key.map_or(0, |key| pem::encoded_length(KEY, key.len()))
        + certificates().map(|der| pem::encoded_length(CERTIFICATE, der.len())).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length));
    if let Some(key) = key {
        pem::write(&mut text, KEY, key);
    }
    certificates().for_each(|der| pem::write(&mut text, CERTIFICATE, der));
    text
}
