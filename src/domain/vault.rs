//! A vault: a namespace with its own retention for deleted certificates.

use super::{Error, Result, Timestamp, VaultName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// For how many days a deletion can be undone: 7 to 90, and 90 where nothing is said (contract
/// section 10).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct RetentionDays(u32);

impl RetentionDays {
    pub const LEAST: u32 = 7;
    pub const MOST: u32 = 90;

    /// Refuses what is out of range, with the range.
    pub fn new(days: u32) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&days) {
            return Ok(Self(days));
        }
        Err(Error::field("retention_days", format!("{days} is out of range: use {} to {}.", Self::LEAST, Self::MOST)))
    }

    pub fn get(self) -> u32 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 86_400)
    }
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self(Self::MOST)
    }
}

impl TryFrom<u32> for RetentionDays {
    type Error = Error;

    fn try_from(days: u32) -> Result<Self> {
        Self::new(days)
    }
}

impl From<RetentionDays> for u32 {
    fn from(days: RetentionDays) -> Self {
        days.0
    }
}

impl fmt::Display for RetentionDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How a vault treats what is deleted. Fixed when the vault is made, as in Key Vault.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct VaultSettings {
    pub retention_days: RetentionDays,
    /// Purging before the end of the retention is forbidden.
    pub purge_protection: bool,
}

impl VaultSettings {
    /// Those of a vault whose own are not known: nothing is purged before the longest retention is over.
    pub const STRICTEST: Self = Self { retention_days: RetentionDays(RetentionDays::MOST), purge_protection: true };

    /// Whether what is deleted under these is kept at least as well as under the others.
    pub fn keeps_what(self, others: Self) -> bool {
        self.retention_days >= others.retention_days && self.purge_protection >= others.purge_protection
    }

    /// What certificates of the vault say of their deletion.
    pub fn recovery(self) -> Recovery {
        let Self { retention_days, purge_protection } = self;
        let customized = retention_days != RetentionDays::default();
        let level = match (customized, purge_protection) {
            (false, false) => RecoveryLevel::RecoverablePurgeable,
            (false, true) => RecoveryLevel::Recoverable,
            (true, false) => RecoveryLevel::CustomizedRecoverablePurgeable,
            (true, true) => RecoveryLevel::CustomizedRecoverable,
        };
        Recovery { level, days: retention_days.get() }
    }
}

/// How far a deletion can be undone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recovery {
    pub level: RecoveryLevel,
    pub days: u32,
}

impl Default for Recovery {
    fn default() -> Self {
        VaultSettings::default().recovery()
    }
}

/// The levels that a vault with soft delete can have; there is none without (contract section 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecoveryLevel {
    RecoverablePurgeable,
    Recoverable,
    CustomizedRecoverablePurgeable,
    CustomizedRecoverable,
}

impl RecoveryLevel {
    /// `recoveryLevel` of the REST wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::RecoverablePurgeable => "Recoverable+Purgeable",
            Self::Recoverable => "Recoverable",
            Self::CustomizedRecoverablePurgeable => "CustomizedRecoverable+Purgeable",
            Self::CustomizedRecoverable => "CustomizedRecoverable",
        }
    }
}

/// A vault as it is listed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Vault {
    pub name: VaultName,
    pub settings: VaultSettings,
    /// When a caller made it; `None` if the configuration did.
    pub created: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_level_follows_the_settings() {
        let level = |days, purge_protection| {
            let settings = VaultSettings { retention_days: RetentionDays::new(days).unwrap(), purge_protection };
            let Recovery { level, days } = settings.recovery();
            format!("{} {days}", level.word())
        };
        assert_eq!(level(90, false), "Recoverable+Purgeable 90");
        assert_eq!(level(89, false), "CustomizedRecoverable+Purgeable 89");
        assert_eq!(level(90, true), "Recoverable 90");
        assert_eq!(level(7, true), "CustomizedRecoverable 7");
    }

    #[test]
    fn the_retention_is_7_to_90_days() {
        for bad in [0, 6, 91, u32::MAX] {
            assert!(RetentionDays::new(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RetentionDays>("6").is_err());
        assert_eq!(serde_json::from_str::<RetentionDays>("7").unwrap().duration(), Duration::from_secs(7 * 86_400));
    }
}
