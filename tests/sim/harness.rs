//! What all parts of one run share: the choices, the time, the trace, and what was found broken.

use crate::authority::Authority;
use crate::dice::Dice;
use crate::mutant::Mutant;
use crate::profile::{Profile, Weather};
use crate::server::Server;
use crate::watcher::position;
use certmint::clock::Clock;
use certmint::domain::{CertificateName, Operation, RequestId, Timestamp, VaultName};
use certmint::store::Revision;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::{Builder, Uuid};

/// Calls of store and authority in one run, at most: more is a loop that makes no progress.
const MOST_CALLS: usize = 100_000;

pub(crate) struct Harness {
    pub(crate) profile: Profile,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) knowledge: Mutex<Knowledge>,
    /// Watchers stop.
    pub(crate) over: CancellationToken,
    start: Instant,
    dice: Mutex<Dice>,
    calm: AtomicBool,
    calls: AtomicUsize,
    trace: Mutex<Vec<String>>,
    broken: Mutex<Vec<String>>,
}

/// Acknowledged results, to be compared with the log.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) created: Vec<RequestId>,
    pub(crate) cancelled: Vec<RequestId>,
    pub(crate) deleted: Vec<RequestId>,
    pub(crate) merged: Vec<RequestId>,
    pub(crate) observed: Vec<Observed>,
    /// Answers with an operation, its revision, and the position of the token beside it.
    pub(crate) tokens: Vec<(RequestId, u64, Revision)>,
    /// Creations by number, and whether a repeat of each is recognised.
    pub(crate) acts: Vec<bool>,
}

/// An answer about a name, and between which lengths of the log it was given.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) name: CertificateName,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) what: Sight,
}

#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// The operation, in this revision of its own.
    There(RequestId, u64),
    /// No operation, or not the one that was asked for.
    Absent(Option<RequestId>),
    /// An operation was in progress.
    Busy,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) there: Delay,
    pub(crate) back: Delay,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    Before,
    After,
    Ghost,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Delay {
    /// Others run first, so many times.
    Turns(usize),
    Sleep(Duration),
}

impl Delay {
    pub(crate) async fn pass(self) {
        match self {
            Self::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Self::Sleep(duration) => sleep(duration).await,
        }
    }
}

impl Harness {
    /// Within the runtime of the run.
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        let start = Instant::now();
        Arc::new(Self {
            profile: Profile::draw(&mut dice),
            mutant,
            server: Server::new(mutant, start),
            authority: Authority::default(),
            knowledge: Mutex::default(),
            over: CancellationToken::new(),
            start,
            dice: Mutex::new(dice),
            calm: AtomicBool::new(true),
            calls: AtomicUsize::new(0),
            trace: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    /// No more faults, or faults again.
    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    pub(crate) fn calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        self.dice.lock().unwrap().below(limit)
    }

    pub(crate) fn percent(&self, chance: usize) -> bool {
        chance > 0 && self.dice.lock().unwrap().percent(chance)
    }

    /// A time up to `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        Duration::from_millis(self.below(most.as_millis() as usize + 1) as u64)
    }

    pub(crate) fn new_id(&self) -> Uuid {
        let mut dice = self.dice.lock().unwrap();
        Builder::from_random_bytes(std::array::from_fn(|_| dice.below(256) as u8)).into_uuid()
    }

    pub(crate) fn fate(&self, weather: Weather) -> Fate {
        let calm = Fate { there: Delay::Turns(0), back: Delay::Turns(0), fault: Fault::None };
        if self.calm() {
            return calm;
        }
        let draw = || {
            if self.percent(weather.stall) {
                Delay::Sleep(self.up_to(self.profile.lease.mul_f64(1.5)))
            } else if self.percent(weather.delay) {
                Delay::Sleep(self.up_to(Duration::from_millis(50)))
            } else {
                Delay::Turns(self.below(4))
            }
        };
        let (there, back) = (draw(), draw());
        let roll = self.below(100);
        let Weather { fail_before, fail_after, ghost, .. } = weather;
        let fault = match roll {
            _ if roll < fail_before => Fault::Before,
            _ if roll < fail_before + fail_after => Fault::After,
            _ if roll < fail_before + fail_after + ghost => Fault::Ghost,
            _ => Fault::None,
        };
        Fate { there, back, fault }
    }

    /// One call more. A run that makes too many hangs here, and is told as broken.
    pub(crate) async fn count_call(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == MOST_CALLS {
            self.broken(format!("more than {MOST_CALLS} calls: something turns in circles"));
        }
        if self.calls.load(Ordering::Relaxed) > MOST_CALLS {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn note(&self, line: String) {
        let at = self.start.elapsed().as_millis();
        self.trace.lock().unwrap().push(format!("{at:>8} {line}"));
    }

    pub(crate) fn broken(&self, what: String) {
        self.note(format!("BROKEN {what}"));
        self.broken.lock().unwrap().push(what);
    }

    pub(crate) fn take(&self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.broken.lock().unwrap()), std::mem::take(&mut self.trace.lock().unwrap()))
    }

    /// Whatever happened after this state has to come after the token.
    pub(crate) fn told_with(&self, operation: &Operation, token: &str) {
        let answer = (operation.request_id, operation.revision, position(token));
        self.knowledge.lock().unwrap().tokens.push(answer);
    }

    /// Creations have a number, so that the log tells which of them made an operation.
    pub(crate) fn next_act(&self, recognised: bool) -> usize {
        let acts = &mut self.knowledge.lock().unwrap().acts;
        acts.push(recognised);
        acts.len() - 1
    }

    pub(crate) fn observe(&self, name: &CertificateName, from: usize, what: Sight) {
        let to = self.server.told();
        self.knowledge.lock().unwrap().observed.push(Observed { name: name.clone(), from, to, what });
    }
}

/// When every run begins, and what the clock of the store shows.
pub(crate) fn time_of(start: Instant) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000).plus(start.elapsed())
}

/// The clock of one replica: it may be wrong, and may jump.
pub(crate) struct SimClock {
    start: Instant,
    offset: AtomicI64,
}

impl SimClock {
    pub(crate) fn new(harness: &Harness) -> Self {
        Self { start: harness.start, offset: AtomicI64::new(0) }
    }

    /// From now on this many milliseconds away from the truth.
    pub(crate) fn set_offset(&self, millis: i64) {
        self.offset.store(millis, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(time_of(self.start).0 + self.offset.load(Ordering::Relaxed))
    }
}

pub(crate) fn vault() -> VaultName {
    VaultName::default_vault()
}
