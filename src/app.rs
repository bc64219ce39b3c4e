//! The composition root: it and the files of `app` are the only ones that name concrete stores and issuers. Builds the
//! server from its configuration, runs it, and shuts it down in order.

mod access;
mod announce;
mod audit;
mod core_dumps;
mod credentials;
mod doctor;
mod error;
mod issuers;
mod leftovers;
mod master_keys;
mod observed_store;
mod parts;
mod plugin_test;
mod plugins;
mod publish;
mod signals;
mod store;
mod supervise;
mod upkeep;

use crate::config::{BaseDomain, Config};
use crate::keys::{Keys, Sealer};
use crate::metrics::{Budget, Metrics, Port};
use crate::service::watch::WatchLimits;
use crate::service::{AccessOptions, Service, ServiceOptions};
use crate::store::{Store, StoreUrl};
use crate::transport;
use crate::transport::admin::{AdminHosts, AdminPort, Probes};
use crate::transport::cors::Cors;
use crate::transport::grpc;
use crate::transport::listener::{BudgetStats, Listener, ListenerStats, Overrun, StatsReader, raise_open_file_limit};
use crate::transport::rest;
use crate::worker;
use crate::{cli, telemetry};
use announce::{announce, say};
pub use error::AppError;
use error::part;
pub use issuers::known as known_providers;
use parts::{equip_webhooks, grpc_options, rest_options, worker_options};
pub use plugin_test::plugin_test;
use plugins::Plugins;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Opened;
use supervise::Background;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What is said where a plug-in's settings keep the server from starting.
const PLUGINS: &str = "[[plugins]] cannot be used";

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// Where the configuration cannot be used or a part cannot be started; nothing is left running.
pub async fn serve(arguments: cli::ServeArgs) -> Result<(), AppError> {
    let config = configuration(arguments)?;
    telemetry::init(&config.log).map_err(part("the log cannot be set up"))?;
    if !config.dev {
        core_dumps::forbid();
        config.for_others()?;
    }
    raise_open_file_limit();
    make_folder(&config.data_dir)?;
    let address = config.listen;
    let failed = |source| AppError::Listen { address, option: "--listen", source };
    let listener = Listener::bind(address, config.listener.clone()).await.map_err(failed)?;
    let address = listener.local_addr();

    let http01 = issuers::bind_http01(&config.acme).await?;
    let publish = publish::bind(&config.publish).await?;
    let plugins = Plugins::open(&config.plugins).map_err(part(PLUGINS))?;

    let (stop, draining) = (CancellationToken::new(), CancellationToken::new());
    let background = CancellationToken::new();
    let metrics = Arc::new(Metrics::new());
    let probes = Probes::new(metrics.clone(), draining.clone(), config.admin.store_timeout, config.admin.tail_lag);
    // Open before the store is, so that a long start can be seen; it ends with this function.
    let admin = admin_port(&config, &probes).await?;
    count_connections(&metrics, listener.stats());
    // The crypto library gathers its entropy with the first signature, for some 30 ms: meanwhile the store is opened.
    let (access, grants) = access::open(&config).map_err(part("[access] cannot be used"))?;
    // From here on: what is opened may wait for long, and the first process of a container has no other way to end.
    let mut signals = signals::Signals::listen().map_err(part("cannot install signal handlers"))?;
    let opening = async {
        tokio::try_join!(open_credentials(&config, &metrics), build(&config, access, &metrics, &plugins, &probes))
    };
    let (credentials, (service, opened)) = tokio::select! {
        opened = opening => opened?,
        () = signals.any() => {
            tracing::info!("stopped by a signal before it was ready");
            return Ok(());
        }
    };
    credentials.ask(service.publications());
    equip_webhooks(&config, &service)?;
    let grants = grants.map(|read| Arc::new(read.follow(service.access().clone())));
    let store_failed = opened.failed.clone();
    let mut tasks = Background::default();
    tasks.spawn("log tail", {
        let (service, background) = (service.clone(), background.clone());
        async move { service.watch().tail(background).await }
    });
    tasks.spawn("grants", {
        let (service, background) = (service.clone(), background.clone());
        async move { service.grants().follow(background).await }
    });
    tasks.spawn("worker", worker::run(service.clone(), worker_options(&config), background.clone()));
    let authenticate = upkeep::authenticate(service.clone(), config.store.upgrade_window, background.clone());
    tasks.spawn_once("record authentication", authenticate);
    let adopt = upkeep::adopt_issued(service.clone(), config.store.upgrade_window, background.clone());
    tasks.spawn_once("logs of built-in CAs", adopt);
    let renewals = upkeep::adopt_renewals(service.clone(), config.store.upgrade_window, background.clone());
    tasks.spawn_once("due times of renewals", renewals);
    tasks.spawn("look at certificates", upkeep::survey(service.clone(), background.clone()));
    tasks.spawn("audit ledger", audit::keep_up(service.audit(), background.clone()));
    let keys = upkeep::master_keys(service.clone(), opened.alone, background.clone());
    tasks.spawn("master keys", keys);
    let upkeep = upkeep::run(opened, service.clone(), background.clone());
    tasks.spawn("log trimming", upkeep);
    tasks.spawn_once("log count", upkeep::count_history(service.clone(), background.clone()));
    if let Some(reload) = credentials.reload(grants, metrics, background.clone()) {
        tasks.spawn("reload of files", reload);
    }
    if let Some(issuers) = credentials.issuers() {
        tasks.spawn("keys of issuers of tokens", issuers.clone().follow(background.clone()));
    }
    tasks.spawn("plug-ins", plugins.follow(service.clone(), background.clone()));
    if let Some(port) = http01 {
        let serve = issuers::serve_http01(port, service.clone(), background.clone());
        tasks.spawn("http-01 port", serve);
    }

    if let Some(port) = publish {
        tasks.spawn("port of the CAs", publish::serve(port, &service, background.clone()));
    }

    let grpc_options = grpc_options(&config, &credentials.auth, &draining);
    let api_tasks = grpc_options.tasks.clone();
    let app = transport::app(
        grpc::api(service.clone(), grpc_options),
        rest::router(service.clone(), rest_options(&config, &credentials.auth, &stop)),
    )
    .with_cors(Cors::new(config.cors.origins(config.dev)));
    leftovers::remove(&config.data_dir);
    announce(address, &config, &credentials, admin.as_ref().map(|(address, _)| *address));
    let delay = config.shutdown.delay(config.dev);
    tasks.spawn("signals", {
        let (draining, stop, background) = (draining.clone(), stop.clone(), background.clone());
        async move {
            tokio::select! {
                () = signals.stop(draining, delay, stop) => {}
                () = background.cancelled() => {}
            }
        }
    });
    let audit = service.audit();
    audit.begin().await.map_err(part("the audit ledger cannot be written"))?;
    probes.started(service);
    let mut admin = admin.map(|(_, port)| port);
    let mut serving = std::pin::pin!(listener.serve(credentials.tls, app, stop.clone()));
    let failed = tokio::select! {
        biased;
        () = &mut serving => None,
        task = tasks.failed() => Some(task),
        () = store_failed.cancelled() => Some("store"),
        () = ended(&mut admin) => Some("operators' port"),
    };
    if let Some(task) = failed {
        tracing::error!(task, "a required background task has ended; the server stops so that it can be restarted");
        draining.cancel();
        // Gives load balancers time to notice, as in any other shutdown.
        let _ = tokio::time::timeout(delay, &mut serving).await;
        stop.cancel();
        serving.await;
    }

    background.cancel();
    draining.cancel();
    tasks.end().await;
    api_tasks.close();
    api_tasks.wait().await;
    audit.end().await;
    if let Some(admin) = admin {
        admin.abort();
    }
    tracing::info!("stopped");
    failed.map_or(Ok(()), |task| Err(AppError::Ended { task }))
}

