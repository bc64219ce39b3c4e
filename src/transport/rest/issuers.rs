//! Issuer objects, and the certificates of built-in authorities.

use super::answer::{Answer, json};
use super::failure::Failure;
use super::gateway::Call;
use super::model::issuer::{IssuerAnswer, IssuerItem, IssuerList};
use super::model::requests::IssuerBody;
use crate::domain::{Error, IssuerConfig, IssuerInput, IssuerName};
use axum::body::Body;
use der::pem::{LineEnding, encode_string};
use http::{HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Key Vault's largest page, and its usual one.
const MAX_RESULTS: usize = 25;

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
    let size = page_size(call.address.query("maxresults"))?;
    let token = call.address.query("$skiptoken").unwrap_or_default();
    let page = call.service.issuers().issuers(call.permit(call.vault()).await?, size, token).await?;
    let next_link = (!page.next_page_token.is_empty()).then(|| {
        let token = utf8_percent_encode(&page.next_page_token, NON_ALPHANUMERIC);
        format!("{}&$skiptoken={token}&maxresults={size}", call.links.url("certificates", &["issuers"]))
    });
    let value = page.issuers.iter().map(|issuer| IssuerItem::new(issuer, &call.links)).collect();
    Ok(Answer::json(StatusCode::OK, json(&IssuerList { value, next_link })))
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

/// How many results a page of a list has.
pub(super) fn page_size(text: Option<&str>) -> Result<usize, Error> {
    let Some(text) = text else { return Ok(MAX_RESULTS) };
    let size = text.parse::<usize>().ok().filter(|size| (1..=MAX_RESULTS).contains(size));
    size.ok_or_else(|| Error::field("maxresults", format!("It is a whole number from 1 to {MAX_RESULTS}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_25_results() {
        assert_eq!((page_size(None), page_size(Some("1")), page_size(Some("25"))), (Ok(25), Ok(1), Ok(25)));
        for bad in ["0", "26", "-1", "x", "1.0"] {
            assert!(page_size(Some(bad)).is_err(), "{bad}");
        }
    }
}
