//! Managed identity as in Azure App Service: a program finds `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` in its
//! environment, and sends the latter to the former. Here the latter is its own token.

use super::super::answer::{Answer, json};
use super::{Asked, Checked};
use crate::transport::errors::row;
use crate::transport::rest::address::Address;
use http::{HeaderName, StatusCode};
use serde::Serialize;

/// The header of the version 2019-08-01, and that of 2017-09-01.
const HEADERS: [HeaderName; 2] = [HeaderName::from_static("x-identity-header"), HeaderName::from_static("secret")];

/// The members of the service; the time is text.
#[derive(Serialize)]
struct Token<'a> {
    access_token: &'a str,
    expires_on: String,
    resource: &'a str,
    token_type: &'static str,
}

#[derive(Serialize)]
struct Refusal<'a> {
    #[serde(rename = "statusCode")]
    status: u16,
    message: &'a str,
}

pub(super) async fn answer(asked: &Asked<'_>) -> Answer {
    let headers = &asked.parts.headers;
    let mut given = HEADERS.into_iter().flat_map(|name| headers.get_all(name));
    let (Some(token), None) = (given.next(), given.next()) else {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "The request needs the header X-IDENTITY-HEADER once, with a token that this server accepts: set IDENTITY_HEADER to it.",
        );
    };
    let Checked { token, client: _, keep } = match asked.checked(token.to_str().unwrap_or_default().trim()).await {
        Ok(checked) => checked,
        Err(refused) => {
            let error = refused.error(
                "The token in X-IDENTITY-HEADER is not accepted here: set IDENTITY_HEADER to a token that this server accepts.",
            );
            let mut answer = refusal(row(error.reason).http, &error.message);
            if let Some(after) = error.retry_after {
                answer.repeat_after(after);
            }
            return answer;
        }
    };
    let address = Address::of(&asked.parts.uri);
    if let Some(name) = address.repeated() {
        let message = format!("The query has the parameter {name} more than once. Send it once.");
        return refusal(StatusCode::BAD_REQUEST, &message);
    }
    let own = asked.resource();
    let resource = address.query("resource").unwrap_or(&own);
    if !asked.is_ours(resource) {
        let message = format!("Tokens are handed out for {own} alone: ask with resource={own}.");
        return refusal(StatusCode::BAD_REQUEST, &message);
    }
    let expires_on = asked.now.plus(keep).seconds().to_string();
    let token = Token { access_token: token, expires_on, resource, token_type: "Bearer" };
    Answer::secret(StatusCode::OK, &token)
}

fn refusal(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, json(&Refusal { status: status.as_u16(), message }))
}
