//! `[webhooks]`: where events may be sent, how often, and how many are kept.

use crate::domain::{VaultName, duration};
use crate::limits::positive;
use crate::outbound::{Error, Guard};
use serde::Deserialize;
use serde::de::Error as _;
use std::time::Duration;

/// What stands for the vault in `public_url`.
const VAULT: &str = "{vault}";
/// The longest that a receiver may be waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// Webhooks.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookOptions {
    /// What receivers may be: host names (with the names below them), addresses, networks such as `10.0.0.0/8`. Default:
    /// everything but this machine (in development mode also that) and link-local addresses, at which clouds have their
    /// metadata. Those are reached only where an address or a network here has them. Through a proxy (`outbound.proxy`)
    /// names are compared, and the proxy decides about addresses.
    pub allow: Vec<String>,
    /// How receivers reach a vault, with `{vault}` for its name: what events say where they come from. Default
    /// `https://{vault}.` and `base_domain` with the port of `listen`.
    pub public_url: Option<String>,
    /// How long a receiver may take for its answer, up to 30 s. Default 10 s.
    #[serde(deserialize_with = "answer_time")]
    pub timeout: Duration,
    /// When an event that was not taken is sent again: after this time, then after 3, 6, 30, 60, 180 and 360 times it, and
    /// then after 360 times it each. Default 10 s.
    #[serde(with = "duration")]
    pub first_retry: Duration,
    /// An event that was not taken after this time is given up, and becomes a dead letter. Default 24 h.
    #[serde(with = "duration")]
    pub give_up_after: Duration,
    /// How long dead letters are kept. Default 7 days.
    #[serde(with = "duration")]
    pub dead_letter_retention: Duration,
    /// Dead letters that are kept of one webhook; above it the first one makes room. Default 1000.
    #[serde(deserialize_with = "positive")]
    pub dead_letters: usize,
    /// Events that wait for one webhook; above it new ones are dropped, and counted. Default 10,000.
    #[serde(deserialize_with = "positive")]
    pub waiting: usize,
    /// Webhooks of one vault. Default 20.
    #[serde(deserialize_with = "positive")]
    pub per_vault: usize,
    /// Webhooks of all vaults. Default 1000.
    #[serde(deserialize_with = "positive")]
    pub total: usize,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            public_url: None,
            timeout: Duration::from_secs(10),
            first_retry: Duration::from_secs(10),
            give_up_after: Duration::from_secs(24 * 3600),
            dead_letter_retention: Duration::from_secs(7 * 24 * 3600),
            dead_letters: 1000,
            waiting: 10_000,
            per_vault: 20,
            total: 1000,
        }
    }
}

impl WebhookOptions {
    /// What may be connected to.
    ///
    /// # Errors
    /// An entry that cannot be read.
    pub fn guard(&self, loopback: bool) -> Result<Guard, Error> {
        Guard::new(&self.allow, loopback)
    }

    /// Where identifiers of a vault begin.
    pub(super) fn base(&self, vault: &VaultName) -> String {
        let url = self.public_url.as_deref().unwrap_or("https://{vault}.localhost");
        url.replace(VAULT, vault.as_str()).trim_end_matches('/').to_owned()
    }
}

fn answer_time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let given = duration::deserialize(from)?;
    if given.is_zero() || given > LONGEST {
        return Err(D::Error::custom("a receiver may take up to 30 s, and longer than no time"));
    }
    Ok(given)
}
