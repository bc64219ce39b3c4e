//! A token endpoint for client credentials (RFC 6749 section 4.4) in the form of AD FS, and what the client libraries
//! read about it. The client's secret, or its assertion, is a token that this server accepts.

use super::super::answer::{self, Answer, json};
use super::super::body::collect;
use super::form::{self, Basic, Form};
use super::{Asked, Checked, FORM_LIMIT};
use crate::domain::text::readable;
use crate::transport::errors::row;
use axum::body::Body;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde_json::json as value;
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

/// The one kind of assertion that there is (RFC 7523 section 2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The scopes of OpenID Connect (Core 1.0 sections 5.4 and 11), which the libraries send beside a resource.
const ABOUT_THE_CALLER: [&str; 4] = ["openid", "profile", "offline_access", "email"];

#[derive(Serialize)]
struct Token<'a> {
    token_type: &'static str,
    expires_in: u64,
    ext_expires_in: u64,
    access_token: &'a str,
}

/// A refusal of RFC 6749 section 5.2, with the members that Microsoft's login service has beside it.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    /// The number of the login service for this.
    code: u32,
    description: String,
    /// Where a repeat makes sense.
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(error: &'static str, code: u32, description: impl Into<String>) -> Self {
        let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        Self { status, error, code, description: description.into(), retry_after: None }
    }

    fn request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", 900_144, description)
    }

    fn answer(self, asked: &Asked<'_>) -> Answer {
        let Self { status, error, code, description, retry_after } = self;
        let now = time::OffsetDateTime::from_unix_timestamp(asked.now.seconds()).ok();
        let timestamp = now.and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default();
        let body = value!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": answer::request_id().to_string(),
            "correlation_id": correlation(asked),
        });
        let mut answer = Answer::json(status, json(&body));
        if let Some(after) = retry_after {
            answer.repeat_after(after);
        }
        answer
    }
}

/// The identifier that the client gave the request, or a new one.
fn correlation(asked: &Asked<'_>) -> String {
    let given = asked.parts.headers.get(HeaderName::from_static("client-request-id"));
    let given = given.and_then(|id| uuid::Uuid::parse_str(id.to_str().ok()?).ok());
    given.unwrap_or_else(answer::request_id).to_string()
}

pub(super) async fn token(asked: &Asked<'_>, body: &mut Body) -> Answer {
    let with_header = form::basic(&asked.parts.headers).is_some();
    match granted(asked, body).await {
        Ok((token, keep)) => {
            let seconds = keep.as_secs();
            let token =
                Token { token_type: "Bearer", expires_in: seconds, ext_expires_in: seconds, access_token: &token };
            Answer::secret(StatusCode::OK, &token)
        }
        Err(refusal) => {
            let mut answer = refusal.answer(asked);
            // Where the client used the header, it is told in the header (RFC 6749 section 5.2).
            if with_header && answer.status() == StatusCode::UNAUTHORIZED {
                answer.header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"certmint\""));
            }
            answer
        }
    }
}

/// The token of the client, and how long it may keep it.
async fn granted(asked: &Asked<'_>, body: &mut Body) -> Result<(Zeroizing<String>, Duration), Refusal> {
    if !form::is_form(&asked.parts.headers) {
        return Err(Refusal::request(
            "The body of a token request is a form: send Content-Type: application/x-www-form-urlencoded.",
        ));
    }
    let form = read(asked, body).await?;
    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            let description = "The only grant_type here is client_credentials, with a token that this server accepts as client_secret.";
            return Err(Refusal::new("unsupported_grant_type", 70_003, description));
        }
        None => return Err(Refusal::request("The form has no grant_type: send client_credentials.")),
    }
    let Client { ids, secret } = client(asked, &form)?;
    let Checked { token, client, keep } = asked.checked(secret.trim()).await.map_err(|refused| {
        let error = refused.error(
            "The client_secret (or client_assertion) is not accepted: it must be a token that this server accepts, unmodified.",
        );
        match row(error.reason).http {
            StatusCode::UNAUTHORIZED => Refusal::new("invalid_client", 7_000_215, error.message),
            // RFC 6749 section 4.1.2.1 has the name.
            status => {
                let refusal = Refusal::new("temporarily_unavailable", 90_033, error.message);
                Refusal { status, retry_after: error.retry_after, ..refusal }
            }
        }
    })?;
    if client.is_some_and(|client| ids.is_empty() || ids.iter().any(|id| *id != client)) {
        let description = "The client_assertion is of another client: set client_id (AZURE_CLIENT_ID) to the id of the \
                           entry of [[auth.client]] that it belongs to.";
        return Err(Refusal::new("invalid_client", 700_213, description));
    }
    // `resource` of the older endpoint, and every scope but those that say who asks.
    let scopes = form.get("scope").into_iter().flat_map(|scopes| scopes.split(' '));
    let resources = scopes.filter(|scope| !scope.is_empty() && !ABOUT_THE_CALLER.contains(scope));
    if let Some(resource) = form.get("resource").into_iter().chain(resources).find(|name| !asked.is_ours(name)) {
        let own = asked.resource();
        let shown = readable(resource, 100);
        let description =
            format!("Tokens are handed out for {own} alone: ask with the scope {own}/.default, not {shown}.");
        return Err(Refusal::new("invalid_scope", 70_011, description));
    }
    Ok((Zeroizing::new(token.to_owned()), keep))
}

