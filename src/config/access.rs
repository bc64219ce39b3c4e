//! Who may do what.

use crate::limits::positive;
use crate::service::{CallerLimits, GrantLimits};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Rights of callers; required outside development mode. In development mode everybody may do everything.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// Principals that may do everything, such as `token:admin` for the line `admin` of the tokens file. No call can take
    /// it from them: the way back in. Default none.
    pub administrators: Vec<String>,
    /// A TOML file of grants (`[[grant]]`) and roles (`[[role]]`). A relative path begins at the folder of the
    /// configuration file. Reloaded when it changes. Default none.
    pub file: Option<PathBuf>,
    /// `enforce` refuses what no grant allows; `report` allows it and writes a line to the audit log, so that grants can
    /// be written for an installation that worked without them. Default `enforce`.
    pub mode: AccessMode,
    /// Grants that can be made through the API. Default 100,000; the file has a limit of its own.
    #[serde(deserialize_with = "positive")]
    pub stored_grants: usize,
    /// The size of all of them in the store, in bytes; each process holds them in memory. Default 64 MiB.
    #[serde(deserialize_with = "positive")]
    pub stored_grants_bytes: usize,
    /// Roles that can be made through the API. Default 500.
    #[serde(deserialize_with = "positive")]
    pub stored_roles: usize,
    /// How often one principal may ask, by kind of request.
    pub per_caller: CallerLimits,
}

impl Default for AccessSettings {
    fn default() -> Self {
        let GrantLimits { grants, bytes, roles } = GrantLimits::default();
        Self {
            administrators: Vec::new(),
            file: None,
            mode: AccessMode::default(),
            stored_grants: grants,
            stored_grants_bytes: bytes,
            stored_roles: roles,
            per_caller: CallerLimits::default(),
        }
    }
}

/// What becomes of a request that no grant allows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessMode {
    #[default]
    Enforce,
    Report,
}

impl AccessSettings {
    /// Whether anybody can do anything.
    pub(super) fn lets_somebody_in(&self) -> bool {
        self.mode == AccessMode::Report || self.file.is_some() || !self.administrators.is_empty()
    }

    /// Makes the path of the file begin at the folder of the configuration file.
    pub(super) fn begin_at(&mut self, configuration: &Path) {
        if let (Some(file), Some(folder)) = (&mut self.file, configuration.parent()) {
            *file = folder.join(&*file);
        }
    }
}
