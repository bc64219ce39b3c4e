//! One connection: handshake, requests, and an end within bounded time.

use super::admission::Permit;
use super::application::{App, Tracked};
use super::bodies::RequestBody;
use super::connections::Entry;
use super::guarded::Guarded;
use super::options::ListenerOptions;
use crate::mtls::Shown;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type BoxError = Box<dyn Error + Send + Sync>;

/// Encrypted bytes that wait for the peer to read.
const TLS_BUFFER: usize = 32 * 1024;
/// Bytes of bodies that a peer may send before they are read: for one stream, and for the connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// Bytes of one answer that HTTP/2 takes over before it has sent them.
const SEND_BUFFER: usize = 64 * 1024;

/// What a handler can know of the connection a request came on; an extension of every request.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Counts up from 1 with every connection of this process.
    pub id: u64,
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// The certificates that the client showed in the handshake, if any. Nothing of them is believed yet.
    pub certificate: Option<Arc<Shown>>,
    /// Cancelled when this connection is to end, by age or because the server stops. A response without an end must
    /// end soon after it: the connection is cut when its grace is over.
    pub closing: CancellationToken,
    /// Cancelled when the server stops; `closing` is cancelled with it.
    pub drain: CancellationToken,
}

/// What all connections of a port share.
pub(super) struct Shared<S> {
    pub(super) options: ListenerOptions,
    pub(super) tls: TlsAcceptor,
    pub(super) app: S,
    pub(super) tasks: TaskTracker,
}

/// Serves one connection until it ends. It ends soon after `info.drain` is cancelled, whatever the peer does.
pub(super) async fn run<S, B>(tcp: TcpStream, shared: Arc<Shared<S>>, info: ConnectionInfo, admitted: Admitted)
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Admitted { permit, entry } = admitted;
    let cut = entry.connection.cut.clone();
    tokio::select! {
        biased;
        // A limit of the budget: nothing of it may stay.
        () = cut.cancelled() => {}
        () = serve(tcp, shared, info, &permit, &entry) => {}
    }
}

/// A connection that was let in.
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) entry: Entry,
}

async fn serve<S, B>(tcp: TcpStream, shared: Arc<Shared<S>>, mut info: ConnectionInfo, permit: &Permit, entry: &Entry)
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (id, peer, options, counters) = (info.id, info.peer, &shared.options, permit.counters());
    let deadline = Instant::now() + options.handshake_timeout;
    let tls = tokio::select! {
        biased;
        // Nothing was asked yet, so nothing is lost; the peer's next attempt finds another replica.
        () = info.drain.cancelled() => return,
        done = timeout_at(deadline, handshake(tcp, &shared.tls)) => done,
    };
    let mut tls = match tls {
        Ok(Ok(tls)) => tls,
        failed => {
            counters.handshakes_failed.fetch_add(1, Relaxed);
            let error = failed.map_or_else(|_| "took too long".to_owned(), |e| e.err().map_or_else(String::new, text));
            tracing::debug!(connection = id, %peer, error, "The TLS handshake failed");
            return;
        }
    };

    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    info.certificate = Shown::of(tls.get_ref().1.peer_certificates());
    let builder = builder(&tls, options, shared.tasks.clone());
    let connection = Arc::clone(&entry.connection);
    let opening = Instant::now() + options.header_timeout;
    let io = Guarded::new(tls, opening, options.write_timeout, Arc::clone(&connection));
    let app = App {
        inner: shared.app.clone(),
        info: info.clone(),
        connection,
        max_fields: options.max_header_fields,
        requests: AtomicU64::new(0),
    };
    let mut http = pin!(builder.serve_connection(TokioIo::new(io), app));
    let drained = tokio::select! {
        biased;
        ended = &mut http => return log_end(&info, ended),
        () = info.drain.cancelled() => true,
        () = sleep(options.age_of(id)) => false,
    };

    if !drained {
        counters.aged.fetch_add(1, Relaxed);
    }
    info.closing.cancel();
    http.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = &mut http => log_end(&info, ended),
        () = grace(options, &info, drained) => {
            counters.cut.fetch_add(1, Relaxed);
            tracing::debug!(connection = id, %peer, "Cut a connection that did not end within its grace period");
        }
    }
}

/// Ends when a closing connection has had its time. An aged one that meets the server's stop gets no more than others.
async fn grace(options: &ListenerOptions, info: &ConnectionInfo, drained: bool) {
    let aged = async { if drained { pending().await } else { sleep(options.age_grace).await } };
    tokio::select! {
        () = aged => {}
        () = async { info.drain.cancelled().await; sleep(options.drain).await } => {}
    }
}

/// The TLS handshake. A peer that speaks plain HTTP gets an HTTP error, since a TLS alert would appear as garbage.
async fn handshake(mut tcp: TcpStream, tls: &TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    // A TLS record of a handshake begins with 0x16 (RFC 8446 section 5.1), a request line with a letter.
    if tcp.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
            This port speaks TLS only. Use https:// in place of http://.\n";
        tcp.write_all(ANSWER.as_bytes()).await?;
        tcp.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer speaks plain HTTP"));
    }
    tls.accept(tcp).await
}

/// hyper's settings for one connection. ALPN decides the protocol; without it the first bytes do.
fn builder(tls: &TlsStream<TcpStream>, options: &ListenerOptions, tasks: TaskTracker) -> Builder<Tracked> {
    // hyper panics below 8 KiB.
    let header_bytes = options.max_header_bytes.max(8 * 1024);
    let mut builder = Builder::new(Tracked(tasks));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_headers(options.max_header_fields)
        .max_buf_size(usize::try_from(header_bytes).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_concurrent_streams)
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .max_local_error_reset_streams(options.max_local_error_resets)
        .max_pending_accept_reset_streams(options.max_pending_accept_resets)
        .max_header_list_size(header_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER);
    match tls.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder.http2_only(),
        Some(b"http/1.1") => builder.http1_only(),
        _ => builder,
    }
}

fn log_end(info: &ConnectionInfo, ended: Result<(), BoxError>) {
    if let Err(error) = ended {
        tracing::debug!(connection = info.id, peer = %info.peer, error = text(&*error), "A connection ended early");
    }
}

/// An error with its causes, on one line.
fn text(error: impl Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}
