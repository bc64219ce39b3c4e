//! Optimistic concurrency: a use case reads, decides and commits against the revisions that it read, and starts
//! again where another writer committed first.

use crate::domain::{Error, Reason, Result};
use std::time::Duration;

/// How often a use case decides again after another writer committed first.
pub(super) const ATTEMPTS: usize = 16;

/// Runs a block of `Result<Option<T>>` until it gives a value, and gives that. `None` means that another writer
/// committed first: whatever was read is stale, so the next attempt reads again. An error ends it at once;
/// [`contended`] is the error where every attempt lost. `return` and `?` in the block end the attempt.
///
/// A macro because the future of an async closure that borrows is not known to be `Send` behind a generic function.
macro_rules! retry {
    ($attempt:block) => {
        'attempts: {
            for _ in 0..$crate::service::retry::ATTEMPTS {
                match $crate::service::retry::attempt(async $attempt).await {
                    Ok(Some(done)) => break 'attempts Ok(done),
                    Ok(None) => {}
                    Err(error) => break 'attempts Err(error),
                }
            }
            Err($crate::service::retry::contended())
        }
    };
}

pub(super) use retry;

/// The type of an attempt.
pub(super) fn attempt<T>(attempt: impl Future<Output = Result<Option<T>>>) -> impl Future<Output = Result<Option<T>>> {
    attempt
}

/// The error of a change that lost to other writers every time: the caller may repeat it.
pub(super) fn contended() -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "Too many callers are changing this object at the same time. Retry the request.",
    )
    .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_succeeds_is_the_last_one() {
        let mut attempts = 0;
        let done = retry!({
            attempts += 1;
            Ok((attempts == 3).then_some("done"))
        });
        assert_eq!(done.unwrap(), "done");
        assert_eq!(attempts, 3);
    }

    #[tokio::test]
    async fn an_error_is_not_retried() {
        let mut attempts = 0;
        let failed: Result<()> = retry!({
            attempts += 1;
            Err(Error::bad_parameter("no".to_owned()))
        });
        assert_eq!(failed.unwrap_err().reason, Reason::BadParameter);
        assert_eq!(attempts, 1);
    }

    #[tokio::test]
    async fn who_loses_every_time_is_asked_to_repeat_the_request() {
        let mut attempts = 0;
        let failed: Result<()> = retry!({
            attempts += 1;
            Ok(None)
        });
        let error = failed.unwrap_err();
        assert_eq!((error.reason, error.retry_after), (Reason::StoreUnavailable, Some(Duration::from_secs(1))));
        assert_eq!(attempts, ATTEMPTS);
    }
}
