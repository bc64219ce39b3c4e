//! The P-256 key of a signing request, for which a CA that a test plays signs a certificate.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

pub(crate) struct RequestedKey(Vec<u8>);

impl RequestedKey {
    /// `csr` is PKCS #10, DER.
    pub(crate) fn of(csr: &[u8]) -> Self {
        let (_, request) = X509CertificationRequest::from_der(csr).unwrap();
        Self(request.certification_request_info.subject_pki.subject_public_key.data.to_vec())
    }
}

impl rcgen::PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}
