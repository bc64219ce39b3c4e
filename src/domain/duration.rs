//! Durations as people write them (`250ms`, `30s`, `10m`, `24h`, `90d`), for use with `#[serde(with = "...")]`.

use serde::{Deserialize, Deserializer, de::Error as _};
use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number and a unit: `ms`, `s`, `m`, `h` or `d`. Zero is refused: no setting of ours means anything by
/// it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused =
        || format!("`{text}` is not a duration: write a whole number and ms, s, m, h or d, such as 250ms or 24h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
    match number.checked_mul(*scale).ok_or_else(refused)? {
        0 => Err(format!("`{text}` is zero: the duration must be positive")),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// The shortest text that [`parse`] reads back; what is below a millisecond is dropped.
pub fn to_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, scale) = UNITS.into_iter().find(|(_, scale)| millis.is_multiple_of(*scale)).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / scale)
}

/// For serde.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written_back() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000), ("90d", 7_776_000_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse(&to_text(Duration::from_millis(millis))), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(to_text(Duration::from_secs(90)), "90s");
        assert_eq!(to_text(Duration::from_secs(86_400)), "1d");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "30", "s", "-1s", "1.5s", "1 s", "1w", "0s", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
