//! Advances pending operations: claims what is due and does one step of each, several at a time.

use crate::metrics::Metrics;
use crate::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How the worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Steps at the same time; no more is claimed than there are places.
    pub concurrency: usize,
    /// Steps that took longer than a second, and wait for an issuer beside those places.
    pub waiting: usize,
    /// The longest time between two polls of the store: what another process left behind, or a
    /// lease that ran out, is found then.
    pub poll: Duration,
    /// How long steps may go on after the shutdown began. What is cut is due again when its lease ends.
    pub drain: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 64, waiting: 1024, poll: Duration::from_secs(1), drain: Duration::from_secs(10) }
    }
}

/// Works until `shutdown`, then lets the steps under way end.
pub async fn run(service: Service, options: WorkerOptions, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(options.concurrency.max(1)));
    let waiting = Arc::new(Semaphore::new(options.waiting.max(1)));
    let steps = TaskTracker::new();
    while !shutdown.is_cancelled() {
        let next = service.jobs().next_due();
        let found = claim(&service, &places, &waiting, &steps).await;
        let wait = match (found, next) {
            (Claimed::Full, _) => {
                // All slots are taken: the next poll waits for a free one.
                tokio::select! {
                    biased; // one order, so that a simulation repeats itself
                    place = places.acquire() => drop(place),
                    () = shutdown.cancelled() => break,
                }
                continue;
            }
            (Claimed::Failed, _) => options.poll,
            (Claimed::All, next) => next.filter(|wait| !wait.is_zero()).unwrap_or(options.poll).min(options.poll),
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = service.jobs().wait_for_work() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    steps.close();
    if tokio::time::timeout(options.drain, steps.wait()).await.is_err() {
        tracing::warn!(
            steps = steps.len(),
            "steps were interrupted by the shutdown; they are due again when their leases end"
        );
    }
}

/// A step that takes longer is waiting for something external.
const SLOW: Duration = Duration::from_secs(1);

/// A step that runs; dropped when it ended, in a panic too.
struct Running<'a>(&'a Metrics);

impl<'a> Running<'a> {
    fn begin(metrics: &'a Metrics) -> Self {
        metrics.worker.running.inc();
        metrics.worker.steps.inc();
        Self(metrics)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.worker.running.dec();
    }
}

enum Claimed {
    /// All that was due was taken.
    All,
    /// There may be more than there were places.
    Full,
    Failed,
}

async fn claim(service: &Service, places: &Arc<Semaphore>, waiting: &Arc<Semaphore>, steps: &TaskTracker) -> Claimed {
    let free = places.available_permits();
    if free == 0 {
        return Claimed::Full;
    }
    let due = match service.jobs().claim(free).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "due work could not be claimed; will retry");
            return Claimed::Failed;
        }
    };
    let full = due.len() == free;
    service.metrics().worker.saturated.set(full.into());
    for due in due {
        let service = service.clone();
        // Only this loop hands out places, and it counted them: there is one.
        let place = places.clone().try_acquire_owned();
        let waiting = waiting.clone();
        steps.spawn(async move {
            let key = due.key().to_owned();
            let metrics = service.metrics().clone();
            let _running = Running::begin(&metrics);
            let mut step = std::pin::pin!(service.jobs().step(due));
            let done = tokio::select! {
                biased;
                done = &mut step => done,
                () = tokio::time::sleep(SLOW) => {
                    // A waiting step frees its slot, up to the limit of waiting steps.
                    let room = waiting.try_acquire();
                    let _place = room.is_err().then_some(place);
                    step.await
                }
            };
            if let Err(error) = done {
                metrics.worker.steps_failed.inc();
                tracing::error!(key, %error, "a step failed; it will be retried when its lease ends");
            }
        });
    }
    if full { Claimed::Full } else { Claimed::All }
}
