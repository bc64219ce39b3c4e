//! When the worker should look for due work again: a timer that anyone may set to an earlier time.

use crate::domain::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// A hint, never the truth: the store knows what is due.
#[derive(Debug)]
pub(in crate::service) struct Wakeup {
    earliest: AtomicI64,
    notify: Notify,
}

impl Default for Wakeup {
    fn default() -> Self {
        Self { earliest: AtomicI64::new(i64::MAX), notify: Notify::new() }
    }
}

impl Wakeup {
    /// Something is due then.
    pub(in crate::service) fn hint(&self, due: Timestamp) {
        if self.earliest.fetch_min(due.0, Ordering::AcqRel) > due.0 {
            self.notify.notify_one();
        }
    }

    /// The earliest hint since the last call, which this call forgets: the caller looks now.
    pub(super) fn take(&self) -> Option<Timestamp> {
        match self.earliest.swap(i64::MAX, Ordering::AcqRel) {
            i64::MAX => None,
            due => Some(Timestamp(due)),
        }
    }

    /// Ends when an earlier time than all before was hinted.
    pub(super) async fn notified(&self) {
        self.notify.notified().await;
    }
}
