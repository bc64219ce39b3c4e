//! The composition root: the only file that names concrete stores and issuers. Builds the server
//! from its configuration, runs it, and takes it down in order.

mod upkeep;

use crate::clock::{Clock, SystemClock};
use crate::config::{BaseDomain, Config, ConfigError, Overrides};
use crate::issuer::local_ca::LocalCa;
use crate::issuer::self_signed::SelfSigned;
use crate::issuer::test::TestIssuer;
use crate::issuer::{Issuer, Issuers};
use crate::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use crate::service::watch::WatchLimits;
use crate::service::{self, Service, VaultOptions};
use crate::store::Store;
use crate::store::sqlite::{Sqlite, SqliteOptions};
use crate::transport::auth::Auth;
use crate::transport::grpc::{self, GrpcOptions};
use crate::transport::listener::{Listener, raise_open_file_limit};
use crate::transport::rest::{self, RestOptions};
use crate::transport::{self, tls};
use crate::worker::{self, WorkerOptions};
use crate::{cli, telemetry};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Why the server did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("authentication of callers is not available yet, so the server runs in development mode only: add --dev")]
    NoAuthentication,
    #[error("cannot make the data folder {}: {source}", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; choose another port with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{what}: {source}")]
    Part { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

fn part<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> AppError {
    move |source| AppError::Part { what, source: source.into() }
}

/// Runs the server until it is told to stop (SIGTERM or SIGINT).
///
/// # Errors
/// Where the configuration cannot be used or a part cannot be started; nothing is left running.
pub async fn serve(arguments: cli::ServeArgs) -> Result<(), AppError> {
    let config = configuration(arguments)?;
    telemetry::init(&config.log).map_err(part("the log cannot be set up"))?;
    if !config.dev {
        return Err(AppError::NoAuthentication);
    }
    raise_open_file_limit();
    make_folder(&config.data_dir)?;
    let address = config.listen;
    let listener = Listener::bind(address, config.listener.clone())
        .await
        .map_err(|source| AppError::Listen { address, source })?;
    let address = listener.local_addr();

    let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let ca = tls::DevCa::load_or_create(&config.data_dir, now).map_err(part("the development CA cannot be used"))?;
    let ca_file = ca.path().to_owned();
    let clock =
        || OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let certificates = tls::DevCertificates::new(ca, config.base_domain.as_str(), clock)
        .map_err(part("the server certificate cannot be made"))?;
    let tls = tls::with_resolver(Arc::new(certificates)).map_err(part("TLS cannot be set up"))?;

    let (service, store) = build(&config).await?;
    let stop = CancellationToken::new();
    let background = CancellationToken::new();
    let tail = tokio::spawn({
        let (service, background) = (service.clone(), background.clone());
        async move { service.tail(background).await }
    });
    let options = WorkerOptions { concurrency: config.limits.worker_concurrency.get(), ..WorkerOptions::default() };
    let worker = tokio::spawn(worker::run(service.clone(), options, background.clone()));
    let upkeep = tokio::spawn(upkeep::run(store, service.clone(), config.limits.clone(), background.clone()));

    let app = transport::app(
        grpc::routes(service.clone(), grpc_options(&config, &stop)),
        rest::router(service.clone(), rest_options(&config, &stop)),
    );
    announce(address, &config, &ca_file);
    tokio::spawn(stop_on_signal(stop.clone()));
    listener.serve(tls, app, stop).await;

    background.cancel();
    for task in [tail, worker, upkeep] {
        if let Err(error) = task.await {
            tracing::error!(%error, "a background task ended badly");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn configuration(arguments: cli::ServeArgs) -> Result<Config, AppError> {
    let cli::ServeArgs { dev, data_dir, listen, base_domain, config, log_format } = arguments;
    let base_domain = base_domain
        .map(|text| text.parse::<BaseDomain>())
        .transpose()
        .map_err(part("--base-domain is not a domain"))?;
    let overrides = Overrides {
        data_dir,
        listen,
        base_domain,
        dev: dev.then_some(true),
        log_format: log_format.map(|form| match form {
            cli::LogForm::Text => telemetry::LogFormat::Text,
            cli::LogForm::Json => telemetry::LogFormat::Json,
        }),
        log_filter: None,
    };
    Ok(Config::load(config.as_deref(), overrides)?)
}

/// The folder is its owner's alone: it holds keys.
fn make_folder(path: &Path) -> Result<(), AppError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| AppError::DataDir { path: path.to_owned(), source })
}

/// The use cases over the embedded store.
async fn build(config: &Config) -> Result<(Service, Arc<dyn Store>), AppError> {
    let master_keys = MasterKeys::load_or_create(&config.data_dir.join("master.key"))
        .map_err(part("the master key cannot be used"))?;
    let sealer = Arc::new(Sealer::new(master_keys));
    let options = KeyOptions { queue: config.limits.key_queue.get(), ..KeyOptions::default() };
    let keys = Keys::new(sealer.clone(), options).map_err(part("the key threads cannot be started"))?;
    let store = Sqlite::open(&config.data_dir.join("certmint.db"), SqliteOptions::default())
        .map_err(part("the store cannot be opened"))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let self_signed: Arc<dyn Issuer> = Arc::new(SelfSigned::new(sealer.clone()));
    let mut issuers = Issuers::new(self_signed.clone()).with("LocalCA", Arc::new(LocalCa::new(sealer)));
    if config.dev {
        issuers = issuers.with("Test", Arc::new(TestIssuer::new(self_signed)));
    }
    let limits = service::Limits {
        watch: WatchLimits {
            per_connection: config.limits.watch_streams_per_connection.get(),
            per_principal: config.limits.watch_streams_per_principal.get(),
            total: config.limits.watch_streams.get(),
            ..WatchLimits::default()
        },
        backup_bytes: config.limits.backup_bytes.get(),
        vaults: VaultOptions {
            on_demand: config.vaults.on_demand.unwrap_or(config.dev),
            defaults: config.vaults.defaults(),
            named: config.vaults.settings(),
        },
        ..service::Limits::default()
    };
    let service = Service::new(store.clone(), issuers, Arc::new(keys), Arc::new(SystemClock), limits)
        .await
        .map_err(part("the service cannot be started"))?;
    Ok((service, store))
}

fn grpc_options(config: &Config, stop: &CancellationToken) -> GrpcOptions {
    GrpcOptions {
        base_domain: config.base_domain.as_str().to_owned(),
        message_limit: config.limits.request_body_bytes.get(),
        backup_limit: config.limits.backup_bytes.get(),
        call_timeout: config.limits.request_timeout,
        closing: stop.clone(),
    }
}

fn rest_options(config: &Config, stop: &CancellationToken) -> RestOptions {
    RestOptions {
        base_domain: config.base_domain.as_str().to_owned(),
        body_limit: config.limits.request_body_bytes.get(),
        backup_limit: config.limits.backup_bytes.get(),
        body_timeout: config.limits.body_read_timeout,
        closing: stop.clone(),
        ..RestOptions::new(Auth::Development)
    }
}

/// What a person copies to begin. Written once, after the port is open.
fn announce(address: SocketAddr, config: &Config, ca: &Path) {
    let (port, ca) = (address.port(), ca.display());
    let base = format!("https://{}:{port}", config.base_domain.as_str());
    let text = format!(
        "certmint {version} listens on {base} (development mode, data in {data})\n\n\
         curl:     curl --cacert {ca} -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' '{base}/certificates/web/create?api-version=7.4' -d '{{\"policy\":{{\"x509_props\":{{\"subject\":\"CN=web.example\"}},\"issuer\":{{\"name\":\"Self\"}}}}}}'\n\
         grpcurl:  grpcurl -cacert {ca} -d '{{\"certificate_name\":\"web\"}}' localhost:{port} certmint.v1.CertificateService/GetPending\n\
         certmint: certmint --server {base} --ca {ca} watch\n\n",
        version = env!("CARGO_PKG_VERSION"),
        data = config.data_dir.display(),
    );
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received; stop the server with SIGKILL, nothing is lost by it");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: open requests may end; a second signal ends the process at once");
    stop.cancel();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    std::process::exit(130);
}

/// Waits between two looks at the age of the log and at the vaults that others made.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
