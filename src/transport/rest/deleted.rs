//! Deleting certificates, and what can be done with deleted ones.

use super::answer::{Answer, json};
use super::call::Call;
use super::failure::Failure;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::deleted::DeletedAnswer;
use crate::domain::CertificateName;
use http::StatusCode;

pub(super) async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let view = call
        .service
        .deletions()
        .delete_certificate(call.permit((call.vault(), CertificateName::parse(name)?)).await?)
        .await?;
    Ok(Answer::json(StatusCode::OK, json(&DeletedAnswer::new(&view, &call.links))))
}

pub(super) async fn get(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let view = call
        .service
        .deletions()
        .deleted_certificate(call.permit((call.vault(), CertificateName::parse(name)?)).await?)
        .await?;
    Ok(Answer::json(StatusCode::OK, json(&DeletedAnswer::new(&view, &call.links))))
}

pub(super) async fn recover(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let view = call
        .service
        .deletions()
        .recover_certificate(call.permit((call.vault(), CertificateName::parse(name)?)).await?)
        .await?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Whole, &call.links))))
}

pub(super) async fn purge(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    call.service
        .deletions()
        .purge_certificate(call.permit((call.vault(), CertificateName::parse(name)?)).await?)
        .await?;
    Ok(Answer::no_content())
}