/// The end of the operators' port, which has none where all is well.
async fn ended(port: &mut Option<JoinHandle<()>>) {
    match port {
        Some(port) => drop(port.await),
        None => std::future::pending().await,
    }
}

async fn open_credentials(config: &Config, metrics: &Arc<Metrics>) -> Result<credentials::Credentials, AppError> {
    let (config, metrics) = (config.clone(), metrics.clone());
    tokio::task::spawn_blocking(move || credentials::open(&config, &metrics))
        .await
        .map_err(part("TLS cannot be set up"))?
}

async fn admin_port(config: &Config, probes: &Probes) -> Result<Option<(SocketAddr, JoinHandle<()>)>, AppError> {
    let Some(address) = config.admin.listen.address(config.dev) else { return Ok(None) };
    let failed = |source| AppError::Listen { address, option: "--admin-listen", source };
    let port = AdminPort::bind(address).await.map_err(failed)?;
    let names = config.admin.hosts.iter().chain(&config.hosts).chain([&config.base_domain]);
    let hosts = AdminHosts::new(names.map(|name| name.as_str().to_owned()).collect());
    Ok(Some((port.local_addr(), tokio::spawn(port.serve(probes.router(), hosts)))))
}

fn count_connections(metrics: &Metrics, port: StatsReader) {
    metrics.before_text(move |metrics| {
        let ListenerStats { open, accepted, refused_total, refused_peer, handshakes_failed, accept_errors, aged, cut } =
            port.read();
        metrics.set_port(Port {
            open,
            accepted,
            refused_total,
            refused_peer,
            handshakes_failed,
            accept_errors,
            aged,
            cut,
        });
        let BudgetStats {
            bytes,
            anonymous_bytes,
            anonymous_requests,
            anonymous_connections,
            refused,
            stalled,
            stalled_connections,
            displaced,
        } = port.budget();
        metrics.set_budget(&Budget {
            bytes,
            anonymous_bytes,
            anonymous_requests,
            anonymous_connections,
            refused: Overrun::ALL.iter().map(|(_, name)| *name).zip(refused).collect(),
            stalled,
            stalled_connections,
            displaced,
        });
    });
}

