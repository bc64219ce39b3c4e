//! Backup and restore.

use super::answer::{Answer, json};
use super::failure::Failure;
use super::gateway::Call;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::management::{BackupAnswer, RestoreBody};
use super::pending::LENIENT;
use crate::domain::{CertificateName, Error, Reason};
use axum::body::Body;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;

pub(super) async fn backup(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let value = call.service.backup_certificate(&call.caller(), &call.vault(), &CertificateName::parse(name)?).await?;
    Ok(Answer::json(StatusCode::OK, json(&BackupAnswer { value: URL_SAFE_NO_PAD.encode(value) })))
}

pub(super) async fn restore(call: &Call<'_>, body: &mut Body) -> Result<Answer, Failure> {
    let RestoreBody { value } = call.backup_body(body).await?;
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Err(Error::field("value", "It is required: the value that a backup returned.").into());
    };
    let decode = |alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(value.trim()).ok();
    let Some(bytes) = [&URL_SAFE, &STANDARD].into_iter().find_map(decode) else {
        return Err(Error::new(Reason::MalformedBackup, "Backup blob is corrupt.").into());
    };
    let restored = call.service.restore_certificate(&call.caller(), &call.vault(), bytes).await;
    call.note(|about| match &restored {
        Ok(view) => view.name.as_str().clone_into(&mut about.name),
        Err(refusal) => about.not_restored(refusal),
    });
    let view = restored?;
    Ok(Answer::json(StatusCode::OK, json(&CertificateAnswer::new(&view, Shape::Whole, &call.links))))
}
