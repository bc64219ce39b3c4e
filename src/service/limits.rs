//! The limits of the service.

use super::records::Takeover;
use super::vaults::known::VaultOptions;
use super::watch::hub::WatchLimits;
use std::time::Duration;

/// Times and counts of the use cases.
#[derive(Clone, Debug)]
pub struct Limits {
    /// An issuer that has not decided after this long has failed.
    pub issuing_deadline: Duration,
    /// How long an issuer is asked to cancel an abandoned order.
    pub cancelling_deadline: Duration,
    /// How long one claim of due work lasts; the step is cut before it runs out.
    pub lease: Duration,
    /// Calls of one issuer that may take longer than a second before its further operations wait.
    pub slow_calls_per_issuer: usize,
    /// How long a `request_id` is remembered after its creation.
    pub request_memory: Duration,
    /// How long a repeated REST request is recognised by its `x-ms-client-request-id`.
    pub repeat_memory: Duration,
    /// Largest backup of one certificate, in bytes.
    pub backup_bytes: usize,
    /// What becomes of records of versions before authentication codes.
    pub takeover: Takeover,
    pub vaults: VaultOptions,
    pub watch: WatchLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            issuing_deadline: Duration::from_secs(30 * 24 * 3600),
            cancelling_deadline: Duration::from_secs(30 * 24 * 3600),
            lease: Duration::from_secs(90),
            slow_calls_per_issuer: 16,
            request_memory: Duration::from_secs(24 * 3600),
            repeat_memory: Duration::from_secs(15 * 60),
            // In base64 it still fits into a gRPC message that clients take without further ado (4 MiB).
            backup_bytes: 3 << 20,
            takeover: Takeover::default(),
            vaults: VaultOptions::default(),
            watch: WatchLimits::default(),
        }
    }
}
