//! One run: from a seed to a trace and a verdict.

use crate::caller::Caller;
use crate::harness::Harness;
use crate::mutant::Mutant;
use crate::oracle;
use crate::replica::{self, DEADLINE, MEMORY, Replica};
use crate::watcher::Gallery;
use certmint::clock::Clock;
use certmint::keys::{MasterKeys, Sealer};
use std::cell::Cell;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// Empty: all is well.
    pub(crate) broken: Vec<String>,
    /// What happened, a line for each step, with the simulated time in milliseconds.
    pub(crate) trace: Vec<String>,
}

/// How long everything may take to end after the last fault, in simulated time.
const PEACE: Duration = Duration::from_secs(1500);

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn run(seed: u64, mutant: Option<Mutant>) -> Outcome {
    count_panics();
    PANICS.set(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (mut broken, trace) = runtime.block_on(async {
        let harness = Harness::new(seed, mutant);
        simulate(&harness).await;
        harness.take()
    });
    if PANICS.get() > 0 {
        broken.push(format!("{} panics", PANICS.get()));
    }
    Outcome { seed, broken, trace }
}

/// A task that panics is caught by the runtime, and must not go unnoticed.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            tell(panic);
        }));
    });
}

async fn simulate(harness: &Arc<Harness>) {
    harness.note(format!("{:?}", harness.profile));
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let replicas: Vec<_> =
        (0..harness.profile.replicas).map(|number| Arc::new(Replica::new(harness, number))).collect();
    for replica in &replicas {
        tokio::spawn(replica.clone().supervise(harness.clone(), sealer.clone()));
    }
    let caller = Caller { harness: harness.clone(), replicas: replicas.clone(), watchers: Gallery::default() };
    caller.set_issuers().await;
    weather(harness, &replicas, &caller).await;
    harness.set_calm(true);
    harness.note("calm".to_owned());
    for replica in &replicas {
        replica.clock.set_offset(0);
    }
    peace(harness, &caller).await;
    // Watchers have heard of it; a call that was on its way when the faults ended may take three leases there and back.
    sleep(harness.profile.lease * 3 + Duration::from_secs(60)).await;
    // The deadline of what nobody decides, and the end of every memory.
    caller.delete_all().await;
    for replica in &replicas {
        replica.clock.set_offset((MEMORY + DEADLINE).as_millis() as i64 * 2);
    }
    sleep(harness.profile.lease + Duration::from_secs(60)).await;
    let now = replicas.iter().map(|replica| replica.clock.now()).min().unwrap();
    oracle::nothing_is_due(harness, now).await.into_iter().for_each(|what| harness.broken(what));
    harness.over.cancel();
    let chains = caller.watchers.close().await;
    oracle::judge(harness, &chains).await;
}

/// Callers and faults.
async fn weather(harness: &Arc<Harness>, replicas: &[Arc<Replica>], caller: &Caller) {
    harness.set_calm(false);
    tokio::spawn(replica::shake_clocks(harness.clone(), replicas.to_vec()));
    tokio::spawn(replica::trim(harness.clone(), replicas.to_vec()));
    for _ in 0..harness.profile.watchers {
        caller.watchers.open(caller);
    }
    let callers: Vec<_> = (0..harness.profile.callers).map(|_| tokio::spawn(caller.clone().run())).collect();
    for caller in callers {
        if timeout(Duration::from_secs(100_000), caller).await.is_err() {
            harness.broken("a caller is stuck".to_owned());
        }
    }
}

/// No more faults: everything ends.
async fn peace(harness: &Arc<Harness>, caller: &Caller) {
    let mut passed = Duration::ZERO;
    while passed < PEACE {
        sleep(Duration::from_secs(20)).await;
        passed += Duration::from_secs(20);
        if oracle::everything_ended(harness).await {
            return;
        }
        caller.cancel_the_held().await;
    }
    harness.broken("something has not ended".to_owned());
}
