//! CAs and certificates of callers, for tests of client certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// A CA for callers.
pub(crate) struct CallerCa(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, and the certificates above it.
pub(crate) struct CallerPair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

/// What a usual one is like: a SPIFFE id, for clients, from yesterday to tomorrow.
pub(crate) fn svid(id: &str, now: OffsetDateTime) -> CertificateParams {
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = DistinguishedName::new();
    leaf.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (leaf.not_before, leaf.not_after) = (now - Duration::days(1), now + Duration::days(1));
    leaf
}

fn ca(name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (ca.not_before, ca.not_after) = (now - Duration::days(100), now + Duration::days(100));
    ca
}

impl CallerCa {
    pub(crate) fn new(name: &str, now: OffsetDateTime) -> Self {
        Self(CertifiedIssuer::self_signed(ca(name, now), KeyPair::generate().unwrap()).unwrap())
    }

    /// Another CA below this one.
    pub(crate) fn below(&self, name: &str, now: OffsetDateTime) -> Self {
        Self(CertifiedIssuer::signed_by(ca(name, now), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn sign(&self, leaf: &CertificateParams) -> CallerPair {
        let key = KeyPair::generate().unwrap();
        CallerPair { chain: vec![leaf.signed_by(&key, &self.0).unwrap().der().clone()], key }
    }
}

impl CallerPair {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}
