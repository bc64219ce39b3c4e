//! Creating and reading certificates.

use super::answer::{Answer, CLIENT_REQUEST_ID, json};
use super::call::Call;
use super::failure::Failure;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::operation::OperationAnswer;
use super::model::requests::{CreateBody, ImportBody, RenewBody};
use crate::domain::{CertificateName, Operation, Tags, Version};
use crate::service::{CreateRequest, ImportRequest, RenewRequest};
use axum::body::Body;
use http::StatusCode;
use zeroize::Zeroizing;

/// Longest `x-ms-client-request-id` by which a repeat is recognised; a longer one is only echoed.
const MAX_CLIENT_REQUEST_ID: usize = 128;

pub(super) async fn create(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let CreateBody { policy, attributes, tags, preserve_cert_order, csr, profile: _, validity: _, options: _, grpc: _ } =
        call.body(body).await?;
    let request = CreateRequest {
        vault: call.vault(),
        name,
        policy: policy.and_then(|policy| policy.into_input()),
        csr: csr.map(String::into_bytes),
        enabled: attributes.unwrap_or_default().enabled,
        tags: tags.map(Tags::from),
        preserve_cert_order,
        request_id: None,
        client_request_id: client_request_id(call),
    };
    let operation = call.service.creations().create(call.permit(request).await?).await?.operation;
    Ok(accepted(call, &operation))
}

pub(super) async fn renew(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let RenewBody { batch } = call.body(body).await?;
    let request = RenewRequest {
        vault: call.vault(),
        name,
        request_id: None,
        client_request_id: client_request_id(call),
        batch: batch.unwrap_or_default(),
    };
    let operation = call.service.renewals().renew(call.permit(request).await?).await?.operation;
    Ok(accepted(call, &operation))
}

/// An operation that has begun, and where to ask for it.
fn accepted(call: &Call<'_>, operation: &Operation) -> Answer {
    let name = operation.certificate.as_str();
    let location =
        format!("{}&request_id={}", call.links.url("certificates", &[name, "pending"]), operation.request_id);
    let body = json(&OperationAnswer::new(operation, &call.links));
    Answer::json(StatusCode::ACCEPTED, body).location(location).poll_again()
}

pub(super) async fn import(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let ImportBody { value, pwd, policy, attributes, tags, preserve_cert_order, grpc: _ } = call.body(body).await?;
    let request = ImportRequest {
        vault: call.vault(),
        name,
        value: Zeroizing::new(value.unwrap_or_default().into_bytes()),
        password: Zeroizing::new(pwd.unwrap_or_default()),
        policy: policy.and_then(|policy| policy.into_input()),
        enabled: attributes.unwrap_or_default().enabled,
        tags: tags.map(Tags::from),
        preserve_cert_order,
    };
    let view = call.service.certificates().import(call.permit(request).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Whole, &call.links))))
}

pub(super) async fn get(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let view = call.service.certificates().certificate(call.permit((call.vault(), name)).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Whole, &call.links))))
}

pub(super) async fn get_version(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Failure> {
    let (name, version) = (CertificateName::parse(name)?, Version::parse(version)?);
    let view =
        call.service.certificates().certificate_version(call.permit((call.vault(), name)).await?, version).await?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Version, &call.links))))
}

fn client_request_id(call: &Call<'_>) -> Option<String> {
    let id = call.parts.headers.get(CLIENT_REQUEST_ID)?.to_str().ok()?;
    (1..=MAX_CLIENT_REQUEST_ID).contains(&id.len()).then(|| id.to_owned())
}
