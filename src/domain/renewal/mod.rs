//! Renewals: what a certificate keeps of its next one, and why one was made. When it is due is said by [`plan`], how
//! failures are retried by [`retry`], and how many may begin at one issuer by [`budget`].

pub mod budget;
mod maintenance;
pub mod plan;
pub mod retry;
mod valid;

#[cfg(test)]
mod plan_tests;

pub use budget::Budget;
pub use maintenance::{MaintenanceWindow, Opening};
pub use plan::{Because, NotRenewed, Plan, Step, plan};
pub use valid::Valid;

use super::{CertificateEntry, Pause, RequestId, Timestamp, VaultName, Version};
use crate::domain::text::readable;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Replicas' clocks differ by less.
const SKEW: Duration = Duration::from_secs(60);
/// No question to a CA is put off for longer.
const LONGEST_ASK: Duration = Duration::from_secs(9 * 86_400);
/// Questions to CAs that are brought forward are spread over this time.
const ASKED_WITHIN: Duration = Duration::from_secs(6 * 3600);
/// Longest note of a renewal, in characters.
pub const MAX_NOTE: usize = 500;

/// The settings that due times depend on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RenewalRules {
    /// The largest lifetime percentage of certificates that live for less than ten days.
    pub short_lived_percentage: u32,
}

impl Default for RenewalRules {
    fn default() -> Self {
        Self { short_lived_percentage: 50 }
    }
}

/// Why an operation replaces a version.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum RenewalTrigger {
    /// A lifetime action of the policy was due.
    Lifetime,
    /// The CA asked for it (RFC 9773).
    Ari,
    /// A twentieth of the lifetime was left.
    Emergency,
    /// A caller asked for it.
    Manual,
}

impl RenewalTrigger {
    pub const ALL: [Self; 4] = [Self::Lifetime, Self::Ari, Self::Emergency, Self::Manual];

    /// As REST and metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Ari => "ari",
            Self::Emergency => "emergency",
            Self::Manual => "manual",
        }
    }
}

/// What an operation renews.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Renews {
    pub trigger: RenewalTrigger,
    /// The version that it replaces.
    pub replaces: Version,
    /// A label that operations of one command share; empty without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub batch: String,
}

/// When the CA wants a certificate renewed (RFC 9773).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
    /// A page of the CA that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

/// Why a version is never renewed by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Held {
    /// Its key is the caller's own: only he can make the next request.
    CallersKey,
}

/// What was tried so far.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tries {
    /// How often it was tried.
    pub count: u32,
    /// The last operation that was begun for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// When it was last tried, or put off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<Timestamp>,
    /// Not before this, unless little of the lifetime is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Why it was put off, or could not begin, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Tries {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The number of the next attempt.
    pub fn next(&self) -> u32 {
        self.count.saturating_add(1)
    }
}

/// How the renewal of the newest version of a certificate stands. Lies in the entry of the certificate, and says nothing
/// once there is a newer version, except for a pause.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Renewal {
    /// The version that is to be replaced.
    pub version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// When the CA is asked for its window; `None` where it has none to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Tries::is_none")]
    pub tries: Tries,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// That somebody stopped the renewals of this certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The maintenance window of this certificate, as [`MaintenanceWindow`] reads it; `None`: that of its vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// How many renewals in a row, the one that made this version being the last, gained nothing: the new version ends no
    /// later than the one before, or its CA wanted that one replaced in the first third of its life.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fruitless: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What holds for the renewals of all certificates of a vault.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct VaultRenewals {
    pub vault: VaultName,
    /// The maintenance window, as [`MaintenanceWindow`] reads it; `None`: that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// That somebody stopped all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
}

impl VaultRenewals {
    /// Those of a vault of which nobody said anything.
    pub fn new(vault: VaultName) -> Self {
        Self { vault, maintenance: None, paused: None }
    }
}

impl Renewal {
    /// Nothing was tried yet.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            window: None,
            ask_at: None,
            tries: Tries::default(),
            held: None,
            paused: None,
            maintenance: None,
            fruitless: 0,
        }
    }

    /// That of a version of this entry: what is stored, if it is about this version, else a new one. A pause and a
    /// maintenance window are those of the certificate.
    pub fn of(entry: &CertificateEntry, version: Version) -> Self {
        match &entry.renewal {
            Some(stored) if stored.version == version => stored.clone(),
            Some(Self { paused, maintenance, .. }) => {
                Self { paused: paused.clone(), maintenance: maintenance.clone(), ..Self::new(version) }
            }
            None => Self::new(version),
        }
    }

    /// What an attempt is decided from: not when the next look is, which says nothing against one that has begun.
    pub fn decisive(entry: &CertificateEntry) -> Option<Self> {
        let Self { version, window: _, ask_at: _, tries, held, paused, maintenance, fruitless } =
            entry.renewal.clone()?;
        let tries = Tries { count: tries.count, request_id: tries.request_id, ..Tries::default() };
        Some(Self { tries, held, paused, maintenance, fruitless, ..Self::new(version) })
            .filter(|renewal| !renewal.is_new())
    }

    /// Put off for a while, without an attempt.
    pub fn put_off(&mut self, now: Timestamp, wait: Duration, note: impl Into<String>) {
        self.tries.looked = Some(now);
        self.tries.next_try = Some(now.plus(wait));
        self.tries.note = readable(&note.into(), MAX_NOTE);
    }

    /// An operation was begun, or refused before it began.
    pub fn tried(&mut self, now: Timestamp, wait: Duration, request_id: Option<RequestId>, note: impl Into<String>) {
        self.tries.count = self.tries.next();
        self.tries.request_id = request_id;
        self.put_off(now, wait, note);
    }

    /// Whether it is of a time that is still to come: the clock was ahead, and was set back while nobody saw it.
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.tries.looked.is_some_and(|looked| looked > now.plus(SKEW))
            || self.ask_at.is_some_and(|at| at > now.plus(LONGEST_ASK))
    }

    /// The clock was set back to `now`: what was planned by the time before is planned anew.
    pub fn after_set_back(&mut self, now: Timestamp) {
        if self.tries.looked.is_some_and(|looked| looked > now) {
            self.tries.looked = Some(now);
            self.tries.next_try = None;
        }
        let soon = now.plus(ASKED_WITHIN.mul_f64(self.share()));
        self.ask_at = self.ask_at.map(|at| at.min(soon));
    }

    /// A share from 0 to 1 that belongs to the version, for spreading what many do at the same time.
    pub fn share(&self) -> f64 {
        share(self.version, 0)
    }

    /// Whether it says no more than that of a new version.
    pub fn is_new(&self) -> bool {
        *self == Self::new(self.version)
    }
}

/// A share from 0 to 1 that belongs to the version: drawn with its random identifier, and kept with it.
fn share(version: Version, purpose: u64) -> f64 {
    // SplitMix64, whose output is uniform for any sequence of inputs.
    let id = version.as_u128();
    let mut mixed = (id ^ (id >> 64)) as u64 ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
