//! Responses: the headers that all of them have, and those of some.

use super::super::host::Host;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, EXPIRES, LOCATION, PRAGMA, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// What a client waits between two looks at an operation in progress, in seconds (contract rule 18).
const POLL_INTERVAL: HeaderValue = HeaderValue::from_static("10");

pub(in crate::transport) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const EXPIRED: HeaderValue = HeaderValue::from_static("-1");
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000;includeSubDomains");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// An answer without the headers that all have; [`Answer::finish`] adds those.
pub(super) struct Answer(Response);

impl Answer {
    pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::new(status, JSON, Body::from(Bytes::from(body)))
    }

    /// An answer with a secret: it is written into one buffer of its size, which is wiped when the answer has left.
    pub(super) fn secret<T: Serialize>(status: StatusCode, body: &T) -> Self {
        Self::new(status, JSON, Body::from(Bytes::from_owner(wiped_json(body))))
    }

    pub(super) fn new(status: StatusCode, content_type: HeaderValue, body: Body) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().reserve(12);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self(response)
    }

    /// Done, and there is nothing to say.
    pub(super) fn no_content() -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self(response)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(super) fn header(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.headers_mut().insert(name, value);
    }

    /// When to ask again: whole seconds, rounded up, since a client that comes earlier is refused again.
    pub(super) fn repeat_after(&mut self, after: Duration) {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }

    /// Sent while the operation is in progress.
    pub(super) fn poll_again(mut self) -> Self {
        self.header(RETRY_AFTER, POLL_INTERVAL);
        self
    }

    pub(super) fn location(mut self, url: String) -> Self {
        // Made of names and a host that were checked: it is always a header value.
        if let Ok(url) = HeaderValue::try_from(url) {
            self.header(LOCATION, url);
        }
        self
    }

    /// The response with the headers of every answer; `client_request_id` is echoed.
    pub(super) fn finish(self, client_request_id: Option<HeaderValue>) -> Response {
        let mut response = self.0;
        let headers = response.headers_mut();
        headers.entry(CACHE_CONTROL).or_insert(NO_CACHE);
        headers.insert(PRAGMA, NO_CACHE);
        headers.insert(EXPIRES, EXPIRED);
        headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = request_id().hyphenated().encode_lower(&mut text);
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(id) = client_request_id {
            headers.insert(CLIENT_REQUEST_ID, id);
        }
        response
    }
}

/// Differs from every other one: random for the process, counted within it. Randomness for each would cost a call of
/// the system, and nobody has to guess these.
pub(super) fn request_id() -> uuid::Uuid {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().1);
    static COUNT: AtomicU64 = AtomicU64::new(1);
    // An odd factor loses no number, and spreads neighbours apart.
    let count = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    uuid::Uuid::from_u64_pair(count, *PROCESS)
}

/// A body as JSON.
pub(super) fn json<T: Serialize>(body: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    write(&mut bytes, body);
    bytes
}

/// The models are plain structs of strings and numbers: nothing in them can fail.
#[expect(clippy::expect_used, reason = "no model has a map with keys that are no strings, or a Serialize of its own")]
fn write<T: Serialize>(to: impl io::Write, body: &T) {
    serde_json::to_writer(to, body).expect("a model of plain members is always JSON");
}

/// A buffer that grows leaves what it held behind, so its length is counted first.
fn wiped_json<T: Serialize>(body: &T) -> Zeroizing<Vec<u8>> {
    let mut length = Length(0);
    write(&mut length, body);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    write(&mut *bytes, body);
    bytes
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the identifiers of one answer: absolute, from the host that the client used.
#[derive(Clone, Debug)]
pub(super) struct Links {
    base: String,
    api_version: String,
}

impl Links {
    pub(super) fn new(host: &Host, api_version: String) -> Self {
        Self { base: format!("https://{}", host.authority()), api_version }
    }

    /// `https://{host}/{collection}/{parts joined by /}`.
    pub(super) fn id(&self, collection: &str, parts: &[&str]) -> String {
        let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
        let mut url = String::with_capacity(self.base.len() + collection.len() + length + 80);
        url.push_str(&self.base);
        url.push('/');
        url.push_str(collection);
        for part in parts {
            url.push('/');
            url.push_str(part);
        }
        url
    }

    /// The address under which a client reads the object of that id.
    pub(super) fn url(&self, collection: &str, parts: &[&str]) -> String {
        let mut url = self.id(collection, parts);
        url.push_str("?api-version=");
        url.push_str(&self.api_version);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_secret_is_written_without_growing() {
        let body = serde_json::json!({"value": "\u{1}\"ü".repeat(10_000), "id": 7});
        let bytes = wiped_json(&body);
        assert_eq!((bytes.as_slice(), bytes.capacity()), (json(&body).as_slice(), bytes.len()));
    }
}
