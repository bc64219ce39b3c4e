//! Threads for CPU-bound work, so that it never blocks the threads that serve requests. The queue is bounded in
//! expected time, and callers take turns: an overloaded server refuses at once instead of becoming slow, and a flood
//! from one caller does not delay others.

use super::caller::{Caller, Owner};
use super::defect;
use super::turns::{Asking, Bounds, Cause, Refusal, Turns};
use super::work::{Costs, Lane, Work};
use crate::domain::{Detail, Error, Reason, Result};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How much work may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueueOptions {
    /// Requests that wait at the same time for either kind of thread, however little they cost: each holds memory.
    pub(crate) jobs: usize,
    /// Expected time until a full queue is empty.
    pub(crate) time: Duration,
    /// How much of it one principal may fill, in percent.
    pub(crate) share: u8,
}

impl QueueOptions {
    /// The bounds for so many threads.
    fn bounds(self, threads: usize) -> Bounds {
        let Self { jobs, time, share } = self;
        let time = time.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
        Bounds { jobs: jobs.max(1), time, share: time / 100 * u32::from(share.clamp(1, 100)) }
    }
}

/// What waits and runs, and what was not run, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueLoad {
    pub waiting: usize,
    pub running: usize,
    /// Expected time of a core for what waits.
    pub short_time: Duration,
    pub long_time: Duration,
    pub not_run: NotRun,
}

/// Jobs that were not run, by cause, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotRun {
    pub share: u64,
    pub full: u64,
    pub displaced: u64,
    pub late: u64,
    /// Their callers had gone.
    pub gone: u64,
}

/// Runs the job, or answers its caller with the error.
type Job = Box<dyn FnOnce(Option<Error>) + Send>;

#[derive(Default)]
struct State {
    short: Turns<(Work, Job)>,
    long: Turns<(Work, Job)>,
    costs: Costs,
    not_run: NotRun,
    stopping: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        [&self.short, &self.long].into_iter().all(|turns| turns.running() == 0 && turns.waiting() == 0)
    }

    fn lane(&mut self, lane: Lane) -> &mut Turns<(Work, Job)> {
        match lane {
            Lane::Short => &mut self.short,
            Lane::Long => &mut self.long,
        }
    }

    fn refused(&mut self, cause: Cause) {
        let counter = match cause {
            Cause::Share => &mut self.not_run.share,
            Cause::Full => &mut self.not_run.full,
            Cause::Displaced => &mut self.not_run.displaced,
            Cause::Late => &mut self.not_run.late,
        };
        *counter += 1;
    }
}

struct Shared {
    state: Mutex<State>,
    /// There is a job, or the end.
    work: Condvar,
    /// There is nothing to do, or the end.
    idle: Condvar,
    queue: QueueOptions,
    /// Threads for jobs of both lanes.
    threads: usize,
}

impl Shared {
    /// Nothing can break the state in the middle of a change: a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads work on a lane now.
    fn servers(&self, state: &State, lane: Lane) -> usize {
        match lane {
            Lane::Long => self.threads,
            // Its own, and those that long jobs leave.
            Lane::Short => 1 + self.threads.saturating_sub(state.long.running() + state.long.waiting()),
        }
    }

    /// Runs jobs until the end. A thread for short jobs alone makes sure that they run while long
    /// ones have all others.
    fn serve(&self, short_only: bool) {
        let lanes: &[Lane] = if short_only { &[Lane::Short] } else { &[Lane::Long, Lane::Short] };
        let mut state = self.lock();
        while !state.stopping {
            let now = Instant::now();
            let turn = lanes.iter().find_map(|lane| {
                let servers = self.servers(&state, *lane);
                state.lane(*lane).take(now, servers).map(|turn| (*lane, turn))
            });
            let Some((lane, turn)) = turn else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (work, job) = turn.job;
            let refusal = turn.late.map(|refusal| {
                state.refused(refusal.cause);
                error(refusal)
            });
            let run = refusal.is_none();
            drop(state);
            if catch_unwind(AssertUnwindSafe(|| job(refusal))).is_err() {
                tracing::error!("a job of the key workers panicked");
            }
            let took = now.elapsed();
            state = self.lock();
            if run {
                state.lane(lane).finish(turn.id, took);
                state.costs.learn(work, took);
            }
            if state.is_idle() {
                self.idle.notify_all();
            }
        }
    }
}

/// Of threads that work for seconds: where processors are short, requests are served and signatures made before them.
const NICENESS: i32 = 5;

/// Lowers the priority of this thread (`nice(2)`: on Linux that of the thread alone). Where the system does not
/// want to, it stays as it was.
pub(super) fn give_way(niceness: i32) {
    if cfg!(target_os = "linux") {
        let _ = rustix::process::nice(niceness);
    }
}

