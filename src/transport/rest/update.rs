//! Changing certificates and policies.

use super::answer::{Answer, json};
use super::call::Call;
use super::failure::Failure;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::management::UpdateBody;
use super::model::policy::{PolicyAnswer, PolicyBody};
use super::model::requests::AttributesBody;
use crate::domain::{CertificateName, Policy, Tags, Version};
use crate::service::UpdateRequest;
use axum::body::Body;
use http::StatusCode;

pub(super) async fn certificate(
    call: &Call<'_>,
    name: &str,
    version: Option<&str>,
    body: &mut Body,
) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let version = version.map(Version::parse).transpose()?;
    let UpdateBody { policy, attributes, tags } = call.body(body).await?;
    let AttributesBody { enabled } = attributes.unwrap_or_default();
    let request = UpdateRequest {
        vault: call.vault(),
        name,
        version,
        policy: policy.and_then(PolicyBody::into_change),
        enabled,
        tags: tags.map(Tags::from),
    };
    let view = call.service.certificates().update_certificate(call.permit(request).await?).await?;
    let shape = if version.is_some() { Shape::Changed } else { Shape::Whole };
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, shape, &call.links))))
}

pub(super) async fn get_policy(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let (name, policy) =
        call.service.certificates().policy(call.permit((call.vault(), CertificateName::parse(name)?)).await?).await?;
    Ok(answer(call, &name, &policy))
}

pub(super) async fn policy(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let input = call.body::<PolicyBody>(body).await?.into_change().unwrap_or_default();
    let (name, policy) =
        call.service.certificates().update_policy(call.permit((call.vault(), name)).await?, &input).await?;
    Ok(answer(call, &name, &policy))
}

fn answer(call: &Call<'_>, name: &CertificateName, policy: &Policy) -> Answer {
    Answer::json(StatusCode::OK, json(&PolicyAnswer::new(policy, name, &call.links)))
}
