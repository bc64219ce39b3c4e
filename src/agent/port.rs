//! The port of the agent on loopback: `/livez`, `/readyz` and `/metrics`.

use super::board::Board;
use crate::metrics::CONTENT_TYPE;
use crate::transport::admin::{AdminHosts, AdminPort};
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE as TYPE};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Binds the port; what is returned serves it.
///
/// # Errors
/// The address is taken.
pub(super) async fn open(address: SocketAddr, board: Arc<Board>) -> io::Result<impl Future<Output = ()>> {
    let port = AdminPort::bind(address).await?;
    let (ready, metrics) = (Arc::clone(&board), board);
    let router = Router::new()
        .route("/livez", get(|| async { ([(CACHE_CONTROL, "no-store")], "ok\n") }))
        .route(
            "/readyz",
            get(move || async move {
                let status = if ready.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, [(CACHE_CONTROL, "no-store"), (TYPE, "application/json")], ready.json())
            }),
        )
        .route(
            "/metrics",
            get(move || async move { ([(TYPE, CONTENT_TYPE), (CACHE_CONTROL, "no-store")], metrics.metrics.text()) }),
        );
    Ok(port.serve(router, AdminHosts::default()))
}
