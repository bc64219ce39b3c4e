//! Limits concurrent calls to slow issuers (bulkhead), so that a stuck issuer does not take all worker slots.

use crate::domain::{IssuerName, Operation, VaultName};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A call that takes longer is a slow one.
const SLOW: Duration = Duration::from_secs(1);

/// Under which name the calls for an operation are counted. Cancellations are not held up by orders.
pub(in crate::service) fn name(operation: &Operation) -> String {
    let act = if operation.cancellation_requested { "cancel" } else { "advance" };
    format!("{act} {}/{}", operation.vault, operation.issuer.name.to_ascii_lowercase())
}

/// Under which name the questions for renewal windows are counted: they hold no order up, nor one another for ever.
pub(in crate::service) fn window_name(vault: &VaultName, issuer: &IssuerName) -> String {
    format!("window {vault}/{}", issuer.as_str().to_ascii_lowercase())
}

/// Slow calls under way, by issuer.
#[derive(Debug, Default)]
pub(in crate::service) struct IssuerBulkhead(Mutex<HashMap<String, usize>>);

impl IssuerBulkhead {
    /// Whether this issuer is kept waiting for by `limit` calls already.
    pub(in crate::service) fn is_stuck(&self, issuer: &str, limit: usize) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(issuer).is_some_and(|count| *count >= limit)
    }

    /// Waits for the call, and counts it once it is slow.
    pub(in crate::service) async fn watch<T>(&self, issuer: &str, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => return answer,
            () = tokio::time::sleep(SLOW) => {}
        }
        let _counted = Counted::new(self, issuer);
        call.await
    }
}

/// Counts for as long as it lives: a call that is cut ends, too.
struct Counted<'a> {
    calls: &'a IssuerBulkhead,
    issuer: &'a str,
}

impl<'a> Counted<'a> {
    fn new(calls: &'a IssuerBulkhead, issuer: &'a str) -> Self {
        let mut counts = calls.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(issuer.to_owned()).or_default() += 1;
        Self { calls, issuer }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut counts = self.calls.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(self.issuer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(self.issuer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn only_calls_that_take_long_count_and_only_for_their_issuer() {
        let calls = IssuerBulkhead::default();
        calls.watch("quick", ready(())).await;
        assert!(!calls.is_stuck("quick", 1));
        let slow = async {
            tokio::time::timeout(Duration::from_secs(10), calls.watch("slow", pending::<()>())).await.unwrap_err()
        };
        let look = async {
            tokio::time::sleep(SLOW / 2).await;
            assert!(!calls.is_stuck("slow", 1));
            tokio::time::sleep(SLOW).await;
            assert!(calls.is_stuck("slow", 1) && !calls.is_stuck("slow", 2) && !calls.is_stuck("quick", 1));
        };
        tokio::join!(slow, look);
        assert!(!calls.is_stuck("slow", 1), "a call that was cut is over");
    }
}
