//! The pending operation in answers.

use super::super::answer::Links;
use crate::domain::{Operation, OperationError, Status};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// An operation; members that say nothing are left out.
#[derive(Serialize)]
pub(crate) struct OperationAnswer<'a> {
    id: String,
    issuer: IssuerName<'a>,
    csr: String,
    cancellation_requested: bool,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer<'a>>,
    /// Only where the request had it (contract section 1).
    #[serde(rename = "preserveCertOrder", skip_serializing_if = "Option::is_none")]
    preserve_cert_order: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(flatten)]
    identity: Identity<'a>,
}

/// Which operation it is, and what it renews.
#[derive(Serialize)]
struct Identity<'a> {
    request_id: String,
    /// Ours: why it renews a version. Absent where a caller asked for a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<&'static str>,
    /// Ours: the label of the renewals that were begun together.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'a str>,
}

/// The name alone, whatever else the policy says of the issuer (contract section 3).
#[derive(Serialize)]
struct IssuerName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> OperationAnswer<'a> {
    pub(crate) fn new(operation: &'a Operation, links: &Links) -> Self {
        let name = operation.certificate.as_str();
        let status = operation.status();
        Self {
            id: links.id("certificates", &[name, "pending"]),
            issuer: IssuerName { name: &operation.issuer.name },
            csr: STANDARD.encode(&operation.csr.0),
            cancellation_requested: operation.cancellation_requested,
            status: status.word(),
            status_details: operation.status_details(),
            error: operation.error().map(|OperationError { code, message }| ErrorAnswer { code, message }),
            preserve_cert_order: operation.preserve_cert_order,
            target: (status == Status::Completed).then(|| links.url("certificates", &[name])),
            identity: Identity {
                request_id: operation.request_id.to_string(),
                trigger: operation.renews.as_ref().map(|renews| renews.trigger.word()),
                batch: operation.renews.as_ref().map(|renews| renews.batch.as_str()).filter(|batch| !batch.is_empty()),
            },
        }
    }
}
