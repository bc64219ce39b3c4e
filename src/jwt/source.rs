//! The keys of one place, kept as they are there: fetched every hour, and sooner when a token names one that is not known.

use super::fetch::{Fetcher, Origin};
use super::kept::KeptFile;
use super::key::Jwk;
use super::key_set::KeySet;
use crate::clock::Clock;
use crate::domain::Timestamp;
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two fetches where all is well.
const FETCH_EVERY: Duration = Duration::from_secs(3600);
/// The shortest time between two fetches that are asked for, and the wait after one that failed.
const FETCH_AGAIN: Duration = Duration::from_secs(30);
/// Between two looks at a file.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the clock while a key is about to end; it may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);
/// What is logged of a list without keys.
const NO_KEYS: &str = "it lists no key that signatures can be checked with";
/// How long a caller waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(2);

/// One place with keys.
pub(super) struct Source {
    provider: Arc<str>,
    fetcher: Arc<Fetcher>,
    /// Where they are kept; `None` for those of a file.
    kept: Option<Arc<KeptFile>>,
    keep: Duration,
    clock: Arc<dyn Clock>,
    set: ArcSwapOption<KeySet>,
    /// Counts the changes of keys, of all sources.
    number: Arc<AtomicU64>,
    fetches: Fetches,
}

/// When fetches are made, and how they ended.
struct Fetches {
    asked: Notify,
    state: Mutex<State>,
    /// Counts those that have ended.
    ended: watch::Sender<u64>,
    good: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct State {
    /// It runs, or was asked for and is about to.
    running: bool,
    /// When the last one began that was asked for.
    asked: Option<Instant>,
    /// Whether the last one got no list of keys.
    failed: bool,
    /// The last problem, so that a persisting one is logged once.
    told: Option<String>,
}

impl State {
    /// Asks for another one, where it is not too soon.
    fn ask(&mut self) -> bool {
        let may = self.asked.is_none_or(|asked| asked.elapsed() >= FETCH_AGAIN);
        if may {
            self.asked = Some(Instant::now());
        }
        may
    }
}

/// The state of the keys of one place.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// The name of the issuer in the configuration.
    pub provider: Arc<str>,
    /// The issuer, the address or the file.
    pub origin: String,
    /// When the keys were fetched; `None` where there are none.
    pub fetched: Option<Timestamp>,
    pub keys: usize,
    pub good: u64,
    pub failed: u64,
}

