//! The messages that many tests send.

use certmint::proto::v1::*;

/// A request_id that a test can know beforehand.
pub(crate) const ID: &str = "a76827a18b63421c917da80f28e9913d";
pub(crate) const OTHER_ID: &str = "b76827a18b63421c917da80f28e9913d";

/// A policy with a P-256 key.
pub(crate) fn policy(issuer: &str) -> CertificatePolicy {
    CertificatePolicy {
        key_properties: Some(KeyProperties { key_type: KeyType::Ec.into(), ..KeyProperties::default() }),
        x509_properties: Some(X509Properties { subject: "CN=mycert1.example".into(), ..X509Properties::default() }),
        issuer: Some(IssuerParameters { name: issuer.into(), ..IssuerParameters::default() }),
        ..CertificatePolicy::default()
    }
}

pub(crate) fn create(name: &str, issuer: &str) -> CreateCertificateRequest {
    CreateCertificateRequest {
        certificate_name: name.into(),
        policy: Some(policy(issuer)),
        ..CreateCertificateRequest::default()
    }
}

/// A create whose operation has a known id.
pub(crate) fn create_as(name: &str, issuer: &str, request_id: &str) -> CreateCertificateRequest {
    CreateCertificateRequest { request_id: request_id.into(), ..create(name, issuer) }
}

pub(crate) fn get(name: &str) -> GetPendingRequest {
    GetPendingRequest { certificate_name: name.into(), ..GetPendingRequest::default() }
}

pub(crate) fn cancel(name: &str) -> CancelPendingRequest {
    CancelPendingRequest { certificate_name: name.into(), ..CancelPendingRequest::default() }
}

pub(crate) fn delete(name: &str) -> DeletePendingRequest {
    DeletePendingRequest { certificate_name: name.into(), ..DeletePendingRequest::default() }
}

pub(crate) fn merge(name: &str, chain: &[&[u8]]) -> MergeCertificateRequest {
    MergeCertificateRequest {
        certificate_name: name.into(),
        x509_certificates: chain.iter().map(|entry| entry.to_vec().into()).collect(),
        ..MergeCertificateRequest::default()
    }
}

pub(crate) fn certificate(name: &str) -> GetCertificateRequest {
    GetCertificateRequest { certificate_name: name.into(), ..GetCertificateRequest::default() }
}

/// An issuer of the provider `Test`, which does what `account_id` says.
pub(crate) fn test_issuer(name: &str, account_id: &str) -> SetIssuerRequest {
    SetIssuerRequest {
        issuer_name: name.into(),
        issuer: Some(Issuer {
            provider: "Test".into(),
            credentials: Some(IssuerCredentials { account_id: account_id.into(), ..IssuerCredentials::default() }),
            ..Issuer::default()
        }),
        ..SetIssuerRequest::default()
    }
}

/// A watch of one certificate.
pub(crate) fn watch(name: &str) -> WatchPendingRequest {
    WatchPendingRequest { certificate_names: vec![name.into()], ..WatchPendingRequest::default() }
}
