//! The accept loop of the port on which CAs publish: many short connections of strangers, bounded in number, in the size
//! of their heads, and in time.

use super::Files;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A whole connection, silent or not: even a list of a megabyte has left by then.
const LIFE: Duration = Duration::from_secs(30);
/// The head of a request, and the wait for the next one.
const HEAD: Duration = Duration::from_secs(10);
/// A head, with a whole OCSP request in its first line (base64, percent-encoded).
const MAX_HEAD: usize = 32 * 1024;
const MAX_FIELDS: usize = 64;
/// After an accept that failed, out of file descriptors say: without a pause the loop would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound port.
#[derive(Debug)]
pub struct PublishPort {
    tcp: TcpListener,
    address: SocketAddr,
    connections: usize,
}

impl PublishPort {
    /// Binds it; so many connections are served at once, and further ones wait in the queue of the system.
    pub async fn bind(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { address: tcp.local_addr()?, tcp, connections })
    }

    /// Its address; with the real port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; open connections are then closed.
    pub async fn serve(self, files: Files, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.connections));
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.tcp.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let files = files.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        // A connection that breaks off is the other side's matter.
                        let _ = tokio::time::timeout(LIFE, connection(stream, files)).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "the port of the CAs cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
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
