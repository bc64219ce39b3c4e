//! The server certificate, the callers' tokens and their rights, and their reload when the files change.

use super::access::GrantsFile;
use super::error::{AppError, part};
use super::parts::clients;
use crate::clock::{Clock, SystemClock};
use crate::config::{AuthSettings, Config};
use crate::domain::{Serial, Timestamp};
use crate::jwt::{Issuers, IssuersOptions, SourceState};
use crate::metrics::{IssuerKeys, Metrics};
use crate::mtls::{ClientTrust, Possession, Revocations, TrustOptions};
use crate::outbound::Clients;
use crate::service::Publications;
use crate::transport::auth::{Auth, Tokens};
use crate::transport::tls::{self, FileCertificates};
use async_trait::async_trait;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Waits between two looks at the files; SIGHUP looks at once. Streams of a token that was removed end this soon.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a file may take to be read. What takes longer is told as a failure, and waited for by its thread alone.
const PATIENCE: Duration = Duration::from_secs(10);

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
    let auth = auth(config)?;
    if let Auth::Known { issuers: Some(issuers), .. } = &auth {
        observe(issuers, metrics);
    }
    if let Auth::Known { certificates: Some(trust), .. } = &auth {
        let trust = trust.clone();
        metrics.before_text(move |metrics| metrics.set_client_certificates(&trust.counts()));
    }
    let with = |certificates: Arc<dyn ResolvesServerCert>| {
        // Clients are asked for nothing unless somebody may be known by it: browsers would ask their users.
        if !config.auth.takes_certificates() {
            return tls::with_resolver(certificates);
        }
        tls::with_clients(certificates, Arc::new(Possession::new(&config.auth.client_certificates)))
    };
    if config.dev {
        let ca =
            tls::DevCa::load_or_create(&config.data_dir, now()).map_err(part("the development CA cannot be used"))?;
        let dev_ca = Some(ca.path().to_owned());
        let certificates = tls::DevCertificates::new(ca, config.base_domain.as_str(), now)
            .map_err(part("the server certificate cannot be made"))?;
        let tls = with(Arc::new(certificates)).map_err(part("TLS cannot be set up"))?;
        return Ok(Credentials { tls, auth, dev_ca, certificates: None });
    }
    let (files, _) = config.for_others()?;
    let certificates = FileCertificates::load(&files.certificate, &files.key)
        .map_err(part("the server certificate cannot be used"))?;
    let certificates = Arc::new(certificates);
    metrics.set_tls_not_after(certificates.not_after().unwrap_or(0));
    let tls = with(certificates.clone()).map_err(part("TLS cannot be set up"))?;
    Ok(Credentials { tls, auth, dev_ca: None, certificates: Some(certificates) })
}

/// Who may call.
fn auth(config: &Config) -> Result<Auth, AppError> {
    let tokens = config.auth.tokens_file.as_deref().map(Tokens::load).transpose();
    let tokens = tokens.map_err(part("callers cannot be authenticated"))?.map(Arc::new);
    let issuers = issuers_of_tokens(config)?;
    let certificates = client_certificates(config)?;
    Ok(match (tokens, issuers, certificates) {
        // Only development goes without: anything else was refused before.
        (None, None, None) => Auth::Development,
        (tokens, issuers, certificates) => Auth::Known { tokens, issuers, certificates },
    })
}

/// The CAs whose client certificates are accepted, if there are any.
fn client_certificates(config: &Config) -> Result<Option<Arc<ClientTrust>>, AppError> {
    if !config.auth.takes_certificates() {
        return Ok(None);
    }
    let AuthSettings { spiffe, x509, client_certificates: certificates, .. } = &config.auth;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let trust = ClientTrust::open(TrustOptions { spiffe, x509, certificates }, &clock);
    Ok(Some(Arc::new(trust.map_err(part("callers cannot be authenticated"))?)))
}

