//! Errors that are sent before, or instead of, the response of an API, in the format of that API.

use super::grpc;
use super::listener::Refusal;
use super::rest;
use bytes::Bytes;
use http::{HeaderValue, Response};

/// The refusal for the API that a request with this content type is for.
pub(super) fn refuse(content_type: Option<&HeaderValue>, why: &Refusal) -> Response<Bytes> {
    match content_type {
        Some(content_type) if grpc::Api::speaks(content_type.as_bytes()) => grpc::refused(content_type, why),
        _ => rest::refused(why),
    }
}
