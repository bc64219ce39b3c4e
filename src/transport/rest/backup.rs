//! Backup and restore.

use super::answer::{Answer, json};
use super::base64;
use super::call::Call;
use super::failure::Failure;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::management::{BackupAnswer, RestoreBody};
use crate::domain::{CertificateName, Error, Reason};
use ::base64::Engine;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
use axum::body::Body;
use http::StatusCode;

pub(super) async fn backup(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let value = call
        .service
        .certificates()
        .backup_certificate(call.permit((call.vault(), CertificateName::parse(name)?)).await?)
        .await?;
    Ok(Answer::json(StatusCode::OK, json(&BackupAnswer { value: URL_SAFE_NO_PAD.encode(value) })))
}

pub(super) async fn restore(call: &Call<'_>, body: &mut Body) -> Result<Answer, Failure> {
    let RestoreBody { value } = call.backup_body(body).await?;
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Err(Error::field("value", "It is required: the value that a backup returned.").into());
    };
    let Some(bytes) = base64::decode(value.trim().as_bytes()) else {
        return Err(Error::new(Reason::MalformedBackup, "Backup blob is corrupt.").into());
    };
    let restored = call.service.certificates().restore_certificate(call.permit(call.vault()).await?, bytes).await;
    call.note(|about| match &restored {
        Ok(view) => view.name.as_str().clone_into(&mut about.name),
        Err(refusal) => about.not_restored(refusal),
    });
    let view = restored?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Whole, &call.links))))
}
