//! `[renewal]`: how certificates are renewed.

use crate::domain::{MaintenanceWindow, RenewalRules};
use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use std::num::NonZeroU32;

/// Renewals by the lifetime actions of policies.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenewalOptions {
    /// Whether certificates whose policy says `AutoRenew` are renewed. Default on; off, nothing is renewed until it is on
    /// again, and then what is due begins.
    pub enabled: bool,
    /// The largest `lifetime_percentage` of certificates that live for less than ten days, 10 to 90. Default 50.
    #[serde(deserialize_with = "percentage")]
    pub short_lived_percentage: u32,
    /// Renewals that begin at one issuer object in a minute, by each replica; those that expire soonest go first. Default
    /// 60.
    pub per_issuer_per_minute: NonZeroU32,
    /// When due renewals may begin, where neither the certificate nor its vault has a window of its own: a cron line of
    /// five fields, its time zone, and how long the window is open, such as `"0 3 * * Tue Europe/Berlin 2h"`. With a
    /// twentieth of the life left nothing waits. Default always.
    pub window: Option<MaintenanceWindow>,
}

impl Default for RenewalOptions {
    fn default() -> Self {
        let RenewalRules { short_lived_percentage } = RenewalRules::default();
        Self {
            enabled: true,
            short_lived_percentage,
            per_issuer_per_minute: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN),
            window: None,
        }
    }
}

impl RenewalOptions {
    pub(in crate::service) fn rules(&self) -> RenewalRules {
        RenewalRules { short_lived_percentage: self.short_lived_percentage }
    }
}

fn percentage<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        given @ 10..=90 => Ok(given),
        given => Err(D::Error::invalid_value(Unexpected::Unsigned(given.into()), &"a percentage from 10 to 90")),
    }
}
