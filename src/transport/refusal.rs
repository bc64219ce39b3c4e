//! Errors that are sent before, or instead of, the response of an API, in the format of that API.

use super::grpc;
use super::listener::Refusal;
use super::rest;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};

/// What a refusal takes from the head of the request.
pub(super) struct Asked {
    /// Says for which API it is.
    content_type: Option<HeaderValue>,
    /// How the client calls it.
    client_request_id: Option<HeaderValue>,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            content_type: headers.get(CONTENT_TYPE).cloned(),
            client_request_id: headers.get(rest::CLIENT_REQUEST_ID).cloned(),
        }
    }

    /// The refusal for the API that the request is for.
    pub(super) fn refuse(&self, why: &Refusal) -> Response<Bytes> {
        match &self.content_type {
            Some(content_type) if grpc::Api::speaks(content_type.as_bytes()) => grpc::refused(content_type, why),
            _ => rest::refused(why, self.client_request_id.clone()),
        }
    }
}
