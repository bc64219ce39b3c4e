//! Errors that the framework returns before any handler, as a bare status: this adds the reason and message of the
//! contract.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use super::status::status;
use crate::domain::{Error, Reason};
use http::HeaderName;
use tonic::body::Body;
use tonic::{Code, Status};

/// Lists the accepted encodings if one was refused (gRPC over HTTP/2, "Message-Encoding").
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The answer, with every detail of the contract where it was a bare refusal.
pub(super) fn explained(response: http::Response<Body>, path: &str) -> http::Response<Body> {
    let headers = response.headers();
    // A refusal of ours has details, and a good answer has no status among its headers.
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let Some(error) = Status::from_header_map(headers).and_then(|refused| error(&refused, path)) else {
        return response;
    };
    let mut explained: http::Response<Body> = status(error).into_http();
    if let Some(encodings) = headers.get(ACCEPT_ENCODING) {
        explained.headers_mut().insert(ACCEPT_ENCODING, encodings.clone());
    }
    explained
}

/// A message that cannot be decoded is the caller's mistake, not the server's.
pub(super) fn undecodable() -> Error {
    Error::bad_parameter("The message is not a valid protobuf message of this method.")
}

fn error(refused: &Status, path: &str) -> Option<Error> {
    let message = refused.message();
    match refused.code() {
        Code::Internal if message.contains("decode Protobuf") => Some(undecodable()),
        // Frames that are none, a message that is missing: no handler has seen them.
        Code::Internal => Some(Error::bad_parameter(format!("This is not a valid gRPC call. {message}"))),
        Code::OutOfRange if message.contains("message length too large") => {
            Some(Error::new(Reason::MessageTooLarge, message.trim_start_matches("Error, ")))
        }
        Code::Unimplemented if message.is_empty() => {
            let path: String = path.chars().take(200).collect();
            Some(Error::new(
                Reason::NotSupported,
                format!("This server has no method {path}. Reflection lists those it has."),
            ))
        }
        Code::Unimplemented => Some(Error::new(Reason::NotSupported, message)),
        _ => None,
    }
}
