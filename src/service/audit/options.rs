//! `[audit]`: what the audit ledger holds, where, and for how long.

use crate::domain::duration;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The audit ledger: a chain of records that no process can lose or change unnoticed.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditOptions {
    /// Where records go: `store` is the database; `file` and `stderr` are further ledgers of the same records, for
    /// programs that collect them. Without `store` the database holds the records of changes alone. `[]` keeps no ledger;
    /// the lines of the log with the target `certmint::audit` stay. Default `["store"]`.
    pub sinks: Vec<AuditSink>,
    /// The file of the sink `file`. It is opened again at SIGHUP, and within a second where it was moved or removed.
    /// Default none.
    pub file: Option<PathBuf>,
    /// `changes` records changes, reads of secrets, work of keys, and what no grant allows; `all` also what only reads
    /// and what was refused for other reasons. Default `changes`.
    pub level: AuditLevel,
    /// What becomes of a request whose record cannot be written: `refuse` answers 503 `AUDIT_UNAVAILABLE`, `continue`
    /// answers it, writes an error to the log and counts it. A change is never stored without its record. Default
    /// `refuse`.
    pub on_failure: AuditFailure,
    /// Refusals of a minute that have a record each; one caller has half of them at most. What is above is counted: a record
    /// a minute for each caller says how many. Default 600.
    pub refusals_per_minute: u64,
    /// How long records stay in the database. Default 400 days.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How many bytes of records stay in the database, about: above, the oldest go hour by hour, whatever their age. The
    /// current hour stays. Default 10 GiB.
    pub retention_bytes: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            sinks: vec![AuditSink::Store],
            file: None,
            level: AuditLevel::default(),
            on_failure: AuditFailure::default(),
            refusals_per_minute: 600,
            retention: Duration::from_secs(400 * 24 * 3600),
            retention_bytes: 10 << 30,
        }
    }
}

impl AuditOptions {
    /// No ledger.
    pub fn off() -> Self {
        Self { sinks: Vec::new(), ..Self::default() }
    }
}

/// A place of records.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditSink {
    Store,
    File,
    Stderr,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditLevel {
    #[default]
    Changes,
    All,
}

/// What becomes of a request whose record cannot be written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditFailure {
    #[default]
    Refuse,
    Continue,
}
