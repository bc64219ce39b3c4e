//! One connection for all who read on a lane, and one attempt to make it for all who wait for it.

use super::error::Fault;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A connection that is made when it is needed.
pub(super) struct Shared<T>(Mutex<Place<T>>);

struct Place<T> {
    open: Option<Arc<T>>,
    /// When the last attempt ended without a connection, and why.
    failed: Option<(Instant, Fault)>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(Place { open: None, failed: None }))
    }
}

impl<T> Shared<T> {
    /// The connection, where it is still `usable`, else one that `connect` makes. Who waited while an attempt failed
    /// gets the fault of that attempt: one after the other, attempts at a database that is silent would keep the last
    /// of many waiters for as long as all of them together.
    pub(super) async fn get(
        &self,
        usable: impl Fn(&T) -> bool,
        connect: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Arc<T>, Fault> {
        let began = Instant::now();
        let mut place = self.0.lock().await;
        if let Some(open) = place.open.as_ref().filter(|open| usable(open)) {
            return Ok(open.clone());
        }
        if let Some((_, fault)) = place.failed.as_ref().filter(|(at, _)| *at >= began) {
            return Err(fault.clone());
        }
        match connect.await {
            Ok(open) => {
                let open = Arc::new(open);
                *place = Place { open: Some(open.clone()), failed: None };
                Ok(open)
            }
            Err(fault) => {
                *place = Place { open: None, failed: Some((Instant::now(), fault.clone())) };
                Err(fault)
            }
        }
    }

    /// Unless somebody has already put another one in its place.
    pub(super) async fn forget(&self, failed: &Arc<T>) {
        let mut place = self.0.lock().await;
        if place.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, failed)) {
            place.open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// An attempt that lets all others come to wait for it before it ends.
    async fn attempt(count: &AtomicU32, ended: Result<u32, Fault>) -> Result<u32, Fault> {
        count.fetch_add(1, Relaxed);
        tokio::task::yield_now().await;
        ended
    }

    #[tokio::test]
    async fn all_who_wait_for_a_connection_share_the_fault_of_one_attempt() {
        let (shared, attempts) = (Shared::default(), AtomicU32::new(0));
        let waiting = (0..20).map(|_| shared.get(|_| true, attempt(&attempts, Err(Fault::Stopped))));
        let answers = join_all(waiting).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(Fault::Stopped))));
        assert_eq!(attempts.load(Relaxed), 1);
        // Who comes afterwards tries anew.
        let open = shared.get(|_| true, attempt(&attempts, Ok(7))).await.unwrap();
        assert_eq!((*open, attempts.load(Relaxed)), (7, 2));
    }

    #[tokio::test]
    async fn a_connection_is_made_again_where_it_is_closed_or_forgotten() {
        let (shared, attempts) = (Shared::default(), AtomicU32::new(0));
        let first = shared.get(|_| true, attempt(&attempts, Ok(1))).await.unwrap();
        assert_eq!(*shared.get(|_| true, attempt(&attempts, Ok(2))).await.unwrap(), 1);
        assert_eq!(*shared.get(|_| false, attempt(&attempts, Ok(3))).await.unwrap(), 3);
        shared.forget(&first).await;
        let third = shared.get(|_| true, attempt(&attempts, Ok(4))).await.unwrap();
        assert_eq!(*third, 3, "another one was forgotten");
        shared.forget(&third).await;
        assert_eq!(*shared.get(|_| true, attempt(&attempts, Ok(5))).await.unwrap(), 5);
        assert_eq!(attempts.load(Relaxed), 3);
    }
}
