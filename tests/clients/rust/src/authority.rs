//! A certificate authority for merges, and certificates that were made elsewhere.

use azure_core::time::{Duration, OffsetDateTime};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyPair,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("Test Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The certificate for a request, and the root, in DER. The request's signature is checked.
    pub(crate) fn chain(&self, request: &[u8]) -> Vec<Vec<u8>> {
        let request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let leaf = request.signed_by(&*self.0).unwrap();
        vec![leaf.der().to_vec(), self.certificate()]
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        AsRef::<Certificate>::as_ref(&self.0).der().to_vec()
    }
}

/// A certificate for its own key. Without key usage that may do everything.
pub(crate) fn self_signed(name: &str, key: &KeyPair) -> Vec<u8> {
    named(name).self_signed(key).unwrap().der().to_vec()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::minutes(5), now + Duration::days(30));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(crate) fn parse(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

/// The whole public key of a certificate.
pub(crate) fn public_key(certificate: &[u8]) -> Vec<u8> {
    parse(certificate).public_key().raw.to_vec()
}

/// The whole public key of a request, which has to be signed with it.
pub(crate) fn requested_key(request: &[u8]) -> Vec<u8> {
    let request = X509CertificationRequest::from_der(request).unwrap().1;
    request.verify_signature().unwrap();
    request.certification_request_info.subject_pki.raw.to_vec()
}
