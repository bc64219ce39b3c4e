//! Issuer objects, the certificates of built-in authorities, and the log of what they signed: the last beyond Key Vault's
//! API.

use super::answer::{Answer, json};
use super::call::Call;
use super::failure::Failure;
use super::model::authority::AuthorityAnswer;
use super::model::issued::{IssuedAnswer, RevokedAnswer, RevokedVersion};
use super::model::issuer::{IssuerAnswer, IssuerItem};
use super::model::requests::{InstallBody, IssuerBody, RevokeBody};
use super::pending::decoded;
use crate::domain::{
    CertificateName, Error, IssuerConfig, IssuerInput, IssuerName, Reason, RevocationReason, Serial, Timestamp, Version,
};
use crate::service::{
    AuthorityRef, ChainWay, InstallAuthority, IssuedFilter, IssuedRef, ListIssued, RevokeRequest, RevokeWhich, Revoked,
};
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use axum::body::Body;
use der::pem::{LineEnding, encode_string};
use http::{HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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

/// The chain of a built-in authority as PEM, the root last: what clients have to trust. `chain` asks for the way up to
/// the root of now (`new`), to the one before it (`old`), or for what is handed out with leaves for both (`cross`).
pub(super) async fn ca(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let name = IssuerName::parse(name)?;
    let way = call.address.query("chain").map(ChainWay::parse).transpose()?;
    let wanted = call.permit((call.vault(), name.clone())).await?;
    let chain = call.service.authorities().chain(wanted, way.unwrap_or_default()).await?;
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

/// The request of an authority that another CA is to sign: DER in base64, as that of a certificate.
pub(super) async fn csr(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let wanted = AuthorityRef { vault: call.vault(), issuer: IssuerName::parse(name)?, authority: None };
    let csr = call.service.certificate_authorities().authority_request(&call.permit(wanted).await?).await?;
    let text = STANDARD.encode(&csr.0);
    Ok(Answer::new(StatusCode::OK, HeaderValue::from_static("application/pkcs10; charset=utf-8"), Body::from(text)))
}

/// Takes the certificate that another CA signed, with what is above it, in the forms of a merge.
pub(super) async fn install(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let of = AuthorityRef { vault: call.vault(), issuer: IssuerName::parse(name)?, authority: None };
    let InstallBody { x5c } = call.body(body).await?;
    let x5c = x5c.ok_or_else(|| {
        Error::field("x5c", "It is required: the certificates as base64 strings, that of the CA first.")
    })?;
    let wanted = InstallAuthority { of, certificates: x5c.into_iter().map(decoded).collect() };
    let done = call.service.certificate_authorities().install_authority(call.permit(wanted).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&AuthorityAnswer::new(done, &call.links))))
}

fn answer(call: &Call<'_>, issuer: &IssuerConfig) -> Answer {
    Answer::json(StatusCode::OK, json(&IssuerAnswer::new(issuer, &call.links)))
}

/// One certificate by its serial number, in any spelling.
pub(super) async fn issued(call: &Call<'_>, issuer: &str, serial: &str) -> Result<Answer, Failure> {
    let wanted =
        IssuedRef { vault: call.vault(), issuer: Some(IssuerName::parse(issuer)?), serial: Serial::spellings(serial)? };
    let found = call.service.certificate_authorities().issued(&call.permit(wanted).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&IssuedAnswer::new(found, &call.links))))
}

