//! `[limits]`: what callers may ask for, and how much is done at once. Each folder reads its own from here.

use crate::domain::duration;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Each step that runs holds memory and a place at its issuer.
const MAX_CONCURRENCY: usize = 10_000;
/// Of a request, and of a step of the worker.
const SHORTEST: Duration = Duration::from_millis(100);

/// Limits on callers and on our own work.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest body of a REST request and the largest gRPC message taken, in bytes. Default 1 MiB.
    #[serde(deserialize_with = "positive")]
    pub request_body_bytes: usize,
    /// The largest backup of one certificate, in bytes; a request with one may be this large. Default 3 MiB, about a
    /// thousand versions with RSA-2048 keys; more would exceed the default message limit of gRPC clients.
    #[serde(deserialize_with = "positive")]
    pub backup_bytes: usize,
    /// The largest certificate file of an import, and the largest list of a merge, in bytes as they were sent. Default
    /// 1 MiB; a chain has some KB. `request_body_bytes` bounds it too, in which base64 takes a third more.
    #[serde(deserialize_with = "positive")]
    pub import_bytes: usize,
    /// Certificates in one import or merge. Default 32; chains have up to 6.
    #[serde(deserialize_with = "positive")]
    pub import_certificates: usize,
    /// Rounds of key derivation that the files of one import or merge may ask for. Default 8,000,000, which take a
    /// processor two to five seconds; files of Firefox ask for 3,600,000.
    #[serde(deserialize_with = "positive")]
    pub import_rounds: u64,
    /// How long the body of a request may take to arrive. Default 30 s.
    #[serde(with = "duration")]
    pub body_read_timeout: Duration,
    /// How long a request or a call may take until its response, or the start of its stream. Default 60 s.
    #[serde(deserialize_with = "some_time")]
    pub request_timeout: Duration,
    /// Open watch streams of one connection. Default 256; must stay below `listener.max_concurrent_streams`.
    #[serde(deserialize_with = "positive")]
    pub watch_streams_per_connection: usize,
    /// Open watch streams of one principal. Default 1000.
    #[serde(deserialize_with = "positive")]
    pub watch_streams_per_principal: usize,
    /// Open watch streams of the process. Default 100,000.
    #[serde(deserialize_with = "positive")]
    pub watch_streams: usize,
    /// Requests that may wait for a thread that generates keys, whatever their cost, and the same number for those that
    /// sign, since each uses memory. Default 256.
    #[serde(deserialize_with = "positive")]
    pub key_queue: usize,
    /// The longest expected time for the work that waits for these threads. Above it, a request is answered 429 at
    /// once, or displaces one of the principal with the most work waiting. Default 30 s.
    #[serde(with = "duration")]
    pub key_queue_time: Duration,
    /// The share of this time for one principal, in percent from 1 to 100. Default 75.
    #[serde(deserialize_with = "percent")]
    pub key_queue_share: u8,
    /// Pending operations that the worker advances concurrently, up to 10,000. Default 64.
    #[serde(deserialize_with = "concurrency")]
    pub worker_concurrency: usize,
    /// The lease on claimed work: if a replica dies, another one takes over after this time. A step is cut off at 80 %
    /// of it. Default 90 s.
    #[serde(deserialize_with = "some_time")]
    pub work_lease: Duration,
    /// An issuer that has not decided after this long has failed, and its order is cancelled. Default 30 days.
    #[serde(with = "duration")]
    pub issuing_deadline: Duration,
    /// How long an issuer is asked to cancel an order whose operation was deleted, or failed undecided. Default
    /// 30 days.
    #[serde(with = "duration")]
    pub cancelling_deadline: Duration,
    /// Concurrent calls to one issuer that may take longer than a second. At this number further operations of this
    /// issuer wait; those of others do not. Default 16.
    #[serde(deserialize_with = "positive")]
    pub slow_calls_per_issuer: usize,
    /// Events are kept at least this long, so that a watcher can resume. Default 24 h.
    #[serde(with = "duration")]
    pub event_retention: Duration,
    /// The number of events that are kept regardless of their age. Default 100,000.
    #[serde(deserialize_with = "positive")]
    pub events_kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body_bytes: 1024 * 1024,
            backup_bytes: 3 * 1024 * 1024,
            import_bytes: 1024 * 1024,
            import_certificates: 32,
            import_rounds: 8_000_000,
            body_read_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            watch_streams_per_connection: 256,
            watch_streams_per_principal: 1000,
            watch_streams: 100_000,
            key_queue: 256,
            key_queue_time: Duration::from_secs(30),
            key_queue_share: 75,
            worker_concurrency: 64,
            work_lease: Duration::from_secs(90),
            issuing_deadline: Duration::from_secs(30 * 24 * 3600),
            cancelling_deadline: Duration::from_secs(30 * 24 * 3600),
            slow_calls_per_issuer: 16,
            event_retention: Duration::from_secs(24 * 3600),
            events_kept: 100_000,
        }
    }
}

fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let number = u8::deserialize(from)?;
    if (1..=100).contains(&number) {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("{number} is not a percentage from 1 to 100")))
    }
}

fn concurrency<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = positive(from)?;
    if number <= MAX_CONCURRENCY {
        return Ok(number);
    }
    Err(D::Error::custom(format!("{number} is too many; use up to {MAX_CONCURRENCY}")))
}

/// A time in which something can be done.
fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let time = duration::deserialize(from)?;
    if time >= SHORTEST {
        return Ok(time);
    }
    let (time, shortest) = (duration::to_text(time), duration::to_text(SHORTEST));
    Err(D::Error::custom(format!("{time} is too short for anything to be done; use {shortest} or more")))
}

/// A number that is not zero.
pub(crate) fn positive<'de, D, N>(from: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Default + PartialEq,
{
    let number = N::deserialize(from)?;
    if number == N::default() {
        let expected = format!("a nonzero {}", std::any::type_name::<N>());
        return Err(D::Error::invalid_value(Unexpected::Unsigned(0), &expected.as_str()));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_above_zero() {
        let limits: Limits = toml::from_str("import_bytes = 10\nimport_rounds = 3000000000000").unwrap();
        assert_eq!((limits.import_bytes, limits.import_rounds), (10, 3_000_000_000_000));
        for name in ["import_bytes", "import_certificates", "import_rounds"] {
            for bad in ["0", "-1", "1.5", "'1 MiB'"] {
                assert!(toml::from_str::<Limits>(&format!("{name} = {bad}")).is_err(), "{name} = {bad}");
            }
        }
        for (bad, says) in [
            ("worker_concurrency = 9223372036854775807", "is too many; use up to 10000"),
            ("request_timeout = '1ms'", "too short for anything to be done"),
            ("work_lease = '0s'", "is zero: the duration must be positive"),
        ] {
            let error = toml::from_str::<Limits>(bad).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
        let error = toml::from_str::<Limits>("key_queue = 0").unwrap_err().message().to_owned();
        assert_eq!(error, "invalid value: integer `0`, expected a nonzero usize");
    }
}