async fn read(asked: &Asked<'_>, body: &mut Body) -> Result<Form, Refusal> {
    let patience = asked.body_timeout;
    let bytes = match tokio::time::timeout(patience, collect(body, FORM_LIMIT)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(failure)) => {
            let (status, description) = failure.into_parts();
            return Err(Refusal { status, ..Refusal::request(description) });
        }
        Err(_) => {
            let description = format!("The body of the request did not arrive within {} seconds.", patience.as_secs());
            return Err(Refusal { status: StatusCode::REQUEST_TIMEOUT, ..Refusal::request(description) });
        }
    };
    Form::parse(&bytes).ok_or_else(|| {
        Refusal::request("The body is not a UTF-8 form, contains a parameter twice, or has more than 64 parameters.")
    })
}

/// Who asks for a token, as it says itself.
struct Client {
    /// Of the form and of the header, where they are there.
    ids: Vec<String>,
    secret: Zeroizing<String>,
}

/// The client, with its secret from the one place where it is.
fn client(asked: &Asked<'_>, form: &Form) -> Result<Client, Refusal> {
    let mut ids: Vec<String> = form.get("client_id").map(str::to_owned).into_iter().collect();
    let in_header = match form::basic(&asked.parts.headers) {
        Some(None) => {
            let description =
                "Authorization of a token request is Basic, with client id and secret (RFC 6749 section 2.3.1).";
            return Err(Refusal::new("invalid_client", 7_000_215, description));
        }
        Some(Some(Basic { id, secret })) => {
            ids.push(id);
            Some(secret)
        }
        None => None,
    };
    let text = |name: &str| form.get(name).map(|text| Zeroizing::new(text.to_owned()));
    let assertion = text("client_assertion");
    if assertion.is_some() && form.get("client_assertion_type") != Some(ASSERTION) {
        return Err(Refusal::request(format!("The client_assertion_type must be {ASSERTION}.")));
    }
    let mut given = [in_header, text("client_secret"), assertion].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(secret), None) => Ok(Client { ids, secret }),
        (Some(_), Some(_)) => Err(Refusal::request("The client authenticates in more than one way: use only one.")),
        (None, _) => {
            let description =
                "The client_secret is missing: it is a token that this server accepts (AZURE_CLIENT_SECRET).";
            Err(Refusal::new("invalid_client", 7_000_218, description))
        }
    }
}

/// What MSAL reads before it asks for a token. The host of the issuer is the one that was asked, as it checks.
pub(super) fn metadata(asked: &Asked<'_>) -> Answer {
    let base = format!("https://{}/{}", asked.host.authority(), asked.tenant);
    let body = value!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
    });
    Answer::json(StatusCode::OK, json(&body))
}

pub(super) fn keys() -> Answer {
    Answer::json(StatusCode::OK, json(&value!({ "keys": [] })))
}

pub(super) fn authorize(asked: &Asked<'_>) -> Answer {
    let description = "Interactive sign-in is not supported: use a token that this server accepts as client secret.";
    Refusal::new("unsupported_response_type", 700_054, description).answer(asked)
}

pub(super) fn method_not_allowed(asked: &Asked<'_>, wanted: &Method) -> Answer {
    let refusal = Refusal::request(format!("This address accepts only {wanted}."));
    Refusal { status: StatusCode::METHOD_NOT_ALLOWED, ..refusal }.answer(asked)
}
