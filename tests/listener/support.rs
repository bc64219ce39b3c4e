//! A small application behind a real port, and clients that speak real TLS to it.

use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::routing::{get, post};
use bytes::Bytes;
use certmint::transport::listener::{Account, ConnectionInfo, Listener, ListenerOptions, StatsReader};
use certmint::transport::tls::{self, DevCa, DevCertificates};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

pub(crate) type NoBody = Empty<Bytes>;

/// A server that runs until `stop` is cancelled.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stats: StatsReader,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) ca_pem: String,
    pub(crate) requests: Arc<Requests>,
}

/// What the handlers of the tests share with them.
#[derive(Default)]
pub(crate) struct Requests {
    /// How many of `/slow` and `/block` were begun.
    begun: AtomicU64,
    /// Whether `/block` may end.
    released: (Mutex<bool>, Condvar),
}

impl Requests {
    /// Waits until so many were begun.
    pub(crate) async fn begun(&self, number: u64) {
        let waiting = async {
            while self.begun.load(SeqCst) < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(HANG, waiting).await.expect("the request does not arrive");
    }

    /// Lets `/block` end.
    pub(crate) fn release(&self) {
        *self.released.0.lock().unwrap() = true;
        self.released.1.notify_all();
    }

    /// Blocks the thread.
    fn block(&self) {
        let waiting = |released: &mut bool| !*released;
        drop(self.released.1.wait_while(self.released.0.lock().unwrap(), waiting).unwrap());
    }
}

/// Only a hang reaches it: how busy the machine is does not decide what a test says.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Nothing ends by itself while a test looks, however busy the machine is.
pub(crate) fn calm() -> ListenerOptions {
    let hour = Duration::from_secs(3600);
    ListenerOptions {
        handshake_timeout: hour,
        header_timeout: hour,
        keepalive_interval: hour,
        keepalive_timeout: hour,
        write_timeout: hour,
        drain: hour,
        hard_stop: hour * 2,
        ..ListenerOptions::default()
    }
}

impl Server {
    pub(crate) async fn start(options: ListenerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = time::macros::datetime!(2026-11-23 12:00 UTC);
        let ca = DevCa::load_or_create(folder.path(), now).unwrap();
        let ca_pem = ca.pem().to_owned();
        let certificates = DevCertificates::new(ca, "localhost", move || now).unwrap();
        let tls = tls::with_resolver(Arc::new(certificates)).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let (address, stats, stop) = (listener.local_addr(), listener.stats(), CancellationToken::new());
        let requests = Arc::default();
        let served = tokio::spawn(listener.serve(tls, app(&requests), stop.clone()));
        Self { address, stats, stop, served, ca_pem, requests }
    }

    /// Stops the server; how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.cancel();
        self.served.await.unwrap();
        begun.elapsed()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn tls(&self, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        self.tls_as("localhost", alpn).await
    }

    pub(crate) async fn tls_as(&self, name: &'static str, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let fixed = Arc::new(FixedTime);
        let mut config = ClientConfig::builder_with_details(provider, fixed)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), self.tcp().await).await
    }

    pub(crate) async fn http1(&self) -> http1::SendRequest<NoBody> {
        let io = TokioIo::new(self.tls(&["http/1.1"]).await.unwrap());
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http2(&self) -> http2::SendRequest<NoBody> {
        let io = TokioIo::new(self.tls(&["h2"]).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Waits for a counter, because the server counts after the client has seen the effect.
    pub(crate) async fn until(&self, done: impl Fn(certmint::transport::listener::ListenerStats) -> bool) {
        for _ in 0..6000 {
            if done(self.stats.read()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.stats.read());
    }
}

pub(crate) fn ask(path: &str) -> http::Request<NoBody> {
    http::Request::get(format!("https://localhost{path}")).header("host", "localhost").body(NoBody::new()).unwrap()
}

pub(crate) async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The certificates of the tests are of a fixed day, and so is the client's clock.
#[derive(Debug)]
pub(crate) struct FixedTime;

impl rustls::time_provider::TimeProvider for FixedTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let at = time::macros::datetime!(2026-11-23 12:00 UTC).unix_timestamp().unsigned_abs();
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(at)))
    }
}

fn app(requests: &Arc<Requests>) -> axum::Router {
    let (slow_ones, blocked) = (Arc::clone(requests), Arc::clone(requests));
    axum::Router::new()
        .route("/hello", get(|request: axum::extract::Request| async move { format!("{:?}", request.version()) }))
        .route(
            "/connection",
            get(|Extension(on): Extension<ConnectionInfo>| async move { format!("{} {}", on.id, on.peer) }),
        )
        .route(
            "/count",
            get({
                let handled = Arc::new(AtomicU64::new(0));
                move |Extension(on): Extension<ConnectionInfo>| async move {
                    format!("{} {}", on.id, handled.fetch_add(1, SeqCst) + 1)
                }
            }),
        )
        .route(
            "/slow/{ms}",
            get(|Path(ms): Path<u64>| async move {
                slow_ones.begun.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                "slow but there"
            }),
        )
        .route(
            "/block",
            get(|| async move {
                blocked.begun.fetch_add(1, SeqCst);
                tokio::task::block_in_place(|| blocked.block());
                "blocked"
            }),
        )
        .route("/endless", get(|| async { Body::from_stream(ticks(None)) }))
        .route("/watch", get(|Extension(on): Extension<ConnectionInfo>| async { Body::from_stream(ticks(Some(on))) }))
        .route("/bytes/{count}", get(|Path(count): Path<usize>| async move { vec![b'x'; count] }))
        .route("/as/{principal}/silent", get(silent))
        .route("/as/{principal}/flood", get(flood))
        .route("/as/{principal}/{count}", get(identified))
        .route("/panic", get(panics))
        .route("/swallow", post(|body: axum::body::Bytes| async move { body.len().to_string() }))
}

/// So many bytes, for a caller whose credentials are good.
async fn identified(
    Path((principal, count)): Path<(String, usize)>,
    Extension(account): Extension<Account>,
) -> Vec<u8> {
    // A refusal is the business of the port.
    let _ = account.identify(&principal);
    vec![b'x'; count]
}

/// A stream that says something at its beginning and at its end.
async fn silent(
    Path(principal): Path<String>,
    Extension(account): Extension<Account>,
    Extension(on): Extension<ConnectionInfo>,
) -> Body {
    let _ = account.identify(&principal);
    Body::from_stream(async_stream::stream! {
        yield Ok::<_, Infallible>(Bytes::from_static(b"hello "));
        on.closing.cancelled().await;
        yield Ok(Bytes::from_static(b"draining"));
    })
}

/// A stream without an end, as fast as it is taken.
async fn flood(Path(principal): Path<String>, Extension(account): Extension<Account>) -> Body {
    let _ = account.identify(&principal);
    Body::from_stream(async_stream::stream! {
        loop {
            yield Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]));
        }
    })
}

async fn panics() -> String {
    panic!("on purpose")
}

/// A tick every 20 ms: for ever, or until the connection closes, with a last word.
fn ticks(on: Option<ConnectionInfo>) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        loop {
            let closing = async { match &on { Some(on) => on.closing.cancelled().await, None => std::future::pending().await } };
            tokio::select! {
                () = closing => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => yield Ok(Bytes::from_static(b"tick ")),
            }
        }
        let why = if on.is_some_and(|on| on.drain.is_cancelled()) { "draining" } else { "aged" };
        yield Ok(Bytes::from_static(why.as_bytes()));
    }
}
