//! The accept loop of the operators' port: few, short connections.

use super::AdminHosts;
use crate::peers::{self, PeerLimits};
use axum::Router;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Open connections. Probes and scrapers are few; where there are more, the oldest one of the peer with the most is cut,
/// so that a probe gets through whatever somebody else holds open.
const LIMITS: PeerLimits = PeerLimits { most: 64, share: usize::MAX, grace: Duration::ZERO };
/// How long a connection may be silent before or between requests: longer than the minute between two scrapes.
const IDLE: Duration = Duration::from_secs(75);
/// How long one connection may last, whatever it does: one that only trickles does not keep its place for ever.
const LIFE: Duration = Duration::from_secs(3600);

/// A bound port.
#[derive(Debug)]
pub struct AdminPort {
    tcp: TcpListener,
    address: SocketAddr,
}

impl AdminPort {
    /// Binds it.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { address: tcp.local_addr()?, tcp })
    }

    /// Its address; with the real port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the task is dropped.
    pub async fn serve(self, router: Router, hosts: AdminHosts) {
        let hosts = Arc::new(hosts);
        let never = std::future::pending();
        peers::serve(self.tcp, LIMITS, LIFE, never, |stream| connection(stream, router.clone(), Arc::clone(&hosts)))
            .await;
    }
}

async fn connection(stream: TcpStream, router: Router, hosts: Arc<AdminHosts>) -> hyper::Result<()> {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (mut router, checked) = (router.clone(), hosts.check(request.uri(), request.headers()));
        async move {
            match checked {
                Ok(()) => tower::Service::call(&mut router, request).await,
                Err(refusal) => Ok::<_, Infallible>(refusal.into_response()),
            }
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
