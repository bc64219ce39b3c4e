//! What CAs answer, read the same way for all of them.

use der::{Decode, Encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::Certificate;
use x509_cert::request::CertReq;

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

/// Whether a certificate (DER) has the public key of a request (PKCS#10, DER). CAs have been seen to
/// give the certificate of an earlier order; the service checks the chain once more.
pub(super) fn is_for_request(certificate: &[u8], csr: &[u8]) -> bool {
    let of_certificate = Certificate::from_der(certificate)
        .ok()
        .and_then(|certificate| certificate.tbs_certificate().subject_public_key_info().to_der().ok());
    let of_request = CertReq::from_der(csr).ok().and_then(|request| request.info.public_key.to_der().ok());
    of_certificate.is_some() && of_certificate == of_request
}
