//! What the agent knows of a certificate over restarts: what is installed, and what it was about to do.

use super::owner::Owner;
use super::swap::{self, Swap};
use crate::domain::installation::MAX_MESSAGE;
use crate::domain::text::readable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The record of a certificate. It holds no secret: of files it has digests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) installed: Option<Installed>,
    /// New files are written, and about to be put in their places.
    pub(super) doing: Option<Doing>,
    /// The version that `only_if` refused last.
    pub(super) refused: Option<Refused>,
    /// The reload for the installed version.
    pub(super) reload: Option<Reload>,
    /// What the server was told last.
    pub(super) told: Option<Told>,
}

/// A version in its files.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Installed {
    pub(super) version: String,
    /// Milliseconds since 1970, as `since`.
    pub(super) not_after: i64,
    pub(super) since: i64,
    /// Of the outputs in the configuration: others are written anew.
    pub(super) plan: String,
    /// SHA-256 of each file, and where each link points.
    pub(super) files: BTreeMap<PathBuf, String>,
}

/// An installation that was begun.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Doing {
    pub(super) next: Installed,
    /// In the order in which they are put in their places.
    pub(super) swaps: Vec<Swap>,
    /// It is being undone, for this reason.
    #[serde(default)]
    pub(super) back: Option<String>,
}

/// A version that was put in its place and taken out again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Refused {
    pub(super) version: String,
    pub(super) said: String,
    pub(super) at: i64,
}

/// How the reload went.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Reload {
    pub(super) done: bool,
    pub(super) attempts: u32,
    /// Why it failed last.
    pub(super) said: String,
    pub(super) at: i64,
    /// Of the first failure in a row.
    pub(super) since: i64,
}

/// A report that the server took.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Told {
    pub(super) what: Report,
    pub(super) at: i64,
}

/// What the server is told of a certificate on this machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) version: String,
    pub(super) state: State,
    pub(super) message: String,
    pub(super) since: i64,
}

/// How the programs of this machine took a version.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Installed,
    ReloadFailed,
    Refused,
}

impl Kept {
    /// What there is to tell; nothing before the first version, and before the first reload.
    pub(super) fn report(&self) -> Option<Report> {
        let report = |version: &str, state, message: &str, since| Report {
            version: version.to_owned(),
            state,
            message: readable(message, MAX_MESSAGE),
            since,
        };
        if let Some(Refused { version, said, at }) = &self.refused {
            return Some(report(version, State::Refused, said, *at));
        }
        let installed = self.installed.as_ref()?;
        match &self.reload {
            None => Some(report(&installed.version, State::Installed, "", installed.since)),
            Some(reload) if reload.done => Some(report(&installed.version, State::Installed, "", reload.at)),
            Some(reload) if reload.attempts == 0 => None,
            Some(reload) => Some(report(&installed.version, State::ReloadFailed, &reload.said, reload.since)),
        }
    }
}

/// The file of a record.
pub(super) struct KeptFile(PathBuf);

impl KeptFile {
    /// Names of vaults and certificates have letters, digits and dashes.
    pub(super) fn of(folder: &Path, vault: &str, name: &str) -> Self {
        Self(folder.join(format!("{vault}~{name}.json").to_ascii_lowercase()))
    }

    /// What it holds; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub(super) fn load(&self) -> io::Result<Kept> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(error),
        }
    }

    /// It is on the disk when this ends.
    pub(super) fn save(&self, kept: &Kept) -> io::Result<()> {
        replace(&self.0, &serde_json::to_vec_pretty(kept)?, 0o600)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A file of the agent's own, replaced as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    swap::write(&beside, bytes, mode, Owner::default())?;
    std::fs::rename(&beside, path)?;
    swap::sync(path.parent().unwrap_or(Path::new(".")))
}
