//! What the TLS handshake asks of a client certificate: that the caller has its key, and that it is not too large.
//! Whether it is believed is judged afterwards: a handshake that fails would also shut out callers who show whatever
//! certificate they have and bring a token, and a resumed session has no such judgement at all.

use super::options::CertificateOptions;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// Asks for a certificate, takes any or none, and names no CAs.
#[derive(Debug)]
pub struct Possession {
    provider: Arc<CryptoProvider>,
    max_certificates: usize,
    max_bytes: usize,
}

impl Possession {
    pub fn new(options: &CertificateOptions) -> Self {
        let CertificateOptions { max_certificates, max_bytes, check_every: _ } = *options;
        Self { provider: Arc::new(aws_lc_rs::default_provider()), max_certificates, max_bytes }
    }
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = others.iter().fold(leaf.len(), |sum, one| sum.saturating_add(one.len()));
        if others.len() >= self.max_certificates || bytes > self.max_bytes {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
