//! How the certificates of an agent stand: for `/readyz`, for `status.json`, and for the metrics.

use super::kept::{self, Kept};
use crate::clock::{Clock, SystemClock};
use crate::metrics::agent::AgentMetrics;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

/// Between two writes of the file.
const PAUSE: Duration = Duration::from_millis(100);

/// A certificate, for programs that look at this machine.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CertificateStatus {
    vault: String,
    name: String,
    /// Installed, and what uses it was told.
    ready: bool,
    version: Option<String>,
    installed_at: Option<String>,
    expires_at: Option<String>,
    /// `none`, `done` or `failed`; `due` before the first attempt.
    reload: &'static str,
    /// What is wrong: with the server, a file, `only_if` or the reload.
    problem: Option<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    ready: bool,
    host: &'a str,
    server: &'a str,
    /// The stream of the server is open.
    connected: bool,
    updated_at: String,
    certificates: Vec<CertificateStatus>,
}

#[derive(Debug, Default)]
struct Seen {
    certificates: BTreeMap<usize, CertificateStatus>,
    /// Streams that are not caught up.
    apart: usize,
}

/// The state of all certificates.
#[derive(Debug)]
pub(super) struct Board {
    host: String,
    server: String,
    file: PathBuf,
    certificates: usize,
    seen: Mutex<Seen>,
    changes: watch::Sender<()>,
    pub(super) metrics: AgentMetrics,
}

impl Board {
    /// `file` is written by [`Board::keep_written`]; `streams` are not open yet.
    pub(super) fn new(host: &str, server: &str, file: PathBuf, certificates: usize, streams: usize) -> Self {
        let seen = Mutex::new(Seen { certificates: BTreeMap::new(), apart: streams });
        let (host, server) = (host.to_owned(), server.to_owned());
        let changes = watch::Sender::new(());
        Self { host, server, file, certificates, seen, changes, metrics: AgentMetrics::new() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a certificate stands now.
    pub(super) fn set(&self, number: usize, vault: &str, name: &str, kept: &Kept, problem: Option<&str>) {
        let installed = kept.installed.as_ref();
        let reload = match &kept.reload {
            None => "none",
            Some(reload) if reload.done => "done",
            Some(reload) if reload.attempts == 0 => "due",
            Some(_) => "failed",
        };
        let problem = problems(kept, problem);
        let status = CertificateStatus {
            vault: vault.to_owned(),
            name: name.to_owned(),
            ready: installed.is_some() && kept.reload.as_ref().is_none_or(|reload| reload.done),
            version: installed.map(|it| it.version.clone()),
            installed_at: installed.map(|it| time(it.since)),
            expires_at: installed.map(|it| time(it.not_after)),
            reload,
            problem,
        };
        if let Some(installed) = installed {
            self.metrics.expires(vault, name, installed.not_after / 1000);
        }
        self.seen().certificates.insert(number, status);
        self.changes.send_replace(());
    }

    /// A stream is caught up, or broke.
    pub(super) fn stream(&self, open: bool) {
        let connected = {
            let mut seen = self.seen();
            seen.apart = if open { seen.apart.saturating_sub(1) } else { seen.apart.saturating_add(1) };
            seen.apart == 0
        };
        self.metrics.connected(connected);
        self.changes.send_replace(());
    }

    /// Whether every certificate is installed; a server that is away changes nothing.
    pub(super) fn is_ready(&self) -> bool {
        let seen = self.seen();
        seen.certificates.len() == self.certificates && seen.certificates.values().all(|it| it.ready)
    }

    /// The certificates that are not installed, or not known to be the newest, with what is wrong, for people.
    pub(super) fn missing(&self) -> Vec<String> {
        let seen = self.seen();
        let missing = seen.certificates.values().filter(|it| !it.ready || it.problem.is_some());
        missing.map(|it| format!("{}: {}", it.name, it.problem.as_deref().unwrap_or("not yet issued"))).collect()
    }

    /// What is wrong with one of them.
    pub(super) fn missing_of(&self, number: usize) -> Option<String> {
        self.seen().certificates.get(&number)?.problem.clone()
    }

    /// Everything, as JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let ready = self.is_ready();
        let seen = self.seen();
        let status = Status {
            ready,
            host: &self.host,
            server: &self.server,
            connected: seen.apart == 0,
            updated_at: time(SystemClock.now().0),
            certificates: seen.certificates.values().cloned().collect(),
        };
        // Structs of plain members are always JSON.
        serde_json::to_vec_pretty(&status).unwrap_or_default()
    }

    /// Returns when every certificate is installed.
    pub(super) async fn until_ready(&self) {
        let mut changes = self.changes.subscribe();
        // The sender is in here: it does not end before.
        while !self.is_ready() && changes.changed().await.is_ok() {}
    }

    /// Writes the file after changes, for ever.
    pub(super) async fn keep_written(&self) {
        let mut changes = self.changes.subscribe();
        loop {
            self.write();
            if changes.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            changes.mark_unchanged();
        }
    }

    /// Writes the file now.
    pub(super) fn write(&self) {
        if let Err(error) = kept::replace(&self.file, &self.json(), 0o644) {
            tracing::warn!(file = %self.file.display(), %error, "the status cannot be written");
        }
    }
}

/// What is wrong now, and what still is from before.
fn problems(kept: &Kept, now: Option<&str>) -> Option<String> {
    let mut all: Vec<String> = now.map(str::to_owned).into_iter().collect();
    let refused = kept.refused.as_ref().filter(|_| now.is_none_or(|now| !now.starts_with("only_if")));
    all.extend(refused.map(|it| format!("only_if refused version {}: {}", it.version, it.said)));
    let reload = kept.reload.as_ref().filter(|it| !it.done && it.attempts > 0);
    all.extend(reload.map(|it| format!("the reload failed: {}", it.said)));
    (!all.is_empty()).then(|| all.join("; "))
}

/// RFC 3339; empty for what is no time.
fn time(milliseconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
