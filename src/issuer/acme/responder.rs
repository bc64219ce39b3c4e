//! Answers http-01 (RFC 8555 section 8.3): `GET /.well-known/acme-challenge/{token}` over plain
//! HTTP, and the file that other CAs look for, which depends on the host. Nothing else is on that port. Tokens come from the store at every request, so that any
//! replica answers any of them.

use crate::peers::{self, PeerLimits};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/.well-known/acme-challenge/";
const FILE: &str = "/.well-known/pki-validation/fileauth.txt";
/// The longest token that is answered. Those of CAs have about 43 characters.
pub(super) const MAX_TOKEN: usize = 200;
/// Connections at once. Anybody may open one: a peer above its share, or at the limit the one with the most, loses its
/// oldest one. A CA asks from a few addresses, with one short connection for each name.
const LIMITS: PeerLimits = PeerLimits { most: 1024, share: 64, grace: Duration::from_millis(500) };
/// The head of a request.
const HEAD: Duration = Duration::from_secs(2);
/// A whole connection, silent or not.
const LIFE: Duration = Duration::from_secs(5);

/// Finds the key authorization of a token.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// `Ok(None)` if there is no such token; an error where it cannot be known now.
    async fn lookup(&self, token: &str) -> Result<Option<String>, ()>;

    /// The content of the file of a host, in lower case and without a port.
    async fn file(&self, _host: &str) -> Result<Option<String>, ()> {
        Ok(None)
    }
}

/// The server for http-01.
pub struct Responder {
    lookup: Arc<dyn Lookup>,
}

impl Responder {
    pub fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup }
    }

    /// Answers until `end` is ready; open connections are then closed.
    pub async fn serve(self, listener: TcpListener, end: impl Future<Output = ()> + Send) {
        let lookup = self.lookup;
        peers::serve(listener, LIMITS, LIFE, end, |stream| connection(stream, Arc::clone(&lookup))).await;
    }
}

async fn connection(stream: TcpStream, lookup: Arc<dyn Lookup>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let lookup = Arc::clone(&lookup);
        async move { Ok::<_, Infallible>(answer(&request, &*lookup).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(8192)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer<B>(request: &Request<B>, lookup: &dyn Lookup) -> Response<Full<Bytes>> {
    let (method, path) = (request.method(), request.uri().path());
    let token = path.strip_prefix(PATH).filter(|token| {
        (1..=MAX_TOKEN).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    let found = match (token, host(request)) {
        _ if method != Method::GET && method != Method::HEAD => None,
        (Some(token), _) => Some(lookup.lookup(token).await),
        (None, Some(host)) if path == FILE => Some(lookup.file(&host).await),
        _ => Some(Ok(None)),
    };
    let (status, body) = match found {
        None => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        Some(Ok(Some(content))) => (StatusCode::OK, content),
        Some(Ok(None)) => (StatusCode::NOT_FOUND, String::new()),
        Some(Err(())) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// The host that was asked, in lower case and without a port.
fn host<B>(request: &Request<B>) -> Option<String> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or(header)?;
    let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ((1..=253).contains(&host.len()) && host.bytes().all(fits)).then_some(host)
}
