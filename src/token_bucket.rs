//! Token buckets by name: how often something may be done, for requests to others and requests of callers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many names are remembered; those whose buckets are full are forgotten first, which changes nothing.
const MOST: usize = 10_000;

/// So many at once, and one more after each interval.
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

/// A bucket for each name.
#[derive(Debug, Default)]
pub struct Buckets(Mutex<HashMap<String, Bucket>>);

impl Buckets {
    /// Takes a token of this name, or says how long until there is one. With very many names whose buckets are not full
    /// a further name has to wait.
    ///
    /// # Errors
    /// The wait; nothing was taken.
    pub fn take(&self, name: &str, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(name) {
            return bucket.take(rate, now);
        }
        if buckets.len() >= MOST {
            buckets.retain(|_, bucket| bucket.full_at > now);
            if buckets.len() >= MOST {
                return Err(rate.interval);
            }
        }
        buckets.entry(name.to_owned()).or_insert_with(|| Bucket::new(now)).take(rate, now)
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
        assert!(buckets.take("b", rate, start).is_ok(), "another name has its own");
        let later = start + Duration::from_millis(1500);
        assert!(buckets.take("a", rate, later).is_ok());
        assert_eq!(buckets.take("a", rate, later), Err(Duration::from_millis(500)));
        let idle = start + Duration::from_secs(60);
        assert!((0..3).all(|_| buckets.take("a", rate, idle).is_ok()));
        assert!(buckets.take("a", rate, idle).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (rate, start) = (Rate { burst: 1, interval: Duration::from_secs(1) }, Instant::now());
        let buckets = Buckets::default();
        assert!((0..MOST).all(|number| buckets.take(&number.to_string(), rate, start).is_ok()));
        assert_eq!(buckets.take("one more", rate, start), Err(rate.interval));
        assert!(buckets.take("one more", rate, start + rate.interval).is_ok(), "all others are full again");
        assert_eq!(buckets.0.lock().unwrap().len(), 1);
    }
}
