//! What several tests do with built-in CAs: make, replace and revoke them, let days pass, and play the CA above one.

use crate::management::harness::{Harness, vault};
use crate::permit::{ask, permit};
use crate::requested_key::RequestedKey;
use certmint::domain::policy::KeyType;
use certmint::domain::subject::DistinguishedName;
use certmint::domain::{Blob, IssuerInput, IssuerName, Result, RevocationReason, Serial};
use certmint::service::{
    AuthorityRef, AuthorityView, Ceremony, InstallAuthority, ListAuthorities, NewAuthority, Parent, RevokeRequest,
    RevokeWhich,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

pub(crate) fn name(text: &str) -> IssuerName {
    IssuerName::parse(text).unwrap()
}

pub(crate) fn of(issuer: &str) -> AuthorityRef {
    AuthorityRef { vault: vault(), issuer: name(issuer), authority: None }
}

/// An issuer object with a CA.
pub(crate) fn input(options: &[(&str, &str)]) -> IssuerInput {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    IssuerInput { provider: Some("LocalCA".to_owned()), options, ..IssuerInput::default() }
}

pub(crate) async fn set(harness: &Harness, issuer: &str, options: &[(&str, &str)]) {
    ask!(harness.service, issuers.set_issuer((vault(), name(issuer)), input(options))).unwrap();
}

/// A further CA of the issuer, which is next where it has one.
pub(crate) async fn further(harness: &Harness, issuer: &str, parent: Parent, subject: &str) -> Result<Ceremony> {
    let wanted = NewAuthority {
        vault: vault(),
        issuer: name(issuer),
        parent,
        subject: Some(DistinguishedName::parse(subject).unwrap()),
        key_type: KeyType::P256,
        validity_months: 24,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().create_authority(wanted).await
}

pub(crate) async fn activate(harness: &Harness, issuer: &str) {
    let wanted = permit(&harness.service, of(issuer)).await;
    harness.service.certificate_authorities().activate_authority(wanted).await.unwrap();
}

/// In the order of their generations.
pub(crate) async fn authorities(harness: &Harness, issuer: &str) -> Vec<AuthorityView> {
    let wanted = permit(&harness.service, ListAuthorities { vault: vault(), issuer: Some(name(issuer)) }).await;
    let mut all = harness.service.certificate_authorities().authorities(&wanted).await.unwrap();
    all.sort_by_key(|it| it.record.generation);
    all
}

pub(crate) async fn notices(harness: &Harness, issuer: &str) -> String {
    authorities(harness, issuer).await.into_iter().filter_map(|it| it.notice).collect::<Vec<_>>().join(" ")
}

/// Day after day, as the worker looks.
pub(crate) async fn days(harness: &Harness, count: u64) {
    for _ in 0..count {
        harness.later(1).await;
        harness.service.certificate_authorities().begin_successions().await.unwrap();
        harness.work().await;
    }
}

pub(crate) async fn revoke(harness: &Harness, issuer: &str, serial: Serial) {
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Serial(Some(name(issuer)), vec![serial]),
        reason: RevocationReason::CessationOfOperation,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().revoke(wanted, harness.service.certificates()).await.unwrap();
}

pub(crate) fn serial(der: &Blob) -> Serial {
    Serial::new(x509_parser::parse_x509_certificate(&der.0).unwrap().1.raw_serial()).unwrap()
}

/// A CA that is valid for the year that the clock of the harness is in, and two weeks.
pub(crate) fn ca(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Corp");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2027, 1, 1), date_time_ymd(2028, 1, 15));
    params
}

/// What a root elsewhere makes of the request of an issuer.
pub(crate) async fn install(harness: &Harness, issuer: &str) {
    let cas = harness.service.certificate_authorities();
    let csr = cas.authority_request(&permit(&harness.service, of(issuer)).await).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let root = ca("Enterprise").self_signed(&key).unwrap();
    let signed = ca("Issuing").signed_by(&RequestedKey::of(&csr.0), &Issuer::new(ca("Enterprise"), key)).unwrap();
    let wanted = InstallAuthority { of: of(issuer), certificates: vec![signed.der().to_vec(), root.der().to_vec()] };
    cas.install_authority(permit(&harness.service, wanted).await).await.unwrap();
}
