//! Puts a version in its places: all of it, or nothing. What is about to be done is stored before it is begun, and goes on
//! after a crash where it was.

use super::command;
use super::config::CertificateConfig;
use super::kept::{Doing, Installed, Kept, KeptFile, Refused, Reload, Report, Told};
use super::material::Material;
use super::plan::{self, Staged};
use crate::clock::{Clock, SystemClock};
use tracing::{info, warn};

/// Milliseconds after which the server is told again what it knows, as a sign of life.
const REPORT_AGAIN: i64 = 24 * 3600 * 1000;

/// What became of a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Installed,
    /// By `only_if`, in these words; the files before are in their places again.
    Refused(String),
}

/// The files of one certificate.
pub(super) struct Installer {
    config: CertificateConfig,
    file: KeptFile,
    kept: Kept,
}

impl Installer {
    /// Reads what is known. A record that cannot be read is told, and taken for none: everything is installed again.
    pub(super) fn new(config: CertificateConfig, file: KeptFile) -> Self {
        let kept = file.load().unwrap_or_else(|error| {
            warn!(certificate = config.name, file = %file.path().display(), %error, "what was installed is not known; the certificate is installed again");
            Kept::default()
        });
        Self { config, file, kept }
    }

    pub(super) fn config(&self) -> &CertificateConfig {
        &self.config
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    fn save(&self) -> Result<(), String> {
        let shown = self.file.path().display();
        self.file.save(&self.kept).map_err(|error| format!("cannot write {shown}: {error}"))
    }

    /// Finishes or undoes what was begun before a crash. Places that the configuration no longer names may be gone for good:
    /// nothing waits for them.
    pub(super) async fn recover(&mut self) -> Result<Option<Outcome>, String> {
        let Some(doing) = &self.kept.doing else { return Ok(None) };
        let is_of_now = doing.next.plan == plan::plan_of(&self.config);
        info!(certificate = self.config.name, "an installation was interrupted; it goes on");
        let problem = match self.finish().await {
            Err(problem) if !is_of_now && self.kept.doing.is_some() => problem,
            ended => return ended.map(Some),
        };
        let doing = self.kept.doing.take();
        if let Err(unsaved) = self.save() {
            self.kept.doing = doing;
            return Err(unsaved);
        }
        warn!(certificate = self.config.name, problem, "what an earlier configuration began cannot be finished");
        Ok(None)
    }

    /// Whether this version is in all files that the configuration names, as it was written.
    pub(super) fn has(&self, version: &str) -> bool {
        self.kept
            .installed
            .as_ref()
            .is_some_and(|it| it.version == version && it.plan == plan::plan_of(&self.config) && plan::is_intact(it))
    }

    /// Writes a version and puts it in its places.
    ///
    /// # Errors
    /// In words. The files before are in their places, or [`Installer::recover`] finishes it.
    pub(super) async fn install(&mut self, material: &Material) -> Result<Outcome, String> {
        let Staged { swaps, files } = plan::stage(&self.config, material)?;
        let next = Installed {
            version: material.version.clone(),
            not_after: material.not_after,
            since: SystemClock.now().0,
            plan: plan::plan_of(&self.config),
            files,
        };
        self.kept.doing = Some(Doing { next, swaps, back: None });
        // From here on it is finished, whatever happens.
        self.save()?;
        self.finish().await
    }

    async fn finish(&mut self) -> Result<Outcome, String> {
        let Some(doing) = self.kept.doing.clone() else { return Err("nothing was begun".to_owned()) };
        let Doing { next, swaps, back } = doing;
        let refused = match back {
            Some(said) => Some(said),
            None => {
                for swap in &swaps {
                    swap.commit().map_err(|error| format!("cannot write {}: {error}", swap.live.display()))?;
                }
                self.check(&next.version).await.err()
            }
        };
        if let Some(said) = refused {
            // The decision is stored first: a restart does not ask the program again.
            self.kept.doing = Some(Doing { next: next.clone(), swaps: swaps.clone(), back: Some(said.clone()) });
            self.save()?;
            for swap in swaps.iter().rev() {
                swap.back().map_err(|error| format!("cannot restore {}: {error}", swap.live.display()))?;
            }
            self.kept.refused = Some(Refused { version: next.version, said: said.clone(), at: SystemClock.now().0 });
            self.kept.doing = None;
            self.save()?;
            return Ok(Outcome::Refused(said));
        }
        let has_reload = self.config.reload.is_some() || self.config.signal.is_some();
        self.kept.reload = has_reload.then(Reload::default);
        (self.kept.installed, self.kept.refused, self.kept.doing) = (Some(next), None, None);
        self.save()?;
        for swap in &swaps {
            if let Err(error) = swap.prune() {
                warn!(certificate = self.config.name, place = %swap.live.display(), %error, "old versions cannot be removed");
            }
        }
        Ok(Outcome::Installed)
    }

    async fn check(&self, version: &str) -> Result<(), String> {
        match &self.config.only_if {
            Some(argv) => command::run(argv, self.config.timeout, &self.facts(version)).await,
            None => Ok(()),
        }
    }

    /// Whether the programs that use the files have still to be told.
    pub(super) fn owes_reload(&self) -> bool {
        self.kept.reload.as_ref().is_some_and(|reload| !reload.done)
    }

    /// Tells the programs that use the files.
    ///
    /// # Errors
    /// Why they could not be told; it is to be tried again.
    pub(super) async fn reload(&mut self) -> Result<(), String> {
        let version = self.kept.installed.as_ref().map(|it| it.version.clone()).unwrap_or_default();
        let told = match (&self.config.reload, &self.config.signal) {
            (Some(argv), _) => command::run(argv, self.config.timeout, &self.facts(&version)).await,
            (None, _) => Ok(()),
        };
        let told = told.and_then(|()| self.config.signal.as_ref().map_or(Ok(()), command::send));
        let (attempts, since) = self.kept.reload.as_ref().map_or((0, 0), |reload| (reload.attempts, reload.since));
        let (now, attempts) = (SystemClock.now().0, attempts.saturating_add(1));
        let since = if attempts == 1 { now } else { since };
        let said = told.as_ref().err().cloned().unwrap_or_default();
        self.kept.reload = Some(Reload { done: told.is_ok(), attempts, said, at: now, since });
        self.save()?;
        told
    }

    /// What the server has to be told, if it does not know, or was told long ago.
    pub(super) fn owes_report(&self) -> Option<Report> {
        let (report, now) = (self.kept.report()?, SystemClock.now().0);
        let is_known = self
            .kept
            .told
            .as_ref()
            .is_some_and(|told| told.what == report && told.at <= now && now - told.at < REPORT_AGAIN);
        (!is_known).then_some(report)
    }

    /// Remembers what the server was told.
    pub(super) fn told(&mut self, what: Report) -> Result<(), String> {
        self.kept.told = Some(Told { what, at: SystemClock.now().0 });
        self.save()
    }

    fn facts<'a>(&'a self, version: &'a str) -> [(&'static str, &'a str); 2] {
        [("CERTMINT_CERTIFICATE", &self.config.name), ("CERTMINT_VERSION", version)]
    }
}
