//! Points in time as the store and the wire need them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, as Key Vault writes times.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// A point in time from whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The day, such as `2026-11-30`, in UTC.
    pub fn date(self) -> String {
        ::time::OffsetDateTime::from_unix_timestamp(self.seconds())
            .map_or_else(|_| String::new(), |at| at.date().to_string())
    }

    /// The second, such as `2026-11-30T12:00:00Z`.
    pub fn date_time(self) -> String {
        ::time::OffsetDateTime::from_unix_timestamp(self.seconds())
            .ok()
            .and_then(|at| at.format(&::time::format_description::well_known::Rfc3339).ok())
            .unwrap_or_default()
    }

    /// This much later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The same second of the month `months` later; the last day of that month where it is
    /// shorter (31 January plus one month is 28 or 29 February).
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let Ok(at) = ::time::OffsetDateTime::from_unix_timestamp(self.seconds()) else { return self };
        let months = i64::from(at.year()) * 12 + i64::from(u8::from(at.month())) - 1 + i64::from(months);
        let year = i32::try_from(months.div_euclid(12)).unwrap_or(9999).min(9999);
        let month = ::time::Month::January.nth_next(u8::try_from(months.rem_euclid(12)).unwrap_or(0));
        let day = at.day().min(month.length(year));
        let date = ::time::Date::from_calendar_date(year, month, day).unwrap_or(at.date());
        Self::from_seconds(at.replace_date(date).unix_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let format = &::time::format_description::well_known::Rfc3339;
        Timestamp::from_seconds(::time::OffsetDateTime::parse(text, format).unwrap().unix_timestamp())
    }

    #[test]
    fn months_are_calendar_months() {
        assert_eq!(at("2026-11-23T10:00:00Z").plus_months(12), at("2027-11-23T10:00:00Z"));
        assert_eq!(at("2027-01-31T00:00:01Z").plus_months(1), at("2027-02-28T00:00:01Z"));
        assert_eq!(at("2028-01-31T00:00:01Z").plus_months(1), at("2028-02-29T00:00:01Z"));
        assert_eq!(at("2026-12-15T23:59:59Z").plus_months(25), at("2029-01-15T23:59:59Z"));
    }
}
