//! Threads behind a bounded queue, joined when the queue is dropped.

use super::error::Fault;
use crate::store::StoreError;
use crate::store::common::Alarm;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Threads that work off one queue. Dropping it lets them finish what is queued, then waits for them.
pub(super) struct Threads<J> {
    queue: Option<mpsc::Sender<J>>,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static> Threads<J> {
    /// One thread that takes jobs as it likes. `failed` is cancelled where it panics.
    pub(super) fn one(
        name: &str,
        places: usize,
        failed: &CancellationToken,
        work: impl FnOnce(mpsc::Receiver<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(places_within_bounds(places));
        let alarm = Alarm(failed.clone());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alarm = alarm;
            work(jobs);
        })?;
        Ok(Self { queue: Some(queue), threads: vec![thread] })
    }

    /// A thread for each state; each job goes to one that is free. `failed` is cancelled where one of them panics.
    pub(super) fn many<S: Send + 'static>(
        name: &str,
        places: usize,
        failed: &CancellationToken,
        states: Vec<S>,
        work: fn(&S, J),
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(places_within_bounds(places));
        let jobs = Arc::new(Mutex::new(jobs));
        // Made first, so that those already started are joined where a later one fails to start.
        let mut all = Self { queue: Some(queue), threads: Vec::with_capacity(states.len()) };
        for state in states {
            let (jobs, alarm) = (Arc::clone(&jobs), Alarm(failed.clone()));
            all.threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
                let _alarm = alarm;
                while let Some(job) = next(&jobs) {
                    work(&state, job);
                }
            })?);
        }
        Ok(all)
    }

    /// Waits for a place in the queue; that is the back-pressure.
    pub(super) async fn send(&self, job: J) -> Result<(), StoreError> {
        match &self.queue {
            Some(queue) => queue.send(job).await.map_err(|_| Fault::Stopped.into()),
            None => Err(Fault::Stopped.into()),
        }
    }
}

/// The lock is held while waiting, so idle threads wait for it in line behind the one that waits
/// for a job; it is free again before the job runs.
fn next<J>(jobs: &Mutex<mpsc::Receiver<J>>) -> Option<J> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the queue brings, which is `Some(None)` at its end; `None` if it brought nothing until `deadline`.
pub(super) fn receive_until<J>(jobs: &mut mpsc::Receiver<J>, deadline: Instant) -> Option<Option<J>> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(received) = jobs.poll_recv(&mut context) {
            return Some(received);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// tokio refuses a queue of none and of very many places with a panic.
fn places_within_bounds(places: usize) -> usize {
    places.clamp(1, 1 << 20)
}

impl<J> Drop for Threads<J> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_raises_the_alarm_and_one_that_ends_does_not() {
        let failed = CancellationToken::new();
        drop(Threads::<()>::one("ends", 1, &failed, drop).unwrap());
        assert!(!failed.is_cancelled());
        let threads = Threads::many("panics", 1, &failed, vec![(), ()], |(), job: fn()| job()).unwrap();
        threads.send(|| panic!("a defect")).await.unwrap();
        failed.cancelled().await;
    }
}
