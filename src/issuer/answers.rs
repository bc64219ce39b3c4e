//! What CAs answer, read the same way for all of them.

// CAs have been seen to give the certificate of an earlier order; the service checks the chain once more.
pub(super) use crate::keys::chain::is_for_request;

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// The certificates of a PEM text, each once; none where there is no certificate or a damaged one.
pub(super) fn pem_chain(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut chain: Vec<Vec<u8>> = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let der = certificate.ok()?.to_vec();
        if !chain.contains(&der) {
            chain.push(der);
        }
    }
    (!chain.is_empty()).then_some(chain)
}
