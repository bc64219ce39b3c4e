//! axum and tonic with nothing behind them, over the TLS that certmint uses.

use super::service::Bare;
use crate::recorded::ANSWER_JSON;
use crate::support::Failure;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1::certificate_service_server::CertificateServiceServer;
use certmint::transport::tls::{self, DevCa, DevCertificates};
use http::header::CONTENT_TYPE;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Serves what was recorded in `folder` until the process is ended.
pub(super) fn run(folder: &Path) -> Result<(), Failure> {
    let json = Bytes::from(fs::read(folder.join(ANSWER_JSON))?);
    let service = CertificateServiceServer::new(Bare::new(folder)?);
    let answer = get(move || async move { ([(CONTENT_TYPE, "application/json; charset=utf-8")], json.clone()) });
    let mut app: Router = tonic::service::Routes::new(service).prepare().into_axum_router();
    for path in ["/certificates/{name}/pending", "/certificates", "/secrets/{name}"] {
        app = app.route(path, answer.clone());
    }
    let certificates = DevCertificates::new(DevCa::load_or_create(folder, now())?, "localhost", now)?;
    let tls = TlsAcceptor::from(tls::with_resolver(Arc::new(certificates))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(tls, app))
}

async fn serve(tls: TlsAcceptor, app: Router) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("bare listens on https://localhost:{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (tls, app) = (tls.clone(), app.clone());
        tokio::spawn(async move {
            let Ok(tls) = tls.accept(tcp).await else { return };
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(1024);
            // The client goes when it has measured; how it goes does not matter.
            let _ = builder.serve_connection(TokioIo::new(tls), TowerToHyperService::new(app)).await;
        });
    }
}