impl Source {
    /// With the keys of its file, or those that were kept. Nothing is fetched yet.
    ///
    /// # Errors
    /// Where a file cannot be used.
    pub(super) fn open(
        provider: Arc<str>,
        fetcher: Fetcher,
        kept: KeptFile,
        keep: Duration,
        clock: Arc<dyn Clock>,
        number: Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let of_file = fetcher.read_file().transpose().map_err(|problem| format!("jwks_file: {problem}"))?;
        let is_file = of_file.is_some();
        let set = match of_file {
            Some(keys) if keys.is_empty() => return Err(format!("jwks_file: {NO_KEYS}")),
            Some(keys) => Some(KeySet::default().after(keys, clock.now(), Duration::ZERO)),
            None => kept.load(keep),
        };
        let fetches = Fetches {
            asked: Notify::new(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Ok(Self {
            provider,
            fetcher: Arc::new(fetcher),
            kept: (!is_file).then(|| Arc::new(kept)),
            // The file is what its owner wants: a key that was taken out is gone.
            keep: if is_file { Duration::ZERO } else { keep },
            clock,
            set: ArcSwapOption::from(set.map(Arc::new)),
            number,
            fetches,
        })
    }

    /// The keys; `None` if there are none.
    pub(super) fn set(&self) -> Option<Arc<KeySet>> {
        self.set.load_full()
    }

    /// Has the keys fetched, where that was not done lately, and waits a little for it. Whether they were.
    pub(super) async fn renewed(&self) -> bool {
        let mut ended = self.fetches.ended.subscribe();
        {
            let mut state = self.lock();
            // One that runs may have begun before the issuer changed its keys, but not long before.
            if !state.running {
                if !state.ask() {
                    return false;
                }
                state.running = true;
                self.fetches.asked.notify_one();
            }
        }
        tokio::time::timeout(PATIENCE, ended.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    /// Whether the keys are those that the issuer has, as far as is known: the last fetch succeeded, and no other one is
    /// waited for.
    pub(super) fn is_current(&self) -> bool {
        let state = self.lock();
        !state.failed && !state.running
    }

    /// Fetches the keys until the server stops.
    pub(super) async fn follow(&self, shutdown: CancellationToken) {
        loop {
            let good = tokio::select! {
                () = shutdown.cancelled() => return,
                good = self.fetch() => good,
            };
            let wait = match self.fetcher.origin() {
                Origin::File(_) => LOOK_EVERY,
                _ if good => FETCH_EVERY,
                _ => FETCH_AGAIN,
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.fetches.asked.notified() => {}
                () = self.end_late() => {}
            }
        }
    }

    /// Ends the keys whose time is over, as long as nothing is fetched. Those whose time ran out during a fetch are
    /// ended first.
    async fn end_late(&self) {
        loop {
            let (now, set) = (self.clock.now(), self.set());
            if set.as_ref().is_some_and(|set| set.end_late(now)) {
                // What was remembered of their tokens is not believed any more either.
                self.number.fetch_add(1, Ordering::SeqCst);
            }
            let Some(end) = set.and_then(|set| set.next_end(now)) else { return std::future::pending().await };
            let left = Duration::from_millis(u64::try_from(end.0.saturating_sub(now.0)).unwrap_or(0));
            tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.fetches.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> bool {
        self.lock().running = true;
        let fetched = self.fetcher.keys().await;
        let has_before = self.set.load().is_some();
        let (good, set) = match fetched {
            // A list without keys is what an issuer has that withdraws all of them: those from before end in their time.
            Ok(keys) if keys.is_empty() => {
                self.tell(NO_KEYS.to_owned(), "those from before end in their time");
                (false, has_before.then(|| self.take(keys)))
            }
            Ok(keys) => {
                let set = self.take(keys);
                self.tell_good();
                (true, Some(set))
            }
            Err(problem) => {
                self.tell(problem, "those from before stay in force");
                (false, None)
            }
        };
        {
            let mut state = self.lock();
            state.running = false;
            state.failed = set.is_none();
        }
        self.fetches.ended.send_modify(|ended| *ended += 1);
        // Nobody waits for the disk.
        if let (Some(set), Some(kept)) = (set, &self.kept)
            && let Err(error) = kept.keep(set).await
        {
            tracing::warn!(issuer = %self.provider, error, "the keys of an issuer cannot be kept in the data folder");
        }
        good
    }

    fn take(&self, keys: Vec<Jwk>) -> Arc<KeySet> {
        let before = self.set.load_full().unwrap_or_default();
        let set = Arc::new(before.after(keys, self.clock.now(), self.keep));
        let changed = !set.has_the_keys_of(&before);
        self.set.store(Some(set.clone()));
        if changed {
            // After the set: what is checked with the number from here on is checked with these keys.
            self.number.fetch_add(1, Ordering::SeqCst);
            // After the number: who is told opens no stream with the same key again.
            before.end_without(&set, set.fetched());
            tracing::info!(issuer = %self.provider, origin = %self.fetcher.origin(), keys = set.len(set.fetched()), "The keys of an issuer changed");
        }
        set
    }

    fn tell_good(&self) {
        if self.lock().told.take().is_some() {
            tracing::info!(issuer = %self.provider, origin = %self.fetcher.origin(), "The keys of an issuer can be read again");
        }
        self.fetches.good.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, problem: String, of_those_before: &str) {
        self.fetches.failed.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if state.told.as_ref() != Some(&problem) {
            let consequence = if self.set.load().is_some() { of_those_before } else { "there are none" };
            tracing::error!(
                issuer = %self.provider, origin = %self.fetcher.origin(), error = problem, consequence,
                "the keys of an issuer cannot be read"
            );
            state.told = Some(problem);
        }
    }

    pub(super) fn state(&self) -> SourceState {
        let set = self.set.load();
        SourceState {
            provider: self.provider.clone(),
            origin: self.fetcher.origin().to_string(),
            fetched: set.as_ref().map(|set| set.fetched()),
            keys: set.as_ref().map_or(0, |set| set.len(self.clock.now())),
            good: self.fetches.good.load(Ordering::Relaxed),
            failed: self.fetches.failed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
