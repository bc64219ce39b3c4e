//! `[vaults]`: the vaults of the configuration, and what happens to what is deleted in them.

use crate::domain::{RetentionDays, VaultName, VaultSettings};
use crate::limits::positive;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The vaults, and their deletion settings.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultOptions {
    /// Whether every name is a vault from its first use; otherwise a name that is neither listed here nor created with
    /// `certmint vault create` is refused. Default: only in development mode.
    pub on_demand: Option<bool>,
    /// For how many days a deleted certificate can be recovered, 7 to 90. Default 90.
    pub retention_days: RetentionDays,
    /// Whether purging before that time is forbidden. Default off.
    pub purge_protection: bool,
    /// Reports of agents that a vault takes: one for each certificate and host. Default 100,000.
    #[serde(deserialize_with = "positive")]
    pub installations: usize,
    /// Those of one certificate; above it the host that was silent for the longest time makes room. Default 1000.
    #[serde(deserialize_with = "positive")]
    pub installations_per_certificate: usize,
    /// Vaults by name, with settings of their own: `[vaults.named.team-a]`.
    #[serde(deserialize_with = "named")]
    pub named: BTreeMap<VaultName, NamedVault>,
}

/// One vault; missing settings are those of all vaults.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamedVault {
    /// As for all vaults. Default theirs.
    pub retention_days: Option<RetentionDays>,
    /// As for all vaults. Default theirs.
    pub purge_protection: Option<bool>,
}

/// How many reports of hosts are kept.
#[derive(Clone, Copy, Debug)]
pub struct InstallationLimits {
    pub per_vault: usize,
    pub per_certificate: usize,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            on_demand: None,
            retention_days: RetentionDays::default(),
            purge_protection: false,
            installations: 100_000,
            installations_per_certificate: 1000,
            named: BTreeMap::new(),
        }
    }
}

impl VaultOptions {
    /// For reports of hosts.
    pub fn installation_limits(&self) -> InstallationLimits {
        InstallationLimits { per_vault: self.installations, per_certificate: self.installations_per_certificate }
    }

    /// The settings of vaults without their own.
    pub fn defaults(&self) -> VaultSettings {
        VaultSettings { retention_days: self.retention_days, purge_protection: self.purge_protection }
    }

    /// The named vaults with all their settings.
    pub fn named(&self) -> impl Iterator<Item = (VaultName, VaultSettings)> {
        self.named.iter().map(|(name, own)| {
            let settings = VaultSettings {
                retention_days: own.retention_days.unwrap_or(self.retention_days),
                purge_protection: own.purge_protection.unwrap_or(self.purge_protection),
            };
            (name.clone(), settings)
        })
    }
}

fn named<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<VaultName, NamedVault>, D::Error> {
    let parsed = |(name, vault): (String, NamedVault)| match VaultName::parse(&name) {
        Ok(parsed) => Ok((parsed, vault)),
        Err(error) => Err(D::Error::custom(format!("`{name}`: {error}"))),
    };
    BTreeMap::<String, NamedVault>::deserialize(from)?.into_iter().map(parsed).collect()
}
