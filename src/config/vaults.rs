//! The vaults of the configuration.

use crate::domain::{RetentionDays, VaultName, VaultSettings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The vaults, and their deletion settings.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultsConfig {
    /// Whether every name is a vault from its first use; otherwise a name that is neither listed here nor created with
    /// `certmint vault create` is refused. Default: only in development mode.
    pub on_demand: Option<bool>,
    /// For how many days a deleted certificate can be recovered, 7 to 90. Default 90.
    pub retention_days: RetentionDays,
    /// Whether purging before that time is forbidden. Default off.
    pub purge_protection: bool,
    /// Vaults by name, with settings of their own: `[vaults.named.team-a]`.
    #[serde(deserialize_with = "named")]
    pub named: BTreeMap<String, VaultConfig>,
}

/// One vault; missing settings are those of all vaults.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultConfig {
    pub retention_days: Option<RetentionDays>,
    pub purge_protection: Option<bool>,
}

impl VaultsConfig {
    /// The settings of vaults without their own.
    pub fn defaults(&self) -> VaultSettings {
        VaultSettings { retention_days: self.retention_days, purge_protection: self.purge_protection }
    }

    /// The named vaults with all their settings. The names were checked when they were read.
    pub fn settings(&self) -> BTreeMap<VaultName, VaultSettings> {
        let defaults = self.defaults();
        let settings = |config: &VaultConfig| VaultSettings {
            retention_days: config.retention_days.unwrap_or(defaults.retention_days),
            purge_protection: config.purge_protection.unwrap_or(defaults.purge_protection),
        };
        self.named.iter().filter_map(|(name, config)| Some((VaultName::parse(name).ok()?, settings(config)))).collect()
    }
}

fn named<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, VaultConfig>, D::Error> {
    let named = BTreeMap::<String, VaultConfig>::deserialize(from)?;
    for name in named.keys() {
        VaultName::parse(name).map_err(|error| D::Error::custom(format!("`{name}`: {error}")))?;
    }
    Ok(named)
}
