//! One certificate of an agent: it looks for a new version when it is told of one, and from time to time; installs it; and
//! repeats what failed. Certificates do not wait for each other.

use super::board::Board;
use super::config::OutputConfig;
use super::control::Answer;
use super::install::{Installer, Outcome};
use super::server::Server;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use zeroize::Zeroizing;

/// The first wait after a failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Between attempts while the server is away, and between reloads.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Between reports that the server does not take.
const LONGEST_WAIT_TO_REPORT: Duration = Duration::from_secs(3600);

/// What a look found.
#[derive(Debug, Eq, PartialEq)]
enum Look {
    /// The newest version is installed already.
    Same,
    /// It was installed now.
    Installed,
    /// No version was ever issued.
    Nothing,
}

/// A certificate and its files.
pub(super) struct Lane {
    pub(super) number: usize,
    pub(super) vault: String,
    pub(super) installer: Installer,
    pub(super) server: Rc<Server>,
    pub(super) board: Arc<Board>,
    pub(super) host: Rc<str>,
    pub(super) look_every: Duration,
    /// A version and its key (PKCS #8, DER) that could not be written yet: the server is not asked for it at every attempt,
    /// each of which would be in its ledger.
    pub(super) unwritten: Option<(String, Zeroizing<Vec<u8>>)>,
}

/// How a lane is reached.
pub(super) struct Reach {
    pub(super) vault: String,
    pub(super) name: String,
    /// There may be a new version.
    pub(super) news: Arc<Notify>,
    pub(super) refreshes: mpsc::Sender<oneshot::Sender<Answer>>,
}

/// When something is tried again.
struct Again {
    at: Instant,
    failures: u32,
}

impl Again {
    fn now() -> Self {
        Self { at: Instant::now(), failures: 0 }
    }

    fn failed(&mut self, longest: Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.at = Instant::now() + jittered(wait);
    }

    fn after(&mut self, wait: Duration) {
        *self = Self { at: Instant::now() + jittered(wait), failures: 0 };
    }
}

/// Up to a quarter less, so that agents which were cut off together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let random = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    wait.mul_f64(1.0 - random / 4.0)
}

