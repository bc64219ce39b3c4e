//! Threads for work that keeps a core busy, so that the threads that serve requests never wait for
//! it. Queues are bounded: a server that is behind says so instead of becoming slow.

use super::defect;
use crate::domain::{Detail, Error, Reason, Result};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a job takes decides where it waits, so that a signature is not behind a hundred new
/// RSA keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lane {
    /// A few milliseconds at most: signing, reading a key.
    Short,
    /// More: making RSA keys.
    Long,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    short: VecDeque<Job>,
    long: VecDeque<Job>,
    running: usize,
    stopping: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.running == 0 && self.short.is_empty() && self.long.is_empty()
    }
}

struct Shared {
    state: Mutex<State>,
    /// There is a job, or the end.
    work: Condvar,
    /// There is nothing to do, or the end.
    idle: Condvar,
    queue: usize,
}

impl Shared {
    /// Nothing can break the state in the middle of a change: a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the end. A thread for short jobs alone makes sure that they run while long
    /// ones have all others.
    fn serve(&self, short_only: bool) {
        let mut state = self.lock();
        while !state.stopping {
            let long = if short_only { None } else { state.long.pop_front() };
            let Some(job) = long.or_else(|| state.short.pop_front()) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.running += 1;
            drop(state);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job of the key workers panicked");
            }
            state = self.lock();
            state.running -= 1;
            if state.is_idle() {
                self.idle.notify_all();
            }
        }
    }
}

/// The threads; they end when this is dropped.
pub(crate) struct Workers(Arc<Shared>);

impl Workers {
    /// `threads` for jobs of both kinds and one more for short jobs alone; up to `queue` jobs of
    /// each kind wait.
    pub(crate) fn start(threads: usize, queue: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            queue: queue.max(1),
        });
        // Made first: where a thread cannot start, dropping it ends those that did.
        let workers = Self(Arc::clone(&shared));
        for index in 0..=threads.max(1) {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("keys-{index}")).spawn(move || shared.serve(index == 0))?;
        }
        Ok(workers)
    }

    /// The answer of `job`, run on one of the threads. A job whose caller went away before it
    /// began is not run. Refused with [`Reason::Throttled`] where the queue is full.
    pub(crate) async fn run<T, F>(&self, lane: Lane, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.submit(
            lane,
            Box::new(move || {
                if !answer.is_closed() {
                    // The caller may have gone meanwhile; then nobody wants the answer.
                    let _ = answer.send(job());
                }
            }),
        )?;
        answered.await.map_err(defect("a job of the key workers gave no answer"))?
    }

    /// Waits until there is nothing to do; false at the end.
    pub(crate) fn watcher(&self) -> IdleWatcher {
        IdleWatcher(Arc::clone(&self.0))
    }

    /// Jobs that wait, and jobs that run.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.short.len() + state.long.len(), state.running)
    }

    fn submit(&self, lane: Lane, job: Job) -> Result<()> {
        let mut state = self.0.lock();
        let queue = match lane {
            Lane::Short => &mut state.short,
            Lane::Long => &mut state.long,
        };
        if queue.len() >= self.0.queue {
            return Err(full(self.0.queue));
        }
        queue.push_back(job);
        drop(state);
        // All, as the one that wakes may be the one for short jobs.
        self.0.work.notify_all();
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.work.notify_all();
        self.0.idle.notify_all();
    }
}

/// For who may only work when nobody else does.
pub(crate) struct IdleWatcher(Arc<Shared>);

impl IdleWatcher {
    /// Waits until there is nothing to do; false at the end.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.0.lock();
        while !state.stopping && !state.is_idle() {
            state = self.0.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopping
    }
}

fn full(queue: usize) -> Error {
    Error::new(Reason::Throttled, "The server is busy with the keys of other requests. Repeat the request later.")
        .with(Detail::Quota {
            subject: "keys".to_owned(),
            description: format!("{queue} requests already wait for a free processor."),
        })
        .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Holds threads until it is dropped.
    fn hold(workers: &Workers, lane: Lane) -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let job = move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        };
        workers.submit(lane, Box::new(job)).unwrap();
        (release, begins)
    }

    #[tokio::test]
    async fn a_job_is_answered() {
        let workers = Workers::start(1, 1).unwrap();
        assert_eq!(workers.run(Lane::Long, || Ok(7)).await, Ok(7));
        assert_eq!(workers.run::<(), _>(Lane::Short, || Err(Error::internal())).await, Err(Error::internal()));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
        let workers = Workers::start(1, 2).unwrap();
        let (_held, begins) = hold(&workers, Lane::Long);
        begins.recv().unwrap();
        let _waiting = [hold(&workers, Lane::Long), hold(&workers, Lane::Long)];
        let error = workers.run(Lane::Long, || Ok(())).await.unwrap_err();
        assert_eq!(error.reason, Reason::Throttled);
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
        assert!(matches!(&error.details[..], [Detail::Quota { subject, .. }] if subject == "keys"));
    }

    #[tokio::test]
    async fn short_jobs_run_while_long_ones_have_every_thread() {
        let workers = Workers::start(2, 2).unwrap();
        let held = [hold(&workers, Lane::Long), hold(&workers, Lane::Long)];
        held.iter().for_each(|(_, begins)| begins.recv().unwrap());
        assert_eq!(workers.run(Lane::Short, || Ok(7)).await, Ok(7));
        assert_eq!(workers.load(), (0, 2));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_an_error_and_the_thread_lives_on() {
        let workers = Workers::start(1, 1).unwrap();
        for _ in 0..4 {
            let answer = workers.run::<(), _>(Lane::Long, || panic!("on purpose")).await;
            assert_eq!(answer.unwrap_err().reason, Reason::Internal);
        }
        assert_eq!(workers.run(Lane::Long, || Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_whose_caller_went_away_is_not_run() {
        let workers = Workers::start(1, 2).unwrap();
        let (release, begins) = hold(&workers, Lane::Long);
        begins.recv().unwrap();
        let (ran, runs) = mpsc::channel();
        let abandoned = workers.run(Lane::Long, move || ran.send(()).map_err(|_| Error::internal()));
        assert!(tokio::time::timeout(Duration::from_millis(20), abandoned).await.is_err());
        drop(release);
        assert_eq!(workers.run(Lane::Long, || Ok(7)).await, Ok(7));
        assert!(runs.try_recv().is_err());
    }

    #[tokio::test]
    async fn who_waits_for_idleness_waits_for_every_job_and_ends_with_the_workers() {
        let workers = Workers::start(1, 2).unwrap();
        let (release, _begins) = hold(&workers, Lane::Long);
        let watcher = workers.watcher();
        let (idle, idles) = mpsc::channel();
        let waiting = thread::spawn(move || {
            while watcher.wait() {
                let _ = idle.send(());
                thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(idles.recv_timeout(Duration::from_millis(50)).is_err());
        drop(release);
        idles.recv().unwrap();
        drop(workers);
        waiting.join().unwrap();
    }
}
