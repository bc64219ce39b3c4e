//! A token bucket for each credential, so that bursts stay within the other side's rate limits.

use aws_lc_rs::digest;
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

/// Whose limit a request counts against. The client lets it wait for its turn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quota {
    /// A name of the credential that does not tell it ([`credential_name`]).
    pub credential: String,
    pub rate: Rate,
}

/// A name for a credential that does not tell it: of the server that it is for, and the credential itself.
pub fn credential_name(server: &str, credential: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(server.as_bytes());
    context.update(&[0]);
    context.update(credential.as_bytes());
    context.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
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
    /// Takes a token, and waits for it as long as `patience`.
    ///
    /// # Errors
    /// The wait that is left; nothing was taken.
    pub(super) async fn wait(&self, quota: &Quota, patience: Duration) -> Result<(), Duration> {
        let until = Instant::now() + patience;
        loop {
            let now = Instant::now();
            match self.take(&quota.credential, quota.rate, now) {
                Ok(()) => return Ok(()),
                Err(wait) if now + wait > until => return Err(wait),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

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

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_token_gets_one_in_turn_or_is_told_how_long_it_takes() {
        let rate = Rate { burst: 1, interval: Duration::from_secs(1) };
        let quota = Quota { credential: credential_name("https://ca.example", "geheim"), rate };
        assert!(!quota.credential.contains("geheim"));
        let (buckets, begun) = (Buckets::default(), Instant::now());
        for _ in 0..5 {
            buckets.wait(&quota, Duration::from_secs(2)).await.unwrap();
        }
        assert_eq!(begun.elapsed().as_secs(), 4, "the first at once");
        let left = buckets.wait(&quota, Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(left, Duration::from_secs(1));
    }

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
