//! Whether a status means success, retry later, or a permanent error.

use crate::domain::Timestamp;
use http::StatusCode;
use std::time::{Duration, UNIX_EPOCH};

/// Longer waits than this are cut: a wrong date in an answer must not park work for years.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a status means for a repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    Success,
    /// The same request may succeed later.
    Retryable,
    /// The same request will be refused again.
    Refused,
    /// Credentials or settings must change first.
    Misconfigured,
}

/// The class of a status (RFC 9110 section 15), if the body has no details.
pub fn classify(status: StatusCode) -> Class {
    match status.as_u16() {
        200..=299 => Class::Success,
        401 | 403 | 407 => Class::Misconfigured,
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 507 | 520..=599 => Class::Retryable,
        _ => Class::Refused,
    }
}

/// How long `Retry-After` asks to wait, in either form (RFC 9110 section 10.2.3): seconds, or a
/// date. A date in the past means now; at most seven days.
pub fn retry_after(value: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST,
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = Duration::from_millis(u64::try_from(now.0).unwrap_or_default());
            at.saturating_sub(now)
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = Timestamp::from_seconds(784_111_777);
        let read = |text| retry_after(Some(text), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read(" 0 "), Some(Duration::ZERO));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO), "in the past");
        assert_eq!(read("Sat, 06 Nov 2094 08:49:37 GMT"), Some(LONGEST));
        assert_eq!(read("99999999999999999999999999"), Some(LONGEST));
        for junk in ["", "-1", "1.5", "soon"] {
            assert_eq!(read(junk), None, "{junk}");
        }
        assert_eq!(retry_after(None, now), None);
    }

    #[test]
    fn every_status_has_a_class() {
        let class = |status| classify(StatusCode::from_u16(status).unwrap());
        assert_eq!([200, 201, 204].map(class), [Class::Success; 3]);
        assert_eq!([408, 429, 500, 502, 503, 504].map(class), [Class::Retryable; 6]);
        assert_eq!([401, 403, 407].map(class), [Class::Misconfigured; 3]);
        assert_eq!([302, 400, 404, 405, 409, 413, 501].map(class), [Class::Refused; 7]);
    }
}
