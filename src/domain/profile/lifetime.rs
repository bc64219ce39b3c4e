//! How long a certificate of a profile lives: ISO 8601 durations of a fixed length.

use crate::domain::text::shown;
use std::fmt;
use std::time::Duration;

/// A number of seconds, at least one minute.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lifetime(u64);

const UNITS: [(char, bool, u64); 5] =
    [('W', false, 604_800), ('D', false, 86_400), ('H', true, 3_600), ('M', true, 60), ('S', true, 1)];
/// 100 years, as a policy has.
const MOST: u64 = 100 * 366 * 86_400;

impl Lifetime {
    pub const fn of_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    pub fn seconds(self) -> u64 {
        self.0
    }

    /// Reads `P90D`, `P1W`, `PT8H`, `P1DT12H`. Months and years have no fixed length.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = shown(text);
        let refused =
            || format!("{shown} is not a duration such as P90D, P1W or PT8H (ISO 8601, without months and years).");
        let mut rest = text.strip_prefix('P').ok_or_else(refused)?;
        let (mut total, mut in_time, mut last) = (0_u64, false, None);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('T').filter(|after| !in_time && !after.is_empty()) {
                (rest, in_time) = (after, true);
                continue;
            }
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0).ok_or_else(refused)?;
            let (number, after) = rest.split_at(digits);
            let unit = after.chars().next().ok_or_else(refused)?;
            let place = UNITS.iter().position(|(known, time, _)| *known == unit && *time == in_time);
            // Each unit once, the larger first.
            let place = place.filter(|place| last.is_none_or(|last| last < *place)).ok_or_else(refused)?;
            let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(UNITS[place].2));
            total = seconds.and_then(|seconds| total.checked_add(seconds)).ok_or_else(refused)?;
            (last, rest) = (Some(place), &after[unit.len_utf8()..]);
        }
        match total {
            60..=MOST => Ok(Self(total)),
            _ if last.is_none() => Err(refused()),
            _ => Err(format!("{shown} is out of range: use one minute (PT1M) to 100 years.")),
        }
    }
}

impl From<Lifetime> for Duration {
    fn from(lifetime: Lifetime) -> Self {
        Self::from_secs(lifetime.0)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let (days, mut rest) = (self.0 / 86_400, self.0 % 86_400);
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if rest > 0 {
            f.write_str("T")?;
            for (unit, _, size) in UNITS.iter().filter(|(_, time, _)| *time) {
                if rest >= *size {
                    write!(f, "{}{unit}", rest / size)?;
                    rest %= size;
                }
            }
        }
        Ok(())
    }
}
