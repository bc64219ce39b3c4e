//! The HTTP client: pooled connections, limits on every wait and size.

use super::connect::Connector;
use super::error::{causes, ours};
use super::redirect::redirected;
use super::{
    Clients, Error, ErrorKind, Exchange, Guard, Identity, Proxy, Request, Response, limit, redacted, roots, traceparent,
};
use crate::token_bucket::Buckets;
use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Name, TCP, proxy and TLS together.
    pub connect: Duration,
    /// From the request to the head of the answer, the connection included.
    pub head: Duration,
    /// From the head of the answer to its last byte.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub timeouts: Timeouts,
    /// In bytes; larger answers are refused.
    pub max_body: usize,
    pub proxy: Option<Arc<Proxy>>,
    /// Trusted beside the system's: certificates in PEM.
    pub extra_roots: Option<String>,
    /// Whether the system's roots are trusted.
    pub native_roots: bool,
    /// Whether `http` is allowed beside `https`.
    pub plain_http: bool,
    /// What the client shows of itself.
    pub identity: Option<Identity>,
    /// What may be connected to; everything where there is none.
    pub guard: Option<Guard>,
    /// The limits of all credentials: one set for the process.
    pub buckets: Arc<Buckets>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            max_body: 1 << 20,
            proxy: None,
            extra_roots: None,
            native_roots: true,
            plain_http: false,
            identity: None,
            guard: None,
            buckets: Arc::default(),
        }
    }
}

/// How long a request waits for its turn: a call to a CA is cut off later.
const TURN: Duration = Duration::from_secs(20);

/// Sends requests over a pool of connections. Cheap to clone; one for each set of roots is enough.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    timeouts: Timeouts,
    max_body: usize,
    buckets: Arc<Buckets>,
}

impl Client {
    /// # Errors
    /// Roots or a certificate of the client that cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let ClientOptions {
            timeouts,
            max_body,
            proxy,
            extra_roots,
            native_roots,
            plain_http,
            identity,
            guard,
            buckets,
        } = options;
        let tls = roots::tls(extra_roots.as_deref(), native_roots, identity.as_ref())?;
        let connector = Connector { tls, proxy, timeout: timeouts.connect, plain: plain_http, guard };
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(16)
            .build(connector);
        Ok(Self { http, timeouts, max_body, buckets })
    }

    async fn send(&self, request: &Request) -> Result<Response, Error> {
        let place = redacted(&request.url);
        let Request { method, url, headers, body, redirects: _, max_body, quota } = request;
        if let Some(quota) = quota {
            limit::wait(&self.buckets, quota, TURN).await.map_err(|wait| Error::limited(&place, wait))?;
        }
        let mut outgoing = http::Request::new(Full::new(body.clone()));
        *outgoing.method_mut() = method.clone();
        *outgoing.uri_mut() =
            url.parse().map_err(|_| Error::new(ErrorKind::Request, format!("{place} is not an absolute URL.")))?;
        *outgoing.headers_mut() = headers.clone();
        let agent = header::HeaderValue::from_static(concat!("certmint/", env!("CARGO_PKG_VERSION")));
        outgoing.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        if let Some(trace) = traceparent().and_then(|trace| header::HeaderValue::from_str(&trace).ok()) {
            outgoing.headers_mut().insert("traceparent", trace);
        }

        let timed_out = |part: &str, bound: Duration| {
            let seconds = bound.as_secs_f32();
            Error::new(ErrorKind::Timeout, format!("{place} sent no {part} within {seconds} s."))
        };
        let answer = tokio::time::timeout(self.timeouts.head, self.http.request(outgoing))
            .await
            .map_err(|_| timed_out("answer", self.timeouts.head))?
            .map_err(|error| self.explain(&error, &place))?;
        let (head, body) = answer.into_parts();
        let most = max_body.unwrap_or(self.max_body);
        let body = tokio::time::timeout(self.timeouts.body, Limited::new(body, most).collect())
            .await
            .map_err(|_| timed_out("complete body", self.timeouts.body))?
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return Error::new(ErrorKind::TooLarge, format!("{place} sent more than {most} bytes."));
                }
                Error::new(ErrorKind::Protocol, format!("The response of {place} was cut off."))
            })?
            .to_bytes();
        debug!(%method, url = place, status = head.status.as_u16(), bytes = body.len(), "outgoing request");
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    /// An error of the HTTP library in our words.
    fn explain(&self, error: &legacy::Error, place: &str) -> Error {
        match ours(error) {
            Some(found) => found.clone(),
            None => Error::new(ErrorKind::Protocol, format!("{place} did not answer: {}.", causes(error))),
        }
    }
}

#[async_trait]
impl Exchange for Client {
    async fn exchange(&self, mut request: Request) -> Result<Response, Error> {
        loop {
            let response = self.send(&request).await?;
            match redirected(&request, &response)? {
                Some(next) => request = next,
                None => return Ok(response),
            }
        }
    }
}

impl ClientOptions {
    fn with_roots(&self, extra_roots: Option<&str>) -> Self {
        let extra_roots = match (self.extra_roots.as_deref(), extra_roots) {
            (Some(all), Some(extra)) => Some(format!("{all}\n{extra}")),
            (all, extra) => all.or(extra).map(str::to_owned),
        };
        Self { extra_roots, ..self.clone() }
    }
}

impl Clients for ClientOptions {
    fn client(&self, extra_roots: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        Ok(Arc::new(Client::new(self.with_roots(extra_roots))?))
    }

    fn client_with(&self, extra_roots: Option<&str>, identity: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        let options = Self { identity: Some(identity.clone()), ..self.with_roots(extra_roots) };
        Ok(Arc::new(Client::new(options)?))
    }
}
