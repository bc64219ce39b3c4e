//! A token bucket for each credential, so that bursts stay within the other side's rate limits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many credentials are remembered; the fullest buckets are forgotten first, which changes nothing.
const MOST: usize = 10_000;

/// So many requests at once, and one more after each interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// At least 1.
    pub burst: u32,
    pub interval: Duration,
}

/// One bucket, as the time at which it will be full again.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token, or says how long until there is one.
    ///
    /// # Errors
    /// The wait; nothing was taken.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + rate.interval;
        let wait = full_at.saturating_duration_since(now).saturating_sub(rate.interval * rate.burst.max(1));
        if wait.is_zero() {
            self.full_at = full_at;
            return Ok(());
        }
        Err(wait)
    }
}

/// The buckets of all credentials, by a name that is no secret.
#[derive(Debug, Default)]
pub struct Buckets(Mutex<HashMap<String, Bucket>>);

impl Buckets {
    /// Takes a token of this credential, or says how long until there is one.
    ///
    /// # Errors
    /// The wait; nothing was taken.
    pub fn take(&self, credential: &str, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(credential) {
            buckets.retain(|_, bucket| bucket.full_at > now);
            if buckets.len() >= MOST {
                return Err(rate.interval);
            }
        }
        buckets.entry(credential.to_owned()).or_insert_with(|| Bucket::new(now)).take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_each_interval() {
        let rate = Rate { burst: 3, interval: Duration::from_secs(1) };
        let start = Instant::now();
        let buckets = Buckets::default();
        assert!((0..3).all(|_| buckets.take("a", rate, start).is_ok()));
        assert_eq!(buckets.take("a", rate, start), Err(Duration::from_secs(1)));
        assert!(buckets.take("b", rate, start).is_ok(), "another credential has its own");
        let later = start + Duration::from_millis(1500);
        assert!(buckets.take("a", rate, later).is_ok());
        assert_eq!(buckets.take("a", rate, later), Err(Duration::from_millis(500)));
        let idle = start + Duration::from_secs(60);
        assert!((0..3).all(|_| buckets.take("a", rate, idle).is_ok()));
        assert!(buckets.take("a", rate, idle).is_err());
    }
}