fn configuration(arguments: cli::ServeArgs) -> Result<Config, AppError> {
    let cli::ServeArgs { dev, data_dir, listen, admin_listen, base_domain, config, store, log_format } = arguments;
    let base_domain = base_domain
        .map(|text| text.parse::<BaseDomain>())
        .transpose()
        .map_err(part("--base-domain is not a domain"))?;
    let store = store_url(store)?;
    Ok(Config::load(config.as_deref(), |config| {
        config.dev |= dev;
        replace(&mut config.data_dir, data_dir);
        replace(&mut config.listen, listen);
        replace(&mut config.admin.listen, admin_listen);
        replace(&mut config.base_domain, base_domain);
        replace(&mut config.log.format, log_format);
        config.store.url = store.or(config.store.url.take());
    })?)
}

fn replace<T>(setting: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *setting = value;
    }
}

fn store_url(given: Option<cli::Secret>) -> Result<Option<StoreUrl>, AppError> {
    given.map(|text| text.reveal().parse()).transpose().map_err(part("--store cannot be used"))
}

/// The configuration of a command that works on the store alone.
fn store_configuration(arguments: cli::StoreArgs) -> Result<Config, AppError> {
    let cli::StoreArgs { data_dir, store, config } = arguments;
    let config = configuration(cli::ServeArgs { data_dir, store, config, ..cli::ServeArgs::default() })?;
    telemetry::init(&config.log).map_err(part("the log cannot be set up"))?;
    Ok(config)
}

/// Brings the tables of the store up to date.
///
/// # Errors
/// Where the store cannot be opened, or is of a newer version.
pub async fn migrate(arguments: cli::StoreArgs) -> Result<(), AppError> {
    let told = store::migrate(&store_configuration(arguments)?).await?;
    say(&format!("{told}\n"));
    Ok(())
}

/// Gives the store a new epoch, after it was restored from a backup.
///
/// # Errors
/// Where the store cannot be opened; the embedded one also where a server has it open.
pub async fn new_epoch(arguments: cli::StoreArgs) -> Result<(), AppError> {
    let epoch = store::new_epoch(&store_configuration(arguments)?).await?;
    say(&format!("the epoch is now {epoch}; resume tokens from before are refused\n"));
    Ok(())
}

/// Checks the records of a store, without a server, or removes one of them; answers whether all is well.
///
/// # Errors
/// Where the store cannot be opened, or the record is not one to be removed.
pub async fn doctor_store(arguments: cli::StoreDoctorArgs) -> Result<bool, AppError> {
    doctor::store(arguments).await
}

/// Verifies files of the audit ledger, without a server; answers whether nothing shows a change.
///
/// # Errors
/// Where a file cannot be read, or a key is none.
pub fn audit_verify(arguments: cli::VerifyArgs) -> Result<bool, AppError> {
    audit::verify(arguments)
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

/// The use cases over the store.
async fn build(
    config: &Config,
    access: AccessOptions,
    metrics: &Arc<Metrics>,
    plugins: &Plugins,
    probes: &Probes,
) -> Result<(Service, Opened), AppError> {
    let Opened { store, clock, alone, failed } = store::open(config).await?;
    let lines = store::master_keys(config, &*store)?;
    let waits = |what| probes.waits(what);
    let master_keys = master_keys::wait(lines, config.keys.master_key_timeout, waits).await?;
    let store: Arc<dyn Store> = Arc::new(observed_store::ObservedStore { inner: store, metrics: metrics.clone() });
    let sealer = Arc::new(Sealer::new(master_keys));
    let keys = Keys::new(sealer, &config.keys, &config.limits).map_err(part("the key threads cannot be started"))?;
    let keys = Arc::new(keys);
    let issuers = plugins.add_to(issuers::all(config, &keys, &clock)?).map_err(part(PLUGINS))?;
    let options = ServiceOptions {
        limits: config.limits.clone(),
        takeover: store::takeover(config),
        vaults: config.vaults.clone(),
        ca: config.publish.clone(),
        renewal: config.renewal.clone(),
        watch: WatchLimits { drain_spread: config.stream_spread(), ..WatchLimits::default() },
        access,
        audit: config.audit.clone(),
        ..ServiceOptions::default()
    };
    let service = Service::new(store.clone(), issuers, keys, clock.clone(), options)
        .await
        .map_err(part("the service cannot be started"))?;
    service.check_master_keys().await.map_err(part("the master keys cannot be used"))?;
    if alone {
        let cannot = "the records of the store cannot be adopted";
        service.authenticate_records(Duration::ZERO).await.map_err(part(cannot))?;
        service.finish_interrupted().await.map_err(part(cannot))?;
    }
    Ok((service.counting_in(metrics.clone()), Opened { store, clock, alone, failed }))
}
