//! How the service behaves.

use super::access::AccessOptions;
use super::audit::AuditOptions;
use super::ca::CaOptions;
use super::records::Takeover;
use super::renewals::RenewalOptions;
use super::vaults::options::VaultOptions;
use super::watch::hub::WatchLimits;
use crate::limits::Limits;
use std::time::Duration;

/// The limits of the configuration, and times that it does not know.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    pub limits: Limits,
    /// How long a `request_id` is remembered after its creation.
    pub request_memory: Duration,
    /// How long a repeated REST request is recognised by its `x-ms-client-request-id`.
    pub repeat_memory: Duration,
    /// What becomes of records of versions before authentication codes.
    pub takeover: Takeover,
    pub vaults: VaultOptions,
    pub watch: WatchLimits,
    /// Who may do what; by default nobody is checked.
    pub access: AccessOptions,
    /// The audit ledger; by default there is none.
    pub audit: AuditOptions,
    /// The CAs of this server.
    pub ca: CaOptions,
    /// How certificates are renewed.
    pub renewal: RenewalOptions,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            request_memory: Duration::from_secs(24 * 3600),
            repeat_memory: Duration::from_secs(15 * 60),
            takeover: Takeover::default(),
            vaults: VaultOptions { on_demand: Some(true), ..VaultOptions::default() },
            watch: WatchLimits::default(),
            access: AccessOptions::default(),
            audit: AuditOptions::off(),
            ca: CaOptions::default(),
            renewal: RenewalOptions::default(),
        }
    }
}

impl From<Limits> for ServiceOptions {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}
