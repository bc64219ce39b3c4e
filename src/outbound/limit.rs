//! Whose rate limit at the other side a request counts against, and how long it waits for its turn.

use crate::token_bucket::{Buckets, Rate};
use aws_lc_rs::digest;
use std::time::Duration;
use tokio::time::Instant;

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

/// Takes a token, and waits for it as long as `patience`.
///
/// # Errors
/// The wait that is left; nothing was taken.
pub(super) async fn wait(buckets: &Buckets, quota: &Quota, patience: Duration) -> Result<(), Duration> {
    let until = Instant::now() + patience;
    loop {
        let now = Instant::now();
        match buckets.take(&quota.credential, quota.rate, now) {
            Ok(()) => return Ok(()),
            Err(wait) if now + wait > until => return Err(wait),
            Err(wait) => tokio::time::sleep(wait).await,
        }
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
            wait(&buckets, &quota, Duration::from_secs(2)).await.unwrap();
        }
        assert_eq!(begun.elapsed().as_secs(), 4, "the first at once");
        let left = wait(&buckets, &quota, Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(left, Duration::from_secs(1));
    }
}
