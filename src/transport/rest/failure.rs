//! Error responses: the status and the error body of Key Vault.

use super::super::auth::Refused;
use super::super::errors::row;
use super::super::headers::ENCODED;
use super::super::listener::{Overrun, Refusal};
use super::answer::{self, Answer};
use super::{API_VERSIONS, LATEST_API_VERSION};
use crate::domain::text::readable;
use crate::domain::{Detail, Error, Reason};
use bytes::Bytes;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// What a gRPC method takes.
const GRPC_TYPES: &str = "application/grpc, application/grpc+proto, application/grpc-web, application/grpc-web+proto, application/grpc-web-text";

/// Most problems that one message names.
const MAX_PROBLEMS: usize = 20;

/// A refusal on its way out. Reasons of the domain come with their row of the table of errors;
/// what only HTTP knows (paths, methods, bodies) is made here.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    inner: Option<&'static str>,
    message: String,
    retry_after: Option<Duration>,
    /// Of a refusal by the domain.
    reason: Option<Reason>,
    /// The code of the Connect protocol, for its clients.
    connect: Option<&'static str>,
    /// Boxed to keep the way of the good answers short.
    header: Option<Box<(HeaderName, String)>>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            inner: None,
            message: message.into(),
            retry_after: None,
            reason: None,
            connect: None,
            header: None,
        }
    }

    /// Why, where the domain refused it.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// For answers of another form.
    pub(super) fn into_parts(self) -> (StatusCode, String) {
        (self.status, self.message)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// No credentials, or not valid ones: with the challenge. Where it cannot be known whether they are valid there is
    /// none, since the client keeps its token then.
    pub(super) fn unauthenticated(refused: Refused, challenge: String) -> Self {
        let error = refused.error("AKV10000: Request is missing a Bearer or PoP token.");
        let is_challenged = error.reason == Reason::Unauthenticated;
        let header = is_challenged.then(|| Box::new((WWW_AUTHENTICATE, challenge)));
        Self { header, ..error.into() }
    }

    pub(super) fn no_api_version() -> Self {
        Error::bad_parameter(format!(
            "The query parameter api-version is missing. Add ?api-version={LATEST_API_VERSION}; known are {}.",
            API_VERSIONS.join(", ")
        ))
        .into()
    }

    pub(super) fn unknown_api_version(given: &str) -> Self {
        let shown = readable(given, 40);
        Error::bad_parameter(format!(
            "The specified version ({shown}) is not recognized. Consider using the latest supported version ({LATEST_API_VERSION})."
        ))
        .into()
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "This server has nothing at this path. docs/api.md lists the paths.",
        )
    }

    pub(super) fn method_not_allowed(method: &Method, allowed: &[&str]) -> Self {
        let method = method.as_str();
        let message = format!("HTTP {} not allowed", method.get(..20).unwrap_or(method));
        Self {
            header: Some(Box::new((ALLOW, allowed.join(", ")))),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        }
    }

    /// A write on the secret or the key of a certificate (contract section 9).
    pub(super) fn managed(message: String) -> Self {
        Self { inner: Some("SecretManagedByKeyVault"), ..Self::new(StatusCode::FORBIDDEN, "Forbidden", message) }
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        Error::new(Reason::MessageTooLarge, format!("The body of the request is larger than {limit} bytes.")).into()
    }

    pub(super) fn body_too_slow(limit: Duration) -> Self {
        let message = format!("The body of the request did not arrive within {} seconds.", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message)
    }

    pub(super) fn not_json_type() -> Self {
        let message = "The body of the request must be JSON: send it with Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// A limit on what requests may hold.
    pub(super) fn overrun(cause: Overrun) -> Self {
        let error = cause.error();
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, row(Reason::StoreUnavailable).azure, error.message);
        Self { retry_after: error.retry_after, ..refusal }
    }

    fn too_many_fields(limit: usize) -> Self {
        let message = format!("The request has more than {limit} header fields.");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderFieldsTooLarge", message)
    }

    pub(super) fn encoded() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", ENCODED)
    }

    /// A method of the gRPC API, called in another protocol. Clients of Connect read `code` and `message` outside of
    /// `error`, and take `unimplemented` as it is meant.
    pub(super) fn not_grpc_type() -> Self {
        let message = "This is a gRPC method: it speaks gRPC (application/grpc, over HTTP/2) and gRPC-Web (application/grpc-web, application/grpc-web-text), not the Connect protocol. Choose one of them in the client; buf curl has --protocol grpc.";
        Self {
            connect: Some("unimplemented"),
            header: Some(Box::new((HeaderName::from_static("accept-post"), GRPC_TYPES.to_owned()))),
            ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        }
    }

    /// The error member of the body, for streams.
    pub(super) fn body(&self) -> Vec<u8> {
        answer::json(&Body {
            code: self.connect,
            message: self.connect.map(|_| self.message.as_str()),
            error: Inner {
                code: self.code,
                message: &self.message,
                innererror: self.inner.map(|code| InnerError { code }),
            },
        })
    }

    pub(super) fn answer(self) -> Answer {
        let body = self.body();
        let mut answer = Answer::json(self.status, body);
        if let Some(after) = self.retry_after {
            answer.repeat_after(after);
        }
        if let Some((name, value)) = self.header.map(|header| *header)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            answer.header(name, value);
        }
        answer
    }
}

/// The refusal of a request by a limit of the port; the identifier of the client is echoed.
pub(in crate::transport) fn refused(why: &Refusal, client_request_id: Option<HeaderValue>) -> Response<Bytes> {
    let failure = match why {
        Refusal::Budget(cause) => Failure::overrun(*cause),
        Refusal::Fields(limit) => Failure::too_many_fields(*limit),
    };
    let body = Bytes::from(failure.body());
    failure.answer().finish(client_request_id).map(|_| body)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let row = row(error.reason);
        let message = all_problems(&error).unwrap_or(error.message);
        Self {
            inner: row.inner,
            retry_after: error.retry_after,
            reason: Some(error.reason),
            ..Self::new(row.http, row.azure, message)
        }
    }
}

/// REST has no list of problems: where there are several, the message names them, and how many more there are.
fn all_problems(error: &Error) -> Option<String> {
    let mut fields = error.details.iter().filter_map(|detail| match detail {
        Detail::Field { path, problem } => Some(format!("Property {path} has invalid value. {problem}")),
        _ => None,
    });
    let mut shown: Vec<String> = fields.by_ref().take(MAX_PROBLEMS).collect();
    match fields.count() {
        0 if shown.len() < 2 => return None,
        0 => {}
        more => shown.push(format!("({more} more)")),
    }
    Some(shown.join(" "))
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    innererror: Option<InnerError>,
}

#[derive(Serialize)]
struct InnerError {
    code: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_many_problems_it_does_not_name() {
        let message = |problems: usize| {
            let field = |index| Detail::Field { path: format!("p{index}"), problem: "Bad.".into() };
            let mut error = Error::bad_parameter("first");
            error.details = (0..problems).map(field).collect();
            Failure::from(error).message
        };
        assert_eq!((message(0).as_str(), message(1).as_str()), ("first", "first"));
        assert_eq!(message(2), "Property p0 has invalid value. Bad. Property p1 has invalid value. Bad.");
        assert!(message(20).ends_with("Property p19 has invalid value. Bad."));
        assert!(message(23).ends_with("Property p19 has invalid value. Bad. (3 more)"));
    }
}
