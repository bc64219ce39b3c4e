//! All outgoing traffic: requests to other services over HTTPS, and queries and updates over DNS.
//! Every outgoing call of the server uses it, so timeouts, size bounds, proxies, trusted roots and
//! the rule that no secret is logged hold everywhere.

mod client;
mod connect;
pub mod dns;
mod error;
mod guard;
mod identity;
mod limit;
mod proxy;
mod redirect;
mod retry;
mod roots;
mod trace;

pub use client::{Client, ClientOptions, Timeouts};
pub use error::{Error, ErrorKind};
pub use guard::Guard;
pub use identity::Identity;
pub use limit::{Quota, credential_name};
pub use proxy::Proxy;
pub use retry::{Class, classify, retry_after};
pub use trace::{traced, traceparent};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::fmt;
use std::sync::Arc;

/// One request. Its `Debug` shows the method and the address without query; headers and body may
/// hold secrets.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// Absolute; `https`, or `http` where the client allows it.
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How many redirects are followed; none unless asked for. Only `GET` and `HEAD` are redirected,
    /// never from `https` to `http`, and credentials stay with the host they were meant for.
    pub redirects: u8,
    /// A larger or smaller bound for the body of this answer, in bytes.
    pub max_body: Option<usize>,
    /// The limit that it counts against, where there is one.
    pub quota: Option<Quota>,
}

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, url: url.into(), headers, body, redirects: 0, max_body: None, quota: None }
    }

    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A `POST` with a body of this media type.
    #[must_use]
    pub fn post(url: impl Into<String>, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new(Method::POST, url);
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        request.body = body.into();
        request
    }

    /// Adds a header.
    ///
    /// # Errors
    /// A value that HTTP cannot carry; the message does not repeat it.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        self.headers.insert(name, header_value(name, value)?);
        Ok(self)
    }

    /// Adds a header that holds a secret; it is never shown and never compressed into an index.
    ///
    /// # Errors
    /// A value that HTTP cannot carry; the message does not repeat it.
    pub fn secret_header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        let mut value = header_value(name, value)?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Counts it against the limit of a credential.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|_| {
        Error::new(ErrorKind::Request, format!("the value for the header {name} has forbidden characters"))
    })
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, redacted(&self.url))
    }
}

/// An answer, whole. Its `Debug` shows the status and the length.
#[derive(Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    /// A header as text; none where it is absent or not ASCII.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

/// Sends one request and reads the whole answer. Any status is an answer; an error means that none
/// was received. Adapters depend on this, so that a test can lose requests and answers.
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    async fn exchange(&self, request: Request) -> Result<Response, Error>;
}

/// Makes clients: one for each set of trusted roots.
pub trait Clients: Send + Sync + 'static {
    /// A client with the server's own settings (proxy, timeouts) that trusts these certificates
    /// (PEM) beside the system's.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    fn client(&self, extra_roots: Option<&str>) -> Result<Arc<dyn Exchange>, Error>;

    /// As [`Clients::client`], with a certificate that it shows.
    ///
    /// # Errors
    /// Certificates or a key that cannot be read, or do not belong together.
    fn client_with(&self, extra_roots: Option<&str>, identity: &Identity) -> Result<Arc<dyn Exchange>, Error>;
}

/// An address without user, query and fragment, fit for logs and errors.
pub(crate) fn redacted(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_an_error_shows_a_secret() {
        let request = Request::get("https://user:geheim@ca.example/order?token=geheim#geheim")
            .secret_header("x-api-key", "geheim")
            .unwrap();
        assert_eq!(format!("{request:?}"), "GET https://ca.example/order");
        assert!(request.headers["x-api-key"].is_sensitive());
        let error = Request::get("https://ca.example").secret_header("x-api-key", "geheim\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
}