impl Lane {
    /// Works for ever.
    pub(super) async fn run(mut self, news: Arc<Notify>, mut refreshes: mpsc::Receiver<oneshot::Sender<Answer>>) {
        let (mut look, mut reload, mut report) = (Again::now(), Again::now(), Again::now());
        self.begin().await;
        loop {
            // A debt of before does not wait for the server.
            if self.installer.owes_reload() && reload.at <= Instant::now() && !self.reload().await {
                reload.failed(LONGEST_WAIT);
            }
            if look.at <= Instant::now() && self.look(false, &mut look).await {
                reload = Again::now();
                continue;
            }
            if self.installer.owes_report().is_some() && report.at <= Instant::now() {
                self.report(&mut report).await;
            }
            let mut next = look.at;
            if self.installer.owes_reload() {
                next = next.min(reload.at);
            }
            if self.installer.owes_report().is_some() {
                next = next.min(report.at);
            }
            tokio::select! {
                () = news.notified() => look = Again::now(),
                Some(answer) = refreshes.recv() => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.refresh(&mut look).await);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Tries until the newest version is installed and what uses it was told, or the time is over; whether it succeeded.
    pub(super) async fn once(&mut self, deadline: Instant) -> bool {
        let (mut look, mut reload) = (Again::now(), Again::now());
        let mut is_current = false;
        self.begin().await;
        loop {
            if !is_current {
                self.look(false, &mut look).await;
                is_current = look.failures == 0 && self.installer.kept().installed.is_some();
            }
            if is_current && (!self.installer.owes_reload() || self.reload().await) {
                self.report(&mut reload).await;
                return true;
            }
            if is_current {
                reload.failed(LONGEST_WAIT);
            } else if look.failures == 0 {
                // Not yet issued: nobody tells it.
                look.at = Instant::now() + FIRST_WAIT;
            }
            let next = if is_current { reload.at } else { look.at };
            if next >= deadline {
                return false;
            }
            sleep_until(next).await;
        }
    }

    /// What a crash interrupted goes on, without the server.
    async fn begin(&mut self) {
        let problem = self.installer.recover().await.err();
        self.show(problem.as_deref());
    }

    fn show(&self, problem: Option<&str>) {
        let name = &self.installer.config().name;
        self.board.set(self.number, &self.vault, name, self.installer.kept(), problem);
    }

    /// Whether a version was installed.
    async fn look(&mut self, force: bool, again: &mut Again) -> bool {
        let found = self.attempt(force).await;
        match &found {
            Ok(_) => again.after(self.look_every),
            Err(problem) => {
                let refused = self.installer.kept().refused.is_some();
                again.failed(if refused { self.look_every } else { LONGEST_WAIT.min(self.look_every) });
                warn!(
                    vault = self.vault,
                    certificate = self.installer.config().name,
                    problem,
                    "the newest version is not installed; it is tried again"
                );
            }
        }
        self.show(found.as_ref().err().map(String::as_str));
        found == Ok(Look::Installed)
    }

    async fn attempt(&mut self, force: bool) -> Result<Look, String> {
        let name = self.installer.config().name.clone();
        // Where writing failed half way, that is finished first.
        self.installer.recover().await?;
        let newest = self.server.newest(&self.vault, &name).await.map_err(|failure| failure.message)?;
        let Some(mut material) = newest else { return Ok(Look::Nothing) };
        if !force && self.installer.has(&material.version) {
            return Ok(Look::Same);
        }
        if self.installer.config().outputs.iter().any(OutputConfig::has_key) {
            let key = match self.unwritten.take() {
                Some((version, key)) if version == material.version => key,
                _ => {
                    let key = self.server.key(&self.vault, &name, &material.version).await;
                    key.map_err(|failure| failure.message)?
                }
            };
            material = material.with_key(key)?;
        }
        let outcome = self.installer.install(&material).await;
        if outcome.is_err() {
            self.unwritten = material.key.take().map(|key| (material.version.clone(), key));
        }
        let counted = match &outcome {
            Ok(Outcome::Installed) => "installed",
            Ok(Outcome::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        self.board.metrics.installation(counted);
        match outcome? {
            Outcome::Installed => {
                info!(vault = self.vault, certificate = name, version = material.version, "a version was installed");
                Ok(Look::Installed)
            }
            Outcome::Refused(said) => {
                Err(format!("only_if refused version {}, and the files before are back: {said}", material.version))
            }
        }
    }

    /// Whether it succeeded.
    async fn reload(&mut self) -> bool {
        let told = self.installer.reload().await;
        self.board.metrics.reload(told.is_ok());
        self.show(None);
        let name = &self.installer.config().name;
        match &told {
            Ok(()) => info!(vault = self.vault, certificate = name, "what uses the certificate was told"),
            Err(problem) => {
                warn!(vault = self.vault, certificate = name, problem, "the reload failed; it is tried again")
            }
        }
        told.is_ok()
    }

    /// Tells the server, for those who want to know where a version is in use. Nothing here depends on it.
    async fn report(&mut self, again: &mut Again) {
        let Some(report) = self.installer.owes_report() else { return };
        let name = self.installer.config().name.clone();
        let told = self.server.report(&self.vault, &name, &self.host, &report).await;
        match told.map_err(|failure| failure.message).and_then(|()| self.installer.told(report)) {
            Ok(()) => *again = Again::now(),
            Err(problem) => {
                if again.failures == 0 {
                    warn!(
                        vault = self.vault,
                        certificate = name,
                        problem,
                        "the server was not told what is installed; it is tried again"
                    );
                }
                again.failed(LONGEST_WAIT_TO_REPORT);
            }
        }
    }

    async fn refresh(&mut self, again: &mut Again) -> Answer {
        let installed = self.look(true, again).await;
        if !installed {
            let said = self.board.missing_of(self.number);
            return Answer::Problem(said.unwrap_or_else(|| "no version was issued yet".to_owned()));
        }
        if self.installer.owes_reload() && !self.reload().await {
            let said = self.installer.kept().reload.as_ref().map(|reload| reload.said.clone()).unwrap_or_default();
            return Answer::Problem(format!("it was installed, and the reload failed: {said}"));
        }
        let version = self.installer.kept().installed.as_ref().map(|it| it.version.clone());
        Answer::Installed(version.unwrap_or_default())
    }
}