/// Those of a period (`since`, `until`), of a `name`, in a `state`.
pub(super) async fn list_issued(call: &Call<'_>, issuer: &str) -> Result<Answer, Failure> {
    let issuer = IssuerName::parse(issuer)?;
    let (page_size, token) = call.page()?;
    let parameter = |name: &str| call.address.query(name);
    let filter = parameter("state").map(|word| {
        IssuedFilter::parse(word)
            .ok_or_else(|| Error::field("state", "It is none of intended, issued, abandoned and revoked."))
    });
    let wanted = ListIssued {
        vault: call.vault(),
        issuer: Some(issuer.clone()),
        since: parameter("since").map(|text| time("since", text)).transpose()?,
        until: parameter("until").map(|text| time("until", text)).transpose()?,
        name: parameter("name").map(CertificateName::parse).transpose()?,
        filter: filter.transpose()?,
        page_size,
        page_token: token.to_owned(),
    };
    let page = call.service.certificate_authorities().list_issued(call.permit(wanted).await?).await?;
    let value = page.issued.into_iter().map(|issued| IssuedAnswer::new(issued, &call.links)).collect();
    let kept: Vec<String> = ["since", "until", "name", "state"]
        .into_iter()
        .filter_map(|name| {
            parameter(name).map(|value| format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        })
        .collect();
    let url = call.links.url("certificates", &["issuers", issuer.as_str(), "ca", "issued"]);
    Ok(call.list(value, &url, &page.next_page_token, &kept.concat()))
}

/// Revokes a version of a certificate.
pub(super) async fn revoke_version(
    call: &Call<'_>,
    name: &str,
    version: &str,
    body: &mut Body,
) -> Result<Answer, Failure> {
    let (name, version) = (CertificateName::parse(name)?, Version::parse(version)?);
    let which = RevokeWhich::Version(name.clone(), Some(version));
    let Revoked { certificate, same_key } = revoke(call, which, body).await?;
    let wanted = call.permit((call.vault(), name)).await?;
    let answer = match call.service.certificates().certificate_version(wanted, version).await {
        Ok(view) => {
            let version = RevokedVersion::new(&view, &certificate, &call.links);
            json(&RevokedAnswer::new(version, same_key, &call.links))
        }
        // Deleted, and revoked all the same: the log has it.
        Err(error) if error.reason == Reason::CertificateNotFound => {
            json(&RevokedAnswer::new(IssuedAnswer::new(certificate, &call.links), same_key, &call.links))
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Answer::json(StatusCode::OK, answer))
}

/// Revokes a certificate by its serial number.
pub(super) async fn revoke_issued(
    call: &Call<'_>,
    issuer: &str,
    serial: &str,
    body: &mut Body,
) -> Result<Answer, Failure> {
    let which = RevokeWhich::Serial(Some(IssuerName::parse(issuer)?), Serial::spellings(serial)?);
    let Revoked { certificate, same_key } = revoke(call, which, body).await?;
    let answer = RevokedAnswer::new(IssuedAnswer::new(certificate, &call.links), same_key, &call.links);
    Ok(Answer::json(StatusCode::OK, json(&answer)))
}

async fn revoke(call: &Call<'_>, which: RevokeWhich, body: &mut Body) -> Result<Revoked, Failure> {
    let RevokeBody { reason, invalidity_time, disable } = call.body(body).await?;
    let reason = match reason.as_deref() {
        None => RevocationReason::Unspecified,
        Some(word) => RevocationReason::parse(word).ok_or_else(|| {
            let words: Vec<&str> = RevocationReason::ALL.iter().map(|reason| reason.word()).collect();
            Error::field("reason", format!("It is none of {}.", words.join(", ")))
        })?,
    };
    let invalidity_time = invalidity_time.map(Timestamp::from_seconds);
    let wanted = RevokeRequest { vault: call.vault(), which, reason, invalidity_time, disable };
    let wanted = call.permit(wanted).await?;
    Ok(call.service.certificate_authorities().revoke(wanted, call.service.certificates()).await?)
}

/// Seconds since 1970, as everywhere in this API, or a date and time (RFC 3339).
fn time(name: &str, text: &str) -> Result<Timestamp, Error> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let read = text.parse::<prost_types::Timestamp>().map_err(|_| {
        Error::field(name, "Send seconds since 1970, or a date such as 2026-11-30 or 2026-11-30T12:00:00Z.")
    })?;
    Ok(Timestamp::from_seconds(read.seconds))
}
