//! The certificate of tls-alpn-01 (RFC 8737 section 3), for connections that offer `acme-tls/1`.

use super::jws::authorization_digest;
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The protocol that a validating CA offers, alone.
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// A self-signed certificate for the host name or address, with the critical extension
/// acmeIdentifier over the key authorization. rustls refuses it in `with_single_cert` because of
/// that extension, so it is for a resolver of certificates.
///
/// # Errors
/// A name that no certificate can hold.
pub fn certified_key(name: &str, key_authorization: &str) -> Result<Arc<CertifiedKey>, String> {
    let failed = |what: &str| format!("The certificate for the validation of {name} cannot be made: {what}.");
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(|_| failed("the name does not fit"))?;
    params.custom_extensions.push(CustomExtension::new_acme_identifier(&authorization_digest(key_authorization)));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| failed("no key"))?;
    let certificate = params.self_signed(&key).map_err(|_| failed("it cannot be signed"))?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|_| failed("no key"))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
}
