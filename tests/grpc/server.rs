//! A whole server in this process: service, worker, both APIs, and the real listener with TLS on a
//! free port of loopback.

use crate::background::Background;
use bytes::Bytes;
use certmint::clock::{Clock, SystemClock};
use certmint::keys::MasterKeys;
use certmint::limits::Limits;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::key_service_client::KeyServiceClient;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::transport::grpc::{self, GrpcOptions};
use certmint::transport::listener::{Listener, ListenerOptions, StatsReader};
use certmint::transport::rest::{self, RestOptions};
use certmint::transport::tls::{self, DevCa, DevCertificates};
use certmint::transport::{self, auth::Auth};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// What a test changes of the server that it starts.
#[derive(Default)]
pub(crate) struct Setup {
    /// SQLite in memory if there is none.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// Random if there are none.
    pub(crate) keys: Option<MasterKeys>,
    pub(crate) options: ServiceOptions,
    pub(crate) listener: ListenerOptions,
    /// Its `closing` is set by the server.
    pub(crate) grpc: GrpcOptions,
}

/// A server that runs until it is stopped or dropped.
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) port: u16,
    pub(crate) stats: StatsReader,
    pub(crate) stop: CancellationToken,
    ca_pem: String,
    served: JoinHandle<()>,
    background: Background,
    /// Ends the server with the test.
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::with(Setup { options: limits.into(), ..Setup::default() }).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let Setup { store, keys, options, listener, grpc } = setup;
        let store = store.unwrap_or_else(|| Arc::new(Sqlite::open_in_memory().unwrap()));
        let keys = keys.unwrap_or_else(MasterKeys::random);
        let (background, service) = Background::start(store, keys, options).await;

        let folder = tempfile::tempdir().unwrap();
        let now = || OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap();
        let ca = DevCa::load_or_create(folder.path(), now()).unwrap();
        let ca_pem = ca.pem().to_owned();
        let tls = tls::with_resolver(Arc::new(DevCertificates::new(ca, "localhost", now).unwrap())).unwrap();
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(address, listener).await.unwrap();
        let (port, stats, stop) = (listener.local_addr().port(), listener.stats(), CancellationToken::new());
        let rest = RestOptions { closing: stop.clone(), ..RestOptions::new(Auth::Development) };
        let app = transport::app(
            grpc::api(service.clone(), GrpcOptions { closing: stop.clone(), ..grpc }),
            rest::router(service.clone(), rest),
        );
        let served = tokio::spawn(listener.serve(tls, app, stop.clone()));
        let _stop = stop.clone().drop_guard();
        Self { service, port, stats, stop, ca_pem, served, background, _stop }
    }

    /// A server on a database in a folder, which another one can go on with after [`Server::end`].
    pub(crate) async fn on_file(folder: &Path, options: ServiceOptions) -> Self {
        let store = Arc::new(Sqlite::open(&folder.join("certmint.db"), SqliteOptions::default()).unwrap());
        let keys = Some(MasterKeys::load_or_create(&folder.join("master.key")).unwrap());
        Self::with(Setup { store: Some(store), keys, options, listener: quick(), ..Setup::default() }).await
    }

    /// Stops the server as a signal does; how long that took.
    pub(crate) async fn end(self) -> Duration {
        let Self { service, stop, served, background, .. } = self;
        let begun = Instant::now();
        stop.cancel();
        served.await.unwrap();
        let took = begun.elapsed();
        drop(service);
        background.stopped().await;
        took
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        self.channel_to("localhost").await
    }

    /// A connection whose calls have the authority `host`, with the port.
    pub(crate) async fn channel_to(&self, host: &str) -> Channel {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca_pem)).domain_name(host);
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{}", self.port)).unwrap();
        let origin = format!("https://{host}:{}", self.port).parse().unwrap();
        endpoint.origin(origin).tls_config(tls).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn certificates(&self) -> CertificateServiceClient<Channel> {
        CertificateServiceClient::new(self.channel().await)
    }

    pub(crate) async fn issuers(&self) -> CertificateAdminServiceClient<Channel> {
        CertificateAdminServiceClient::new(self.channel().await)
    }

    pub(crate) async fn secrets(&self) -> SecretServiceClient<Channel> {
        SecretServiceClient::new(self.channel().await)
    }

    pub(crate) async fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel().await)
    }

    /// TLS to the port, offering these protocols.
    pub(crate) async fn tls(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// HTTP/2 without a library between: for what clients hide.
    pub(crate) async fn h2(&self) -> h2::client::SendRequest<Bytes> {
        self.h2_with(Self::wide()).await
    }

    /// Takes many unread frames of many streams, as the clients of the libraries do.
    pub(crate) fn wide() -> h2::client::Builder {
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1 << 26);
        builder
    }

    pub(crate) async fn h2_with(&self, builder: h2::client::Builder) -> h2::client::SendRequest<Bytes> {
        let (sender, connection) = builder.handshake(self.tls(&["h2"]).await).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap()
    }

    /// Waits until `done`, because the server acts after the client has seen the effect.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let acts = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(what, acts).await;
    }
}

/// Only a hang reaches it: how busy the machine is does not decide what a test says.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A stop that is over long before its time only where everything ends by itself.
pub(crate) fn quick() -> ListenerOptions {
    ListenerOptions { drain: HANG * 2, hard_stop: HANG * 3, ..ListenerOptions::default() }
}

/// Fails the test where something takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANG, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {HANG:?}: {what}"),
    }
}
