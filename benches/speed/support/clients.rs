//! Clients: one HTTP/1.1 connection, and one HTTP/2 connection for gRPC, over TLS.

use super::{Failure, Server};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// One connection of HTTP/1.1 and what every request on it has.
pub(crate) struct Http {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
}

/// What trusts the CA of a server and speaks HTTP/1.1.
pub(crate) fn client_tls(server: &Server) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&server.ca()?)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Http {
    pub(crate) async fn connect(tls: &TlsConnector, port: u16) -> Result<Self, Failure> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let tls = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: format!("localhost:{port}") })
    }

    /// Asks another vault from here on.
    pub(crate) fn of_vault(self, vault: &str) -> Self {
        Self { host: format!("{vault}.{}", self.host), ..self }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, "Bearer bench")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok((head.status, body.collect().await?.to_bytes()))
    }
}

/// One connection of HTTP/2.
pub(crate) async fn channel(server: &Server) -> Result<Channel, Failure> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(server.ca()?)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{}", server.port))?.tls_config(tls)?;
    Ok(endpoint.tcp_nodelay(true).connect().await?)
}