/// The threads; they end when this is dropped.
pub(crate) struct Workers(Arc<Shared>);

impl Workers {
    /// `threads` for jobs of both lanes and one more for short jobs alone.
    pub(crate) fn start(threads: usize, queue: QueueOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            queue,
            threads: threads.max(1),
        });
        // Made first: where a thread cannot start, dropping it ends those that did.
        let workers = Self(Arc::clone(&shared));
        for index in 0..=threads.max(1) {
            let shared = Arc::clone(&shared);
            let short_only = index == 0;
            let run = move || {
                if !short_only {
                    give_way(NICENESS);
                }
                shared.serve(short_only);
            };
            thread::Builder::new().name(format!("keys-{index}")).spawn(run)?;
        }
        Ok(workers)
    }

    /// The answer of `job`, run on one of the threads when it is the caller's turn. A job whose caller went away before
    /// it began is not run. Refused with [`Reason::Throttled`] if the queue has no room for it, or where it cannot
    /// be done before the caller's deadline.
    pub(crate) async fn run<T, F>(&self, caller: &Caller, work: Work, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |refused: Option<Error>| {
            if !answer.is_closed() {
                // The receiver may have been dropped meanwhile; ignore the error.
                let _ = answer.send(refused.map_or_else(job, Err));
            }
        });
        let mut place = self.enter(caller, work, job)?;
        let answered = answered.await;
        place.held = false;
        answered.map_err(defect("a job of the key workers gave no answer"))?
    }

    /// Waits until there is nothing to do; false at the end.
    pub(crate) fn watcher(&self) -> IdleWatcher {
        IdleWatcher(Arc::clone(&self.0))
    }

    pub(crate) fn load(&self) -> QueueLoad {
        let state = self.0.lock();
        QueueLoad {
            waiting: state.short.waiting() + state.long.waiting(),
            running: state.short.running() + state.long.running(),
            short_time: state.short.time(),
            long_time: state.long.time(),
            not_run: state.not_run,
        }
    }

    fn enter(&self, caller: &Caller, work: Work, job: Job) -> Result<Place> {
        let (lane, now) = (work.lane(), Instant::now());
        let mut state = self.0.lock();
        let (cost, servers) = (state.costs.expected(work), self.0.servers(&state, lane));
        let bounds = self.0.queue.bounds(if lane == Lane::Long { self.0.threads } else { 1 });
        let asking = Asking { owner: caller.owner(), cost, deadline: caller.deadline(), job: (work, job) };
        let entered = state.lane(lane).enter(asking, bounds, now, servers).map_err(|refusal| {
            state.refused(refusal.cause);
            error(refusal)
        })?;
        for (_, refusal) in &entered.displaced {
            state.refused(refusal.cause);
        }
        drop(state);
        // All, as the one that wakes may be the one for short jobs.
        self.0.work.notify_all();
        for ((_, job), refusal) in entered.displaced {
            job(Some(error(refusal)));
        }
        Ok(Place { shared: Arc::clone(&self.0), owner: caller.owner().clone(), lane, id: entered.id, held: true })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.work.notify_all();
        self.0.idle.notify_all();
    }
}

/// The place of a job in the queue; dropping it before the answer gives the place up.
struct Place {
    shared: Arc<Shared>,
    owner: Owner,
    lane: Lane,
    id: u64,
    held: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let mut state = self.shared.lock();
        let left = state.lane(self.lane).leave(&self.owner, self.id);
        if left.is_some() {
            state.not_run.gone += 1;
        }
        if state.is_idle() {
            self.shared.idle.notify_all();
        }
        drop(state);
        drop(left);
    }
}

/// For the owner that may work only while no other does.
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

/// The refusal in words, with the time after which there may be room: whole seconds, as `Retry-After` has them.
fn error(refusal: Refusal) -> Error {
    let Refusal { cause, after } = refusal;
    let (message, limit) = match cause {
        Cause::Share => (
            "Too many of your key requests are already waiting. Retry later.",
            "Your waiting requests already fill your share of the key queue.",
        ),
        Cause::Full => ("The server is busy with other key requests. Retry later.", "The key queue is full."),
        Cause::Displaced => (
            "The server is busy, and most of the waiting key requests are yours. Retry later.",
            "The key queue is full, and callers with fewer requests are served first.",
        ),
        Cause::Late => (
            "The server is too busy to do the key operation before the deadline of the request. Retry later, or allow \
             more time.",
            "The wait in the key queue is longer than the time left for this request.",
        ),
    };
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    Error::new(Reason::Throttled, message)
        .with(Detail::Quota { subject: "keys".to_owned(), description: limit.to_owned() })
        .retry_after(Duration::from_secs(seconds.max(1)))
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
