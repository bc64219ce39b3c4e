//! The pending operation: read, cancel, delete, merge.

use super::answer::{Answer, json};
use super::base64;
use super::call::Call;
use super::failure::Failure;
use super::model::certificate::{CertificateAnswer, Shape};
use super::model::operation::OperationAnswer;
use super::model::requests::{CancelBody, MergeBody};
use crate::domain::pending::Event;
use crate::domain::{CertificateName, Error, Operation, Reason, RequestId, Tags, pending};
use crate::service::{MergeRequest, PendingRef};
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use axum::body::Body;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode};

pub(super) async fn get(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let operation = call.service.pending().operation(call.permit(wanted(call, name)?).await?).await?;
    if !wants_request_file(&call.parts.headers) {
        return Ok(answer(call, &operation));
    }
    let answer = Answer::new(
        StatusCode::OK,
        HeaderValue::from_static("application/pkcs10; charset=utf-8"),
        Body::from(STANDARD.encode(&operation.csr.0)),
    );
    Ok(if operation.in_progress() { answer.poll_again() } else { answer })
}

pub(super) async fn cancel(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let wanted = wanted(call, name)?;
    let CancelBody { cancellation_requested } = call.body(body).await?;
    match cancellation_requested {
        Some(true) => {
            let (operation, _) = call.service.pending().cancel(call.permit(wanted).await?).await?;
            Ok(Answer::json(StatusCode::OK, json(&OperationAnswer::new(&operation, &call.links))))
        }
        // Nothing is asked for, and nothing is taken back.
        Some(false) => {
            let operation = call.service.pending().operation(call.permit(wanted).await?).await?;
            if !operation.in_progress() {
                return Err(operation.refused(&Event::CancelRequested).into());
            }
            Ok(Answer::json(StatusCode::OK, json(&OperationAnswer::new(&operation, &call.links))))
        }
        None => Err(Error::field("cancellation_requested", "It is required: true requests the cancellation.").into()),
    }
}

pub(super) async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let operation = call.service.pending().delete_pending(call.permit(wanted(call, name)?).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&OperationAnswer::new(&operation, &call.links))))
}

pub(super) async fn merge(call: &Call<'_>, name: &str, body: &mut Body) -> Result<Answer, Failure> {
    let wanted = wanted(call, name)?;
    let MergeBody { x5c, attributes, tags } = call.body(body).await?;
    let Some(x5c) = x5c else {
        // The operation is looked up before the chain is asked for (contract section 9).
        let name = wanted.name.clone();
        if let Err(error) = call.service.pending().operation(call.permit(wanted).await?).await {
            return Err(match error.reason {
                Reason::PendingNotFound => pending::not_found_to_merge(&name),
                _ => error,
            }
            .into());
        }
        return Err(
            Error::field("x5c", "It is required: the certificates as base64 strings, the issued one first.").into()
        );
    };
    let x5c = x5c.into_iter().map(decoded).collect();
    let request =
        MergeRequest { wanted, x5c, enabled: attributes.unwrap_or_default().enabled, tags: tags.map(Tags::from) };
    let view = call.service.pending().merge(call.permit(request).await?).await?;
    let location = call.links.url("certificates", &[view.name.as_str()]);
    let body = json(&CertificateAnswer::new(&view, Shape::Whole, &call.links));
    Ok(Answer::json(StatusCode::CREATED, body).location(location))
}

/// The operation that is meant. A `request_id` is a filter: one that no operation can have finds none.
pub(super) fn wanted(call: &Call<'_>, name: &str) -> Result<PendingRef, Failure> {
    let name = CertificateName::parse(name)?;
    let request_id = match call.address.query("request_id").map(RequestId::parse) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(pending::not_found(&name).into()),
    };
    Ok(PendingRef { vault: call.vault(), name, request_id })
}

fn answer(call: &Call<'_>, operation: &Operation) -> Answer {
    let answer = Answer::json(StatusCode::OK, json(&OperationAnswer::new(operation, &call.links)));
    if operation.in_progress() { answer.poll_again() } else { answer }
}

/// Whether the client would rather have the signing request than the operation: the first type of
/// its list that is known here decides.
fn wants_request_file(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()) else { return false };
    let types = accept.split(',').map(|entry| entry.split(';').next().unwrap_or_default().trim());
    let known = ["application/pkcs10", "application/json", "application/*", "*/*"];
    let mut first = types.filter_map(|entry| known.iter().find(|known| known.eq_ignore_ascii_case(entry)));
    first.next() == Some(&known[0])
}

/// An entry of `x5c` as bytes, whichever base64 it is in. What is not base64 stays text: the keys
/// know PEM, and can say what is wrong with the rest.
pub(super) fn decoded(entry: String) -> Vec<u8> {
    // Without its spaces a PEM text can be base64 for URLs.
    if entry.contains("-----BEGIN ") {
        return entry.into_bytes();
    }
    let text: Vec<u8> = entry.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64::decode(&text).unwrap_or_else(|| entry.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_all_its_forms() {
        let bytes = vec![0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ", "+//+\r\n AQ==\n"] {
            assert_eq!(decoded(text.into()), bytes, "{text}");
        }
        for text in ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no base64!"] {
            assert_eq!(decoded(text.into()), text.as_bytes());
        }
    }

    #[test]
    fn the_first_known_type_of_accept_decides() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            wants_request_file(&headers)
        };
        assert!(wants("application/pkcs10") && wants("text/html, Application/PKCS10;q=0.9, */*"));
        assert!(!wants("application/json, application/pkcs10") && !wants("*/*") && !wants("text/html"));
    }
}
