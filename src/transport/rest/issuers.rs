//! Issuer objects, and the certificates of built-in authorities.

use super::answer::{Answer, json};
use super::failure::Failure;
use super::gateway::Call;
use super::model::issuer::{IssuerAnswer, IssuerItem};
use super::model::requests::IssuerBody;
use crate::domain::{Error, IssuerConfig, IssuerInput, IssuerName};
use axum::body::Body;
use der::pem::{LineEnding, encode_string};
use http::{HeaderValue, StatusCode};

pub(super) async fn get(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let issuer = call.service.issuers().issuer(call.permit((call.vault(), IssuerName::parse(name)?)).await?).await?;
    Ok(answer(call, &issuer))
}

pub(super) async fn set(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = IssuerName::parse(name)?;
    let input = IssuerInput::from(call.body::<IssuerBody>(body).await?);
    let issuer = call.service.issuers().set_issuer(call.permit((call.vault(), name)).await?, input).await?;
    Ok(answer(call, &issuer))
}

pub(super) async fn update(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let name = IssuerName::parse(name)?;
    let input = IssuerInput::from(call.body::<IssuerBody>(body).await?);
    let issuer = call.service.issuers().update_issuer(call.permit((call.vault(), name)).await?, input).await?;
    Ok(answer(call, &issuer))
}

pub(super) async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let issuer =
        call.service.issuers().delete_issuer(call.permit((call.vault(), IssuerName::parse(name)?)).await?).await?;
    Ok(answer(call, &issuer))
}

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Failure> {
    let (size, token) = call.page()?;
    let page = call.service.issuers().issuers(call.permit(call.vault()).await?, size, token).await?;
    let value = page.issuers.iter().map(|issuer| IssuerItem::new(issuer, &call.links)).collect();
    Ok(call.list(value, &call.links.url("certificates", &["issuers"]), &page.next_page_token, ""))
}

/// The chain of a built-in authority as PEM, the root last: what clients have to trust.
pub(super) async fn ca(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let name = IssuerName::parse(name)?;
    let chain = call.service.authorities().ca(call.permit((call.vault(), name.clone())).await?).await?;
    let mut text = String::new();
    for certificate in &chain {
        let pem = encode_string("CERTIFICATE", LineEnding::LF, &certificate.0).map_err(|error| {
            tracing::error!(issuer = %name, %error, "a CA certificate could not be written as PEM");
            Error::internal()
        })?;
        text.push_str(&pem);
    }
    Ok(Answer::new(StatusCode::OK, HeaderValue::from_static("application/x-pem-file"), Body::from(text)))
}

fn answer(call: &Call<'_>, issuer: &IssuerConfig) -> Answer {
    Answer::json(StatusCode::OK, json(&IssuerAnswer::new(issuer, &call.links)))
}
