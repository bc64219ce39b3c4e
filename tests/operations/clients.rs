//! Clients of both APIs and of the operators' port: raw requests in, whole answers out.

use crate::server::{Place, Server};
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::{
    CertificatePolicy, CreateCertificateRequest, IssuerParameters, KeyProperties, KeyType, WatchPendingRequest,
    WatchPendingResponse, WatchSnapshot, X509Properties,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt;

/// One REST request on a connection of its own: the whole answer, head and body.
pub(crate) async fn rest(
    server: &Server,
    place: &Place,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: &str,
) -> String {
    let authorization = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost:8443\r\nconnection: close\r\n{authorization}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    talk(server, place, request.as_bytes()).await
}

/// Sends these bytes on a connection of their own, and reads until the server closes it.
pub(crate) async fn talk(server: &Server, place: &Place, request: &[u8]) -> String {
    let mut roots = RootCertStore::empty();
    let chain = std::fs::read(place.file("tls.crt")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&chain).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    tls.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // The end without a close_notify is an end all the same.
    let _ = tls.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// HTTP/2 without a library that reads by itself.
pub(crate) async fn connect_h2(
    address: std::net::SocketAddr,
    place: &Place,
    builder: &h2::client::Builder,
) -> h2::client::SendRequest<bytes::Bytes> {
    let mut roots = RootCertStore::empty();
    let chain = std::fs::read(place.file("tls.crt")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&chain).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (sender, connection) = builder.handshake(tls).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) async fn get(server: &Server, place: &Place, token: Option<&str>, path: &str) -> String {
    rest(server, place, token, "GET", path, "").await
}

pub(crate) const CREATE: &str = r#"{"policy":{"key_props":{"kty":"EC","crv":"P-256"},"x509_props":{"subject":"CN=web.example"},"issuer":{"name":"Self"}}}"#;

/// The status line and the body of one answer of the operators' port.
pub(crate) async fn admin(server: &Server, path: &str) -> (String, String) {
    let answer = admin_as(server, &server.admin.to_string(), path).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// The whole answer of the operators' port to a request for this host.
pub(crate) async fn admin_as(server: &Server, host: &str, path: &str) -> String {
    let mut tcp = TcpStream::connect(server.admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

type Bearer = Box<dyn Fn(Request<()>) -> Result<Request<()>, Status> + Send + Sync>;
pub(crate) type Client = CertificateServiceClient<InterceptedService<Channel, Bearer>>;

pub(crate) async fn channel(server: &Server, place: &Place) -> Channel {
    let pem = std::fs::read(place.file("tls.crt")).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)).domain_name("localhost");
    let url = format!("https://{}", server.address);
    Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await.unwrap()
}

pub(crate) async fn grpc(server: &Server, place: &Place, token: Option<&str>) -> Client {
    let header = token.map(|token| format!("Bearer {token}").parse().unwrap());
    let bearer: Bearer = Box::new(move |mut request| {
        if let Some(header) = &header {
            request.metadata_mut().insert("authorization", tonic::metadata::MetadataValue::clone(header));
        }
        Ok(request)
    });
    CertificateServiceClient::with_interceptor(channel(server, place).await, bearer)
}

pub(crate) fn create(name: &str) -> CreateCertificateRequest {
    CreateCertificateRequest {
        certificate_name: name.to_owned(),
        policy: Some(CertificatePolicy {
            key_properties: Some(KeyProperties { key_type: KeyType::Ec.into(), ..KeyProperties::default() }),
            x509_properties: Some(X509Properties { subject: format!("CN={name}"), ..X509Properties::default() }),
            issuer: Some(IssuerParameters { name: "Self".to_owned(), ..IssuerParameters::default() }),
            ..CertificatePolicy::default()
        }),
        ..CreateCertificateRequest::default()
    }
}

/// A stream that has sent its first bookmark; what follows is news.
pub(crate) async fn watch(
    client: &mut Client,
    resume_token: &str,
) -> Result<(Streaming<WatchPendingResponse>, String), Status> {
    let snapshot = WatchSnapshot::None.into();
    let resume_token = resume_token.to_owned();
    let request = WatchPendingRequest { snapshot, resume_token, ..WatchPendingRequest::default() };
    let mut stream = client.watch_pending(request).await?.into_inner();
    let first = stream.message().await?.unwrap();
    Ok((stream, first.resume_token))
}

/// The reason of the contract.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Asks until the answer is as it should be. Only a hang reaches its end, however busy the machine is.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    const LIMIT: Duration = Duration::from_secs(120);
    let deadline = Instant::now() + LIMIT;
    while !ask().await {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads an event stream until the server ends it.
pub(crate) async fn event_stream(
    address: std::net::SocketAddr,
    ca: &std::path::Path,
    token: &str,
    path: &str,
) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&std::fs::read(ca).unwrap()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    let _ = tls.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// The certificate that the port shows, whoever signed it.
pub(crate) async fn shown_certificate(address: std::net::SocketAddr) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Anybody(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await;
    let tls = tls.unwrap();
    tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Trusts everybody: the test looks at the certificate itself.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
