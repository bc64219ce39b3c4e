//! The certificate bundle in answers.

use super::super::answer::Links;
use super::Reference;
use super::policy::PolicyAnswer;
use crate::domain::{Certificate, Recovery, Tags};
use crate::service::CertificateView;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;

/// Which members a bundle has (contract section 3, "which members when").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// With policy and pending operation.
    Whole,
    /// One version: without both.
    Version,
    /// One version that was changed: without policy.
    Changed,
}

/// A certificate, or the disabled placeholder of one that was never completed.
#[derive(Serialize)]
pub(crate) struct CertificateAnswer<'a> {
    id: String,
    #[serde(flatten)]
    issued: Option<IssuedAnswer>,
    attributes: AttributesAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Reference>,
    #[serde(rename = "preserveCertOrder", skip_serializing_if = "Option::is_none")]
    preserve_cert_order: Option<bool>,
}

#[derive(Serialize)]
struct IssuedAnswer {
    kid: String,
    sid: String,
    x5t: String,
    cer: String,
}

#[derive(Serialize)]
pub(crate) struct AttributesAnswer {
    enabled: bool,
    nbf: i64,
    exp: i64,
    created: i64,
    updated: i64,
    #[serde(rename = "recoveryLevel")]
    recovery_level: &'static str,
    #[serde(rename = "recoverableDays")]
    recoverable_days: u32,
}

impl<'a> CertificateAnswer<'a> {
    pub(crate) fn new(view: &'a CertificateView, shape: Shape, links: &Links) -> Self {
        let CertificateView { vault: _, name, version, issued, thumbprint, entry, has_pending, projected, recovery } =
            view;
        let version = version.to_string();
        let (with_policy, with_pending) = (shape == Shape::Whole, shape != Shape::Version);
        let created = issued.as_ref().map(|issued| (issued.created, issued.updated));
        let (created, updated) =
            created.or_else(|| entry.as_ref().map(|entry| (entry.created, entry.updated))).unwrap_or(*projected);
        let (tags, preserve_cert_order) = match (issued, entry) {
            (Some(issued), _) => (issued.tags.as_ref(), issued.preserve_cert_order),
            (None, Some(entry)) => (entry.tags.as_ref(), entry.preserve_cert_order),
            (None, None) => (None, None),
        };
        Self {
            id: links.id("certificates", &[name.as_str(), &version]),
            attributes: AttributesAnswer {
                enabled: issued.as_ref().is_some_and(|issued| issued.enabled),
                nbf: projected.0.seconds(),
                exp: projected.1.seconds(),
                created: created.seconds(),
                updated: updated.seconds(),
                recovery_level: recovery.level.word(),
                recoverable_days: recovery.days,
            },
            tags,
            policy: entry.as_ref().filter(|_| with_policy).map(|entry| PolicyAnswer::new(&entry.policy, name, links)),
            pending: (with_pending && *has_pending)
                .then(|| Reference { id: links.id("certificates", &[name.as_str(), "pending"]) }),
            preserve_cert_order,
            issued: issued.as_ref().map(|issued| IssuedAnswer::new(issued, thumbprint, name.as_str(), &version, links)),
        }
    }
}

impl AttributesAnswer {
    /// Of a version on its secret and key views.
    pub(crate) fn of(certificate: &Certificate, recovery: Recovery) -> Self {
        Self {
            enabled: certificate.enabled,
            nbf: certificate.not_before.seconds(),
            exp: certificate.expires.seconds(),
            created: certificate.created.seconds(),
            updated: certificate.updated.seconds(),
            recovery_level: recovery.level.word(),
            recoverable_days: recovery.days,
        }
    }
}

impl IssuedAnswer {
    fn new(certificate: &Certificate, thumbprint: &[u8; 20], name: &str, version: &str, links: &Links) -> Self {
        Self {
            kid: links.id("keys", &[name, version]),
            sid: links.id("secrets", &[name, version]),
            x5t: URL_SAFE_NO_PAD.encode(thumbprint),
            cer: STANDARD.encode(&certificate.cer.0),
        }
    }
}
