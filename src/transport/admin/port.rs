//! The accept loop of the operators' port: few, short connections.

use super::AdminHosts;
use axum::Router;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Open connections. Probes and scrapers are few; where there are more, the oldest one is cut, so that a probe gets
/// through whatever somebody else holds open.
const CONNECTIONS: usize = 64;
/// How long a connection may be silent before or between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long one connection may last, whatever it does.
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
        let mut open: VecDeque<AbortHandle> = VecDeque::with_capacity(CONNECTIONS);
        loop {
            let stream = match self.tcp.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "the operators' port cannot accept a connection");
                    // Out of file descriptors, say: without a pause the loop would spin.
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let (router, hosts) = (router.clone(), Arc::clone(&hosts));
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (mut router, checked) = (router.clone(), hosts.check(request.uri(), request.headers()));
                async move {
                    match checked {
                        Ok(()) => tower::Service::call(&mut router, request).await,
                        Err(refusal) => Ok::<_, Infallible>(refusal.into_response()),
                    }
                }
            });
            open.retain(|connection| !connection.is_finished());
            if open.len() >= CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
            let connection = tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(IDLE)
                    .max_buf_size(16 * 1024)
                    .serve_connection(TokioIo::new(stream), service);
                // It does not matter how the connection of a probe ends.
                let _ = timeout(LIFE, connection).await;
            });
            open.push_back(connection.abort_handle());
        }
    }
}
