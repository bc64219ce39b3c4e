//! The server certificate, the callers' tokens and their rights, and their reload when the files change.

use super::access::GrantsFile;
use super::error::{AppError, part};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::transport::auth::{Auth, Tokens};
use crate::transport::tls::{self, FileCertificates};
use rustls::ServerConfig;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Waits between two looks at the files; SIGHUP looks at once. Streams of a token that was removed end this soon.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the APIs and the port need.
pub(super) struct Credentials {
    pub(super) tls: Arc<ServerConfig>,
    pub(super) auth: Auth,
    /// The CA of a development server, for clients to trust.
    pub(super) dev_ca: Option<PathBuf>,
    certificates: Option<Arc<FileCertificates>>,
}

/// Reads what the configuration names; in development mode makes it.
pub(super) fn open(config: &Config, metrics: &Metrics) -> Result<Credentials, AppError> {
    let auth = match &config.auth.tokens_file {
        Some(file) => Auth::Tokens(Arc::new(Tokens::load(file).map_err(part("callers cannot be authenticated"))?)),
        // Only development goes without: anything else was refused before.
        None => Auth::Development,
    };
    if config.dev {
        let ca =
            tls::DevCa::load_or_create(&config.data_dir, now()).map_err(part("the development CA cannot be used"))?;
        let dev_ca = Some(ca.path().to_owned());
        let certificates = tls::DevCertificates::new(ca, config.base_domain.as_str(), now)
            .map_err(part("the server certificate cannot be made"))?;
        let tls = tls::with_resolver(Arc::new(certificates)).map_err(part("TLS cannot be set up"))?;
        return Ok(Credentials { tls, auth, dev_ca, certificates: None });
    }
    let (files, _, _) = config.for_others()?;
    let certificates = FileCertificates::load(&files.certificate, &files.key)
        .map_err(part("the server certificate cannot be used"))?;
    let certificates = Arc::new(certificates);
    metrics.set_tls_not_after(certificates.not_after().unwrap_or(0));
    let tls = tls::with_resolver(certificates.clone()).map_err(part("TLS cannot be set up"))?;
    Ok(Credentials { tls, auth, dev_ca: None, certificates: Some(certificates) })
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Credentials {
    /// Keeps tokens, certificate and grants as their files are; no task if there are none.
    pub(super) fn reload(
        &self,
        grants: Option<Arc<GrantsFile>>,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let tokens = match &self.auth {
            Auth::Development => None,
            Auth::Tokens(tokens) => Some(tokens.clone()),
        };
        let certificates = self.certificates.clone();
        (tokens.is_some() || certificates.is_some() || grants.is_some())
            .then(|| Files { tokens, certificates, grants, metrics, told: Default::default() }.watch(shutdown))
    }
}

struct Files {
    tokens: Option<Arc<Tokens>>,
    certificates: Option<Arc<FileCertificates>>,
    grants: Option<Arc<GrantsFile>>,
    metrics: Arc<Metrics>,
    /// The last problem of each, so that a persisting one is logged once.
    told: [Option<String>; 3],
}

impl Files {
    async fn watch(mut self, shutdown: CancellationToken) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!("SIGHUP cannot be handled; changed files are found by polling");
            return self.look_until(shutdown).await;
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => tracing::info!("SIGHUP: reloading tokens, certificate and grants"),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.look().await;
        }
    }

    async fn look_until(&mut self, shutdown: CancellationToken) {
        while tokio::time::timeout(LOOK_EVERY, shutdown.cancelled()).await.is_err() {
            self.look().await;
        }
    }

    /// Read on a thread of its own: a file on a network may keep its reader waiting.
    async fn look(&mut self) {
        if let Some(tokens) = self.tokens.clone() {
            let reloaded = blocking({
                let tokens = tokens.clone();
                move || tokens.reload()
            })
            .await;
            if told(&self.metrics, "tokens", reloaded, &mut self.told[0]) {
                tracing::info!(file = %tokens.path().display(), tokens = tokens.count(), "Reloaded the tokens file");
            }
        }
        if let Some(certificates) = self.certificates.clone() {
            let reloaded = blocking({
                let certificates = certificates.clone();
                move || certificates.reload()
            })
            .await;
            if told(&self.metrics, "tls", reloaded, &mut self.told[1]) {
                let not_after = certificates.not_after().unwrap_or(0);
                self.metrics.set_tls_not_after(not_after);
                tracing::info!(not_after, "Reloaded the server certificate");
            }
        }
        if let Some(grants) = self.grants.clone() {
            let reloaded = blocking({
                let grants = grants.clone();
                move || grants.reload()
            })
            .await;
            if told(&self.metrics, "access", reloaded, &mut self.told[2]) {
                tracing::info!(file = %grants.path().display(), "Reloaded the file of grants");
            }
        }
    }
}

/// A panic goes on in the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only where the runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Counts and logs how it went; whether there is something new.
fn told<E: Error>(metrics: &Metrics, file: &'static str, reloaded: Result<bool, E>, last: &mut Option<String>) -> bool {
    match reloaded {
        Ok(changed) => {
            *last = None;
            if changed {
                metrics.reloaded(file, true);
            }
            changed
        }
        Err(error) => {
            let problem = error.to_string();
            if last.as_ref() != Some(&problem) {
                metrics.reloaded(file, false);
                tracing::error!(file, %error, "a changed file cannot be used; the previous content stays in effect");
                *last = Some(problem);
            }
            false
        }
    }
}
