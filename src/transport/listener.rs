//! The TLS port: a custom accept loop, so that limits, maximum age and shutdown apply to every connection.
//!
//! gRPC, gRPC-Web and REST share it: ALPN chooses HTTP/2 or HTTP/1.1; the application behind it sees only requests.

mod account;
mod admission;
mod application;
mod bodies;
mod budget;
mod connection;
mod connections;
mod guarded;
mod known;
mod open_files;
mod options;

pub use account::{Account, Turn};
pub use admission::ListenerStats;
pub use application::{AnswerLength, Refusal};
pub use bodies::RequestBody;
pub use budget::{BudgetOptions, BudgetStats, Overrun};
pub use connection::ConnectionInfo;
pub use open_files::raise_open_file_limit;
pub use options::ListenerOptions;

use crate::peers::holder;
use admission::{Admission, LogThrottle};
use budget::Budget;
use bytes::Bytes;
use connection::{Admitted, Shared};
use connections::Connections;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A bound port that does not serve yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    options: ListenerOptions,
    admission: Arc<Admission>,
    connections: Arc<Connections>,
}

/// Reads the counters of a port, also while it serves.
#[derive(Clone, Debug)]
pub struct StatsReader(Arc<Admission>, Arc<Connections>);

impl StatsReader {
    /// The counters now.
    pub fn read(&self) -> ListenerStats {
        self.0.stats()
    }

    /// What requests hold now, and what was refused.
    pub fn budget(&self) -> BudgetStats {
        BudgetStats { displaced: self.1.displaced(), ..self.1.budget.stats(self.1.anonymous()) }
    }
}

impl Listener {
    /// Binds the port; connections wait in the system's queue until [`Listener::serve`].
    pub async fn bind(address: SocketAddr, options: ListenerOptions) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let admission = Admission::new(options.max_connections, options.max_connections_per_peer);
        let connections = Connections::new(Budget::new(options.budget.clone()));
        Ok(Self { address: tcp.local_addr()?, tcp, options, admission, connections })
    }

    /// The address; with the real port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Access to the counters.
    pub fn stats(&self) -> StatsReader {
        StatsReader(Arc::clone(&self.admission), Arc::clone(&self.connections))
    }

    /// Serves `app` until `shutdown` is cancelled and the connections have ended. `app` must always be ready, as the
    /// routers of axum are.
    ///
    /// At the stop the port is closed, each connection is asked to go (GOAWAY, `Connection: close`) and its
    /// [`ConnectionInfo::closing`] is cancelled. What is open after `drain` is cut; the answer comes after `hard_stop`
    /// at the latest, counted from the stop. Where this future is dropped, its connections drain in the background.
    pub async fn serve<S, B>(self, tls: Arc<rustls::ServerConfig>, app: S, shutdown: CancellationToken)
    where
        S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { tcp, address, options, admission, connections } = self;
        let stop = shutdown.child_token();
        let _stop_with_us = stop.clone().drop_guard();
        let hard_stop = options.hard_stop;
        let tasks = TaskTracker::new();
        tokio::spawn(Connections::sweep(Arc::downgrade(&connections), options.write_timeout));
        let shared = Arc::new(Shared { options, tls: tls.into(), app, tasks: tasks.clone() });
        let room = Arc::clone(&connections);
        let mut accepting =
            Accepting { tcp, admission, room, errors: LogThrottle::default(), refusals: LogThrottle::default() };
        let mut id = 0;
        while let Some((stream, peer, permit)) = accepting.next(&stop).await {
            id += 1;
            // Children of the port's token, so that requests of one connection never contend for another's.
            let drain = stop.child_token();
            let info = ConnectionInfo { id, peer, certificate: None, closing: drain.child_token(), drain };
            let entry = connections.enter(id, holder(peer.ip()));
            tasks.spawn(connection::run(stream, Arc::clone(&shared), info, Admitted { permit, entry }));
        }
        drop(accepting);
        tasks.close();
        tracing::info!(%address, tasks = tasks.len(), "The port is closed; waiting for open requests");
        if timeout(hard_stop, tasks.wait()).await.is_err() {
            tracing::warn!(%address, tasks = tasks.len(), "Requests are still running after the hard stop");
        }
    }
}

struct Accepting {
    tcp: TcpListener,
    admission: Arc<Admission>,
    room: Arc<Connections>,
    errors: LogThrottle,
    refusals: LogThrottle,
}

impl Accepting {
    /// The next connection that is let in; `None` when the server stops.
    async fn next(&mut self, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr, admission::Permit)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = async { self.room.room().await; self.tcp.accept().await } => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match self.admission.admit(peer.ip()) {
                    Ok(permit) => {
                        // Failure means that the peer is gone already; the handshake finds out.
                        let _ = stream.set_nodelay(true);
                        return Some((stream, peer, permit));
                    }
                    Err(refusal) => self.log_refusal(refusal, peer),
                },
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    self.admission.counters.accept_errors.fetch_add(1, Relaxed);
                    if let Some(kept_back) = self.errors.line(Instant::now()) {
                        tracing::error!(%error, kept_back, "Cannot accept connections; trying again every 200 ms");
                    }
                    // Without a pause the loop would spin: the connection stays in the queue, and so does the error.
                    tokio::select! {
                        () = stop.cancelled() => return None,
                        () = sleep(Duration::from_millis(200)) => {}
                    }
                }
            }
        }
    }

    fn log_refusal(&mut self, refusal: admission::Refusal, peer: SocketAddr) {
        let Some(kept_back) = self.refusals.line(Instant::now()) else { return };
        let limit = match refusal {
            admission::Refusal::Total => "max_connections",
            admission::Refusal::Peer => "max_connections_per_peer",
        };
        tracing::warn!(%peer, limit, kept_back, "Closed a connection: a limit is reached");
    }
}

/// Errors of accept(2) that belong to one connection and say nothing about the next.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
