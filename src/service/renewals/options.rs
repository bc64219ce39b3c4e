//! `[renewal]`: how certificates are renewed.

use crate::domain::RenewalRules;
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
}

impl Default for RenewalOptions {
    fn default() -> Self {
        let RenewalRules { short_lived_percentage } = RenewalRules::default();
        Self {
            enabled: true,
            short_lived_percentage,
            per_issuer_per_minute: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN),
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
