//! The contacts of a vault.

use super::answer::{Answer, json};
use super::call::Call;
use super::failure::Failure;
use super::model::contacts::{ContactsAnswer, ContactsBody};
use crate::domain::Contacts;
use axum::body::Body;
use http::StatusCode;

pub(super) async fn set(call: &Call<'_>, body: &mut Body) -> Result<Answer, Failure> {
    let contacts = Contacts::try_from(call.body::<ContactsBody>(body).await?)?;
    let contacts = call.service.vault_objects().set_contacts(call.permit(call.vault()).await?, contacts).await?;
    Ok(answer(call, &contacts))
}

pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Failure> {
    let contacts = call.service.vault_objects().contacts(call.permit(call.vault()).await?).await?;
    Ok(answer(call, &contacts))
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Answer, Failure> {
    let contacts = call.service.vault_objects().delete_contacts(call.permit(call.vault()).await?).await?;
    Ok(answer(call, &contacts))
}

fn answer(call: &Call<'_>, contacts: &Contacts) -> Answer {
    Answer::json(StatusCode::OK, json(&ContactsAnswer::new(contacts, &call.links)))
}
