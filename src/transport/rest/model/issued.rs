//! Certificates in the log of a CA: an extension of Key Vault's API. Times are seconds since 1970, as everywhere in it.

use super::super::answer::Links;
use super::certificate::{CertificateAnswer, Shape};
use crate::domain::issued::{IssuedContent, IssuedFor, IssuedRecord};
use crate::domain::{Revocation, Timestamp};
use crate::service::{CertificateView, IssuedView};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// A certificate that a CA signed, or was to sign.
#[derive(Serialize)]
pub(crate) struct IssuedAnswer {
    id: String,
    authority: String,
    serial: String,
    state: &'static str,
    #[serde(flatten)]
    asked: AskedAnswer,
    #[serde(flatten)]
    content: ContentAnswer,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<RevocationAnswer>,
}

/// That a certificate was revoked.
#[derive(Serialize)]
pub(crate) struct RevocationAnswer {
    time: i64,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalidity_time: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    principal: String,
    /// The number of the first list with it, or when that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    crl_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crl_expected: Option<i64>,
}

/// What was revoked, beside other certificates of a key that is in other hands.
#[derive(Serialize)]
pub(crate) struct RevokedAnswer<C> {
    #[serde(flatten)]
    certificate: C,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    same_key: Vec<IssuedAnswer>,
}

impl<C> RevokedAnswer<C> {
    pub(crate) fn new(certificate: C, same_key: Vec<IssuedView>, links: &Links) -> Self {
        Self { certificate, same_key: same_key.into_iter().map(|view| IssuedAnswer::new(view, links)).collect() }
    }
}

/// A version of a certificate that was revoked.
#[derive(Serialize)]
pub(crate) struct RevokedVersion<'a> {
    #[serde(flatten)]
    certificate: CertificateAnswer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<RevocationAnswer>,
}

impl<'a> RevokedVersion<'a> {
    pub(crate) fn new(view: &'a CertificateView, issued: &IssuedView, links: &Links) -> Self {
        let revocation = issued.issued.revocation.clone();
        Self {
            certificate: CertificateAnswer::new(view, Shape::Version, links),
            revocation: revocation.map(|revocation| RevocationAnswer::new(revocation, issued.crl_expected)),
        }
    }
}

impl RevocationAnswer {
    fn new(revocation: Revocation, crl_expected: Option<Timestamp>) -> Self {
        let Revocation { time, reason, invalidity_time, by, crl } = revocation;
        Self {
            time: time.seconds(),
            reason: reason.word(),
            invalidity_time: invalidity_time.map(Timestamp::seconds),
            principal: by,
            crl_number: crl,
            crl_expected: crl_expected.map(Timestamp::seconds),
        }
    }
}

/// Who asked for it. What is not known, or does not apply, is left out.
#[derive(Serialize)]
struct AskedAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    principal: String,
    door: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    profile: String,
}

#[derive(Serialize)]
struct ContentAnswer {
    subject: String,
    names: Vec<String>,
    nbf: i64,
    exp: i64,
}

impl IssuedAnswer {
    pub(crate) fn new(view: IssuedView, links: &Links) -> Self {
        let IssuedView { issued, crl_expected } = view;
        let IssuedRecord { authority, serial, state, tbs: _, cer, asked, content, created, revocation } = issued;
        let IssuedFor { vault: _, issuer, certificate, version, request_id, principal, door, profile } = asked;
        let IssuedContent { subject, names, not_before, not_after, key: _ } = content;
        let serial = serial.to_string();
        Self {
            id: links.id("certificates", &["issuers", issuer.as_str(), "ca", "issued", &serial]),
            authority,
            serial,
            state: state.word(),
            asked: AskedAnswer {
                name: certificate.map(|name| name.to_string()),
                version: version.map(|version| version.to_string()),
                request_id: request_id.map(|id| id.to_string()),
                principal,
                door: door.word(),
                profile,
            },
            content: ContentAnswer { subject, names, nbf: not_before.seconds(), exp: not_after.seconds() },
            created: created.seconds(),
            cer: cer.map(|cer| STANDARD.encode(cer.0)),
            revocation: revocation.map(|revocation| RevocationAnswer::new(revocation, crl_expected)),
        }
    }
}
