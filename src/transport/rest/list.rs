//! Lists of certificates, versions and deleted certificates.

use super::answer::Answer;
use super::call::Call;
use super::failure::Failure;
use super::model::deleted::DeletedAnswer;
use super::model::list::ItemAnswer;
use super::watch::flag;
use crate::domain::{CertificateName, Error};
use crate::service::ListRequest;

pub(super) async fn certificates(call: &Call<'_>) -> Result<Answer, Failure> {
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_certificates(call.permit(wanted.clone()).await?).await?;
    let value = page.items.iter().map(|item| ItemAnswer::new(item, false, &call.links)).collect();
    let place = call.links.url("certificates", &[]);
    Ok(call.list(value, &place, &page.next_page_token, parameters(&wanted)))
}

pub(super) async fn versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let name = CertificateName::parse(name)?;
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_versions(call.permit((wanted.clone(), name.clone())).await?).await?;
    let value = page.items.iter().map(|item| ItemAnswer::new(item, true, &call.links)).collect();
    let place = call.links.url("certificates", &[name.as_str(), "versions"]);
    Ok(call.list(value, &place, &page.next_page_token, parameters(&wanted)))
}

pub(super) async fn deleted(call: &Call<'_>) -> Result<Answer, Failure> {
    let wanted = wanted(call)?;
    let page = call.service.certificates().list_deleted(call.permit(wanted.clone()).await?).await?;
    let value = page.items.iter().map(|item| DeletedAnswer::item(item, &call.links)).collect();
    let place = call.links.url("deletedcertificates", &[]);
    Ok(call.list(value, &place, &page.next_page_token, parameters(&wanted)))
}

/// What the query asks for.
fn wanted(call: &Call<'_>) -> Result<ListRequest, Error> {
    let (page_size, token) = call.page()?;
    let include_pending = call.address.query("includePending").map(str::to_ascii_lowercase);
    Ok(ListRequest {
        vault: call.vault(),
        page_size,
        page_token: token.to_owned(),
        include_pending: flag("includePending", include_pending.as_deref())?,
    })
}

fn parameters(wanted: &ListRequest) -> &'static str {
    if wanted.include_pending { "&includePending=true" } else { "" }
}
