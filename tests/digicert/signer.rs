//! Signs requests as a CA does: whatever the request says of names is passed over.

use certmint::clock::{Clock, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SignatureAlgorithm,
};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

/// A root and an issuing CA.
pub(crate) struct Signer {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: CertifiedIssuer<'static, KeyPair>,
}

/// A public key: RSA, or on P-256.
struct Key {
    bits: Vec<u8>,
    rsa: bool,
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        if self.rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 }
    }
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(ca("Mock Root"), key()).unwrap();
        let issuing = CertifiedIssuer::signed_by(ca("Mock Issuing CA"), key(), &root).unwrap();
        Self { root, issuing }
    }

    /// Leaf, intermediate, root: PEM.
    pub(crate) fn sign(&self, csr_der: &[u8], common_name: &str, names: &[String], days: i64) -> Vec<String> {
        let (_, request) = X509CertificationRequest::from_der(csr_der).unwrap();
        let key = &request.certification_request_info.subject_pki;
        let rsa = key.algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.1";
        let bits = key.subject_public_key.data.to_vec();
        let mut params = CertificateParams::new(names.to_vec()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap();
        params.not_before = now - time::Duration::hours(1);
        params.not_after = now + time::Duration::days(days);
        let leaf = params.signed_by(&Key { bits, rsa }, &self.issuing).unwrap();
        vec![leaf.pem(), self.issuing.pem(), self.root.pem()]
    }
}

impl Signer {
    /// The certificates above a leaf: PEM.
    pub(crate) fn above(&self) -> Vec<String> {
        vec![self.issuing.pem(), self.root.pem()]
    }

    /// The chain of a certificate of another key.
    pub(crate) fn other(&self) -> Vec<String> {
        let params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &self.issuing).unwrap();
        vec![leaf.pem(), self.issuing.pem()]
    }
}
