//! The accept loop of the port on which CAs publish: many short connections of strangers, bounded in number, in the size
//! of their heads, and in time.

use super::Files;
use crate::peers::{self, PeerLimits};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A whole connection, silent or not: even a list of a megabyte has left by then.
const LIFE: Duration = Duration::from_secs(30);
/// The head of a request, and the wait for the next one.
const HEAD: Duration = Duration::from_secs(10);
/// A head, with a whole OCSP request in its first line (base64, percent-encoded).
const MAX_HEAD: usize = 32 * 1024;
const MAX_FIELDS: usize = 64;
/// One peer has this part of the places.
const SHARE: usize = 4;
/// A younger connection does not go for one of another peer.
const GRACE: Duration = Duration::from_millis(500);

/// A bound port.
#[derive(Debug)]
pub struct PublishPort {
    tcp: TcpListener,
    address: SocketAddr,
    connections: usize,
}

impl PublishPort {
    /// Binds it; so many connections are open at once. Further ones take the places of the oldest ones of the peer with
    /// the most.
    pub async fn bind(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { address: tcp.local_addr()?, tcp, connections })
    }

    /// Its address; with the real port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; open connections are then closed. At most a quarter of the places are of one peer, so that
    /// nobody closes the port for others.
    pub async fn serve(self, files: Files, stop: CancellationToken) {
        let most = self.connections;
        let limits = PeerLimits { most, share: (most / SHARE).max(1), grace: GRACE };
        peers::serve(self.tcp, limits, LIFE, stop.cancelled_owned(), |stream| connection(stream, files.clone())).await;
    }
}

async fn connection(stream: TcpStream, files: Files) -> hyper::Result<()> {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let files = files.clone();
        async move { Ok::<_, Infallible>(files.answer(request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
