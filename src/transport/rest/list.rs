//! Lists of certificates, versions and deleted certificates.

use super::answer::{Answer, json};
use super::failure::Failure;
use super::gateway::Call;
use super::issuers::page_size;
use super::model::deleted::DeletedAnswer;
use super::model::list::{ItemAnswer, ListAnswer};
use super::watch::flag;
use crate::domain::{CertificateName, Error};
use crate::service::ListRequest;
use http::StatusCode;
use serde::Serialize;

pub(super) async fn certificates(call: &Call<'_>) -> Result<Answer, Failure> {
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_certificates(call.permit(wanted.clone()).await?).await?;
    let value = page.items.iter().map(|item| ItemAnswer::new(item, false, &call.links)).collect();
    let place = call.links.url("certificates", &[]);
    Ok(answer(value, next_link(place, &wanted, &page.next_page_token)))
}

pub(super) async fn versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_versions(call.permit((wanted.clone(), name.clone())).await?).await?;
    let value = page.items.iter().map(|item| ItemAnswer::new(item, true, &call.links)).collect();
    let place = call.links.url("certificates", &[name.as_str(), "versions"]);
    Ok(answer(value, next_link(place, &wanted, &page.next_page_token)))
}

pub(super) async fn deleted(call: &Call<'_>) -> Result<Answer, Failure> {
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_deleted(call.permit(wanted.clone()).await?).await?;
    let value = page.items.iter().map(|item| DeletedAnswer::item(item, &call.links)).collect();
    let place = call.links.url("deletedcertificates", &[]);
    Ok(answer(value, next_link(place, &wanted, &page.next_page_token)))
}

/// What the query asks for. Tokens are base64url, so they need no encoding in links.
fn wanted(call: &Call<'_>) -> Result<ListRequest, Error> {
    let token = call.address.query("$skiptoken").unwrap_or_default();
    let include_pending = call.address.query("includePending").map(str::to_ascii_lowercase);
    Ok(ListRequest {
        vault: call.vault(),
        page_size: page_size(call.address.query("maxresults"))?,
        page_token: token.to_owned(),
        include_pending: flag("includePending", include_pending.as_deref())?,
    })
}

fn next_link(place: String, wanted: &ListRequest, token: &str) -> Option<String> {
    let ListRequest { vault: _, page_size, page_token: _, include_pending } = wanted;
    let pending = if *include_pending { "&includePending=true" } else { "" };
    (!token.is_empty()).then(|| format!("{place}&$skiptoken={token}&maxresults={page_size}{pending}"))
}

fn answer<T: Serialize>(value: Vec<T>, next_link: Option<String>) -> Answer {
    Answer::json(StatusCode::OK, json(&ListAnswer { value, next_link }))
}
