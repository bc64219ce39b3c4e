//! One replica: it is started, runs for a while, crashes or is stopped, and is restarted.

use crate::authority::Adapter;
use crate::harness::{Harness, SimClock};
use crate::link::Link;
use certmint::domain::{Result, Timestamp};
use certmint::issuer::Issuers;
use certmint::keys::{Keys, Sealer};
use certmint::limits::Limits;
use certmint::service::watch::WatchLimits;
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::worker::{self, WorkerOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long `request_id`s are remembered: longer than any caller repeats.
pub(crate) const MEMORY: Duration = Duration::from_secs(4 * 3600);
/// When an issuer has to have decided, where time is not short; and how long it is asked to cancel.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8 * 3600);

pub(crate) struct Replica {
    pub(crate) number: usize,
    pub(crate) clock: Arc<SimClock>,
    life: Mutex<Option<Life>>,
}

/// From a start to a crash.
pub(crate) struct Life {
    pub(crate) service: Service,
    pub(crate) store: Arc<dyn Store>,
    /// Streams end politely.
    pub(crate) closing: CancellationToken,
    /// The process is gone, and all its connections.
    pub(crate) dead: CancellationToken,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// What a client of a replica holds.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) service: Service,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) closing: CancellationToken,
    pub(crate) dead: CancellationToken,
}

impl Replica {
    pub(crate) fn new(harness: &Harness, number: usize) -> Self {
        Self { number, clock: Arc::new(SimClock::new(harness)), life: Mutex::default() }
    }

    /// `None` while it is down.
    pub(crate) fn door(&self) -> Option<Door> {
        self.life.lock().unwrap().as_ref().map(|life| Door {
            service: life.service.clone(),
            store: life.store.clone(),
            closing: life.closing.clone(),
            dead: life.dead.clone(),
        })
    }

    /// Starts and ends it repeatedly; without faults it stays up.
    pub(crate) async fn supervise(self: Arc<Self>, harness: Arc<Harness>, sealer: Arc<Sealer>) {
        loop {
            self.start(&harness, &sealer).await;
            let Some(life) = harness.profile.life else { std::future::pending().await };
            sleep(harness.up_to(life)).await;
            if harness.calm() {
                continue;
            }
            let politely = harness.percent(30);
            self.end(&harness, politely).await;
            sleep(harness.up_to(Duration::from_secs(3))).await;
        }
    }

    async fn start(&self, harness: &Arc<Harness>, sealer: &Arc<Sealer>) {
        while self.life.lock().unwrap().is_none() {
            match Life::begin(harness, sealer, self).await {
                Ok(life) => {
                    harness.note(format!("{} starts", self.number));
                    *self.life.lock().unwrap() = Some(life);
                }
                Err(_) => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    async fn end(&self, harness: &Harness, politely: bool) {
        harness.note(format!("{} {}", self.number, if politely { "stops" } else { "crashes" }));
        let Some(life) = self.life.lock().unwrap().take() else { return };
        if politely {
            life.closing.cancel();
            life.stop.cancel();
            for task in life.tasks {
                // A call that hangs holds up the stop for as long as the drain allows, and no longer.
                if timeout(Duration::from_secs(3600), task).await.is_err() {
                    harness.broken("a replica did not stop".to_owned());
                }
            }
        } else {
            for task in &life.tasks {
                task.abort();
            }
        }
        life.dead.cancel();
    }
}

impl Life {
    async fn begin(harness: &Arc<Harness>, sealer: &Arc<Sealer>, replica: &Replica) -> Result<Self> {
        let profile = &harness.profile;
        let dead = CancellationToken::new();
        let store: Arc<dyn Store> = Arc::new(Link::new(harness, replica.number, dead.clone()));
        let adapter = Arc::new(Adapter { harness: harness.clone(), dead: dead.clone() }.provider());
        let ids = harness.clone();
        let keys = Keys::inline(sealer.clone(), Arc::new(move || ids.new_id()));
        let limits = Limits {
            issuing_deadline: profile.deadline,
            cancelling_deadline: DEADLINE,
            work_lease: profile.lease,
            ..Limits::default()
        };
        let limits = ServiceOptions {
            limits,
            request_memory: MEMORY,
            repeat_memory: MEMORY,
            watch: WatchLimits {
                ring: profile.ring,
                page: profile.page,
                max_age: profile.max_age,
                drain_spread: profile.spread,
                heartbeat: Duration::from_secs(10),
                ..WatchLimits::default()
            },
            ..ServiceOptions::default()
        };
        let issuers = Issuers::new(adapter.clone()).with_provider(adapter);
        let service = Service::new(store.clone(), issuers, Arc::new(keys), replica.clock.clone(), limits).await;
        let service = service.inspect_err(|_| dead.cancel())?;
        let stop = CancellationToken::new();
        let options = WorkerOptions {
            concurrency: profile.concurrency,
            poll: profile.poll,
            drain: Duration::from_secs(10),
            waiting: 1024,
        };
        let tasks = vec![
            tokio::spawn(worker::run(service.clone(), options, stop.clone())),
            tokio::spawn({
                let (service, stop) = (service.clone(), stop.clone());
                async move { service.watch().tail(stop).await }
            }),
        ];
        Ok(Self { service, store, closing: CancellationToken::new(), dead, stop, tasks })
    }
}

/// Moves the clocks of the replicas apart, and back and forth.
pub(crate) async fn shake_clocks(harness: Arc<Harness>, replicas: Vec<Arc<Replica>>) {
    let skew = harness.profile.skew;
    let offset = || harness.up_to(skew * 2).as_millis() as i64 - skew.as_millis() as i64;
    for replica in &replicas {
        replica.clock.set_offset(offset());
    }
    loop {
        sleep(harness.up_to(Duration::from_secs(20))).await;
        if harness.calm() || !harness.profile.jumps {
            return;
        }
        let replica = &replicas[harness.below(replicas.len())];
        let offset = offset();
        harness.note(format!("{} clock {offset}", replica.number));
        replica.clock.set_offset(offset);
    }
}

/// What `upkeep` does in the server: the old end of the log goes.
pub(crate) async fn trim(harness: Arc<Harness>, replicas: Vec<Arc<Replica>>) {
    loop {
        sleep(harness.up_to(Duration::from_secs(10))).await;
        if harness.calm() || !harness.profile.trims {
            return;
        }
        let Some(door) = replicas[harness.below(replicas.len())].door() else { continue };
        let keep = harness.below(12) as u64;
        let call = door.store.trim(Timestamp(i64::MAX), keep, 5);
        tokio::select! {
            biased;
            () = door.dead.cancelled() => {}
            _ = call => {}
        }
    }
}