/// The issuers whose tokens are accepted, if there are any; nothing is fetched yet.
fn issuers_of_tokens(config: &Config) -> Result<Option<Arc<Issuers>>, AppError> {
    let options = IssuersOptions { issuers: &config.auth.jwt, clients: &config.auth.client };
    if options.issuers.is_empty() && options.clients.is_empty() {
        return Ok(None);
    }
    let clients: Arc<dyn Clients> = Arc::new(clients(config)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let issuers = Issuers::open(options, &clients, &config.data_dir, &clock);
    Ok(Some(Arc::new(issuers.map_err(part("callers cannot be authenticated"))?)))
}

/// Shows the issuers in the metrics.
fn observe(issuers: &Arc<Issuers>, metrics: &Metrics) {
    let issuers = issuers.clone();
    metrics.before_text(move |metrics| {
        let keys = |source: SourceState| {
            let SourceState { provider, origin, fetched, keys, good, failed } = source;
            let fetched = fetched.map(Timestamp::seconds);
            IssuerKeys { issuer: provider.to_string(), origin, fetched, keys, good, failed }
        };
        let sources: Vec<IssuerKeys> = issuers.sources().into_iter().map(keys).collect();
        metrics.set_issuers_of_tokens(&sources, &issuers.refused());
    });
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Credentials {
    /// The issuers whose tokens are accepted, if there are any.
    pub(super) fn issuers(&self) -> Option<&Arc<Issuers>> {
        match &self.auth {
            Auth::Development => None,
            Auth::Known { issuers, .. } => issuers.as_ref(),
        }
    }

    /// Keeps tokens, certificate and grants as their files are; no task if there are none.
    pub(super) fn reload(
        &self,
        grants: Option<Arc<GrantsFile>>,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let tokens = match &self.auth {
            Auth::Development => None,
            Auth::Known { tokens, .. } => tokens.clone(),
        };
        let (certificates, clients) = (self.certificates.clone(), self.clients().cloned());
        (tokens.is_some() || certificates.is_some() || grants.is_some() || clients.is_some()).then(|| {
            let (told, reading) = (Default::default(), Default::default());
            Files { tokens, certificates, grants, clients, metrics, told, reading }.watch(shutdown)
        })
    }

    /// Lets certificates be refused that a CA of this server revoked.
    pub(super) fn ask(&self, cas: Publications) {
        if let Some(clients) = self.clients() {
            clients.ask(Arc::new(OwnCas(cas)));
        }
    }

    fn clients(&self) -> Option<&Arc<ClientTrust>> {
        match &self.auth {
            Auth::Development => None,
            Auth::Known { certificates, .. } => certificates.as_ref(),
        }
    }
}

/// What the CAs of this server have revoked.
struct OwnCas(Publications);

#[async_trait]
impl Revocations for OwnCas {
    async fn has_revoked(&self, issuer: &[u8], serial: &Serial) -> crate::domain::Result<bool> {
        self.0.has_revoked(issuer, serial).await
    }
}

struct Files {
    tokens: Option<Arc<Tokens>>,
    certificates: Option<Arc<FileCertificates>>,
    grants: Option<Arc<GrantsFile>>,
    clients: Option<Arc<ClientTrust>>,
    metrics: Arc<Metrics>,
    /// The last problem of each, so that a persisting one is logged once.
    told: [Option<String>; 4],
    reading: [Reading; 4],
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
                _ = hangup.recv() => tracing::info!("SIGHUP: reloading tokens, certificate, grants and CAs of clients"),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.look() => {}
            }
        }
    }

    async fn look_until(&mut self, shutdown: CancellationToken) {
        while tokio::time::timeout(LOOK_EVERY, shutdown.cancelled()).await.is_err() {
            self.look().await;
        }
    }

    async fn look(&mut self) {
        if let Some(tokens) = self.tokens.clone() {
            let reloaded =
                self.reading[0].again(Arc::clone(&tokens), |tokens| tokens.reload().map_err(|e| e.to_string()));
            if told(&self.metrics, "tokens", reloaded.await, &mut self.told[0]) {
                tracing::info!(file = %tokens.path().display(), tokens = tokens.count(), "Reloaded the tokens file");
            }
        }
        if let Some(certificates) = self.certificates.clone() {
            let reloaded = self.reading[1]
                .again(Arc::clone(&certificates), |certificates| certificates.reload().map_err(|e| e.to_string()));
            if told(&self.metrics, "tls", reloaded.await, &mut self.told[1]) {
                let not_after = certificates.not_after().unwrap_or(0);
                self.metrics.set_tls_not_after(not_after);
                tracing::info!(not_after, "Reloaded the server certificate");
            }
        }
        if let Some(grants) = self.grants.clone() {
            let reloaded =
                self.reading[2].again(Arc::clone(&grants), |grants| grants.reload().map_err(|e| e.to_string()));
            if told(&self.metrics, "access", reloaded.await, &mut self.told[2]) {
                tracing::info!(file = %grants.path().display(), "Reloaded the file of grants");
            }
        }
        if let Some(clients) = self.clients.clone() {
            let reloaded = self.reading[3].again(clients, |clients: &ClientTrust| clients.reload());
            if told(&self.metrics, "client_cas", reloaded.await, &mut self.told[3]) {
                tracing::info!("Reloaded the CAs of client certificates");
            }
        }
    }
}

/// One file that is read again and again, each time on a thread of its own: a file on a network may keep its reader
/// waiting, the others are read meanwhile, and no second thread waits for the same one.
#[derive(Default)]
struct Reading(Option<JoinHandle<Result<bool, String>>>);

impl Reading {
    async fn again<T: Send + Sync + 'static>(
        &mut self,
        what: Arc<T>,
        reload: impl FnOnce(&T) -> Result<bool, String> + Send + 'static,
    ) -> Result<bool, String> {
        let reading = self.0.get_or_insert_with(|| tokio::task::spawn_blocking(move || reload(&what)));
        let Ok(read) = tokio::time::timeout(PATIENCE, &mut *reading).await else {
            return Err(format!("it could not be read within {} s; still waiting for it", PATIENCE.as_secs()));
        };
        self.0 = None;
        match read {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only where the runtime shuts down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// Counts and logs how it went; whether there is something new.
fn told(metrics: &Metrics, file: &'static str, reloaded: Result<bool, String>, last: &mut Option<String>) -> bool {
    match reloaded {
        Ok(changed) => {
            *last = None;
            if changed {
                metrics.reloaded(file, true);
            }
            changed
        }
        Err(problem) => {
            if last.as_ref() != Some(&problem) {
                metrics.reloaded(file, false);
                tracing::error!(
                    file,
                    error = problem,
                    "a changed file cannot be used; the previous content stays in effect"
                );
                *last = Some(problem);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_read_is_told_and_waited_for_by_one_thread() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let mut reading = Reading::default();
        let waits = |gate: &std::sync::Mutex<mpsc::Receiver<()>>| Ok(gate.lock().unwrap().recv().is_ok());
        for _ in 0..3 {
            // The clock stands still while a thread works, and is moved by hand.
            let late = tokio::time::advance(PATIENCE + Duration::from_secs(1));
            let (read, ()) = tokio::join!(reading.again(Arc::clone(&gate), waits), late);
            let problem = read.unwrap_err();
            assert!(problem.starts_with("it could not be read within 10 s"), "{problem}");
        }
        release.send(()).unwrap();
        // The one that waited is the one that answers.
        while reading.again(Arc::clone(&gate), |_| panic!("a second thread")).await != Ok(true) {}
        assert_eq!(reading.again(gate, |_| Ok(false)).await, Ok(false));
    }
}
