//! Defects that the simulation found, each as a test.

use crate::around::{Around, store_around};
use crate::caller::{name, request};
use crate::false_provider::FalseProvider;
use crate::harness::vault;
use crate::permit::{ask, permit};
use async_trait::async_trait;
use certmint::clock::ManualClock;
use certmint::domain::{IssuerInput, IssuerName, Operation, RequestId, Timestamp};
use certmint::issuer::provider::Progress;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::{Checkpoint, Issuers, Step};
use certmint::keys::{Keys, MasterKeys, Sealer, random_id};
use certmint::limits::Limits;
use certmint::service::{CreateRequest, PendingRef, Service, ServiceOptions, UpdateRequest};
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::store::{Record, Store, StoreError};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

/// Orders take as long as the test wants; what arrived is written down.
struct Slow {
    gate: Semaphore,
    heard: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn provider(self: &Arc<Self>) -> Arc<FalseProvider> {
        let slow = self.clone();
        Arc::new(FalseProvider::new("Slow", move |call| {
            let slow = slow.clone();
            async move { Ok(Progress::new(slow.answer(call.cancelling).await)) }
        }))
    }

    async fn answer(&self, cancelling: bool) -> Step {
        if cancelling {
            self.heard.lock().unwrap().push("cancel");
            return Step::Cancelled;
        }
        self.gate.acquire().await.unwrap().forget();
        self.heard.lock().unwrap().push("order");
        Step::Pending { checkpoint: Checkpoint(b"ordered".to_vec()), details: None, again: Duration::from_secs(5) }
    }
}

/// Two replicas on one store, and an operation whose order is on its way from the first one.
struct Scene {
    slow: Arc<Slow>,
    clock: Arc<ManualClock>,
    other: Service,
    expected: PendingRef,
    step: JoinHandle<certmint::domain::Result<()>>,
}

async fn an_order_on_its_way() -> Scene {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open_inline(SqliteOptions::default()).unwrap());
    let slow = Arc::new(Slow { gate: Semaphore::new(0), heard: Mutex::default() });
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let replica = async || {
        let keys = Keys::inline(sealer.clone(), Arc::new(random_id));
        let issuers = Issuers::new(slow.provider()).with_provider(slow.provider());
        Service::new(store.clone(), issuers, Arc::new(keys), clock.clone(), ServiceOptions::default()).await.unwrap()
    };
    let (one, other) = (replica().await, replica().await);
    let input = IssuerInput { provider: Some("Slow".to_owned()), ..IssuerInput::default() };
    ask!(one, issuers.set_issuer((vault(), IssuerName::parse("slow").unwrap()), input)).unwrap();
    let id = RequestId::from_uuid(random_id());
    ask!(one, creations.create(request(&name(0), "slow", Some(id), 0))).unwrap();
    let due = one.jobs().claim(9).await.unwrap().remove(0);
    let step = tokio::spawn(async move { one.jobs().step(due).await });
    yield_now().await;
    let expected = PendingRef { vault: vault(), name: name(0), request_id: Some(id) };
    Scene { slow, clock, other, expected, step }
}

impl Scene {
    /// What the other replica finds to do, done.
    async fn work(&self) {
        for due in self.other.jobs().claim(9).await.unwrap() {
            self.other.jobs().step(due).await.unwrap();
        }
    }

    /// The order arrives, and the step of the first replica ends.
    async fn arrives(&mut self) {
        self.slow.gate.add_permits(1);
        (&mut self.step).await.unwrap().unwrap();
    }

    fn heard(&self) -> Vec<&'static str> {
        self.slow.heard.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_cancellation_does_not_overtake_an_order_on_its_way() {
    let mut scene = an_order_on_its_way().await;
    ask!(scene.other, pending.cancel(scene.expected.clone())).unwrap();
    scene.work().await;
    assert_eq!(scene.heard(), [""; 0], "the authority would forget the cancellation, and then get the order");
    scene.arrives().await;
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"], "at once when the order had arrived");
}

#[tokio::test]
async fn a_deletion_does_not_overtake_an_order_on_its_way() {
    let mut scene = an_order_on_its_way().await;
    // The cancellation first: it must not hide that an order is on its way.
    scene.other.pending().cancel(permit(&scene.other, scene.expected.clone()).await).await.unwrap();
    ask!(scene.other, pending.delete_pending(scene.expected.clone())).unwrap();
    scene.work().await;
    assert_eq!(scene.heard(), [""; 0]);
    scene.arrives().await;
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"]);
}

#[tokio::test]
async fn a_deletion_of_the_certificate_does_not_overtake_an_order_on_its_way() {
    let mut scene = an_order_on_its_way().await;
    ask!(scene.other, deletions.delete_certificate((vault(), name(0)))).unwrap();
    scene.work().await;
    assert_eq!(scene.heard(), [""; 0]);
    scene.arrives().await;
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"]);
}

#[tokio::test]
async fn an_operation_that_fails_by_its_deadline_leaves_no_order_behind() {
    let mut scene = an_order_on_its_way().await;
    scene.arrives().await;
    scene.clock.advance(Limits::default().issuing_deadline);
    scene.work().await;
    let failed = ask!(scene.other, pending.operation(scene.expected.clone())).unwrap();
    assert_eq!(failed.error().unwrap().code, "Certificate issuer error");
    assert!(failed.error().unwrap().message.contains("before the deadline"), "{failed:?}");
    assert_eq!(scene.heard(), ["order"]);
    // What is to be told is in the store alone, as after kill -9; and nobody keeps it by deleting the operation.
    scene.other.pending().delete_pending(permit(&scene.other, scene.expected.clone()).await).await.unwrap();
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"]);
    scene.clock.advance(Limits::default().cancelling_deadline);
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"], "once is enough");
}

#[tokio::test]
async fn an_order_is_cancelled_however_late_its_operation_is_deleted() {
    let mut scene = an_order_on_its_way().await;
    scene.arrives().await;
    scene.clock.advance(Limits::default().issuing_deadline - Duration::from_millis(1));
    ask!(scene.other, pending.delete_pending(scene.expected.clone())).unwrap();
    scene.clock.advance(Duration::from_secs(5));
    scene.work().await;
    assert_eq!(scene.heard(), ["order", "cancel"]);
}

#[tokio::test]
async fn a_change_sends_no_second_order_beside_one_on_its_way() {
    let mut scene = an_order_on_its_way().await;
    let change =
        UpdateRequest { vault: vault(), name: name(0), version: None, policy: None, enabled: Some(false), tags: None };
    ask!(scene.other, certificates.update_certificate(change.clone())).unwrap();
    assert_eq!(scene.other.jobs().claim(9).await.unwrap().len(), 0);
    scene.arrives().await;
    assert_eq!(scene.other.jobs().claim(9).await.unwrap().len(), 1, "at once when the order had arrived");
}

#[tokio::test]
async fn a_cancellation_waits_for_no_replica_that_died_longer_than_its_lease() {
    let scene = an_order_on_its_way().await;
    ask!(scene.other, pending.cancel(scene.expected.clone())).unwrap();
    scene.step.abort();
    scene.clock.advance(Limits::default().work_lease);
    scene.work().await;
    assert_eq!(scene.heard(), ["cancel"]);
}

#[tokio::test]
async fn a_claim_that_arrives_after_its_lease_is_not_acted_upon() {
    let scene = an_order_on_its_way().await;
    scene.step.abort();
    scene.slow.gate.add_permits(9);
    scene.clock.advance(Limits::default().work_lease);
    let late = scene.other.jobs().claim(9).await.unwrap().remove(0);
    scene.clock.advance(Limits::default().work_lease);
    scene.other.jobs().step(late).await.unwrap();
    assert_eq!(scene.heard(), [""; 0]);
    scene.work().await;
    assert_eq!(scene.heard(), ["order"]);
}

/// A store on which something happens when a creation has looked whether it is a repeat, or somebody at what is in
/// progress.
struct Between {
    inner: Sqlite,
    then: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Between {
    async fn looked(&self, at_it: bool) {
        let then = self.then.lock().unwrap().take_if(|_| at_it);
        if let Some(then) = then {
            then.await;
        }
    }
}

store_around!(Between);

#[async_trait]
impl Around for Between {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let answer = self.inner.get(key).await;
        self.looked(key.starts_with("requests/") || key.starts_with("repeats/")).await;
        answer
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        let answer = self.inner.list(prefix, after, limit).await;
        self.looked(prefix == "pending/").await;
        answer
    }
}

/// A creation, whose first try is committed (and, if so expected, completed) while the second one is
/// between its reads. Returns what the second one is told, and how many events the log has.
async fn two_tries(request: CreateRequest, completed: bool) -> (Operation, usize) {
    let inner = Sqlite::open_inline(SqliteOptions::default()).unwrap();
    let store = Arc::new(Between { inner, then: Mutex::default() });
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let keys = Arc::new(Keys::inline(sealer, Arc::new(random_id)));
    let issuers = Issuers::new(Arc::new(SelfSigned::new(keys.clone())));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let service = Service::new(store.clone(), issuers, keys, clock, ServiceOptions::default()).await.unwrap();
    let first = {
        let (service, request) = (service.clone(), request.clone());
        async move {
            ask!(service, creations.create(request)).unwrap();
            if completed {
                for due in service.jobs().claim(9).await.unwrap() {
                    service.jobs().step(due).await.unwrap();
                }
            }
        }
    };
    *store.then.lock().unwrap() = Some(Box::pin(first));
    let second = ask!(service, creations.create(request)).unwrap().operation;
    (second, Store::events(&*store, 0, 99).await.unwrap().events.len())
}

#[tokio::test]
async fn a_repeat_is_not_refused_because_of_its_own_first_try() {
    let id = RequestId::from_uuid(random_id());
    let (told, events) = two_tries(request(&name(0), "Unknown", Some(id), 0), false).await;
    assert_eq!((told.request_id, events), (id, 1));
    let by_client = CreateRequest { client_request_id: Some("once".to_owned()), ..request(&name(0), "Self", None, 0) };
    let (told, events) = two_tries(by_client, false).await;
    assert_eq!((told.revision, events), (1, 1));
}

#[tokio::test]
async fn a_repeat_does_not_begin_again_what_its_first_try_completed() {
    let by_client = CreateRequest { client_request_id: Some("once".to_owned()), ..request(&name(0), "Self", None, 0) };
    let (_, events) = two_tries(by_client, true).await;
    assert_eq!(events, 2, "created and completed, and not overwritten");
}

#[tokio::test]
async fn a_step_that_ends_while_due_times_follow_a_clock_that_was_set_back_leaves_nothing_an_hour_late() {
    let store =
        Arc::new(Between { inner: Sqlite::open_inline(SqliteOptions::default()).unwrap(), then: Mutex::default() });
    let slow = Arc::new(Slow { gate: Semaphore::new(0), heard: Mutex::default() });
    let begin = Timestamp::from_seconds(1_800_000_000);
    let clock = Arc::new(ManualClock::at(begin.plus(Duration::from_secs(3600))));
    let keys = Keys::inline(Arc::new(Sealer::new(MasterKeys::random())), Arc::new(random_id));
    let issuers = Issuers::new(slow.provider());
    let service =
        Service::new(store.clone(), issuers, Arc::new(keys), clock.clone(), ServiceOptions::default()).await.unwrap();
    ask!(service, creations.create(request(&name(0), "Self", None, 0))).unwrap();
    let due = service.jobs().claim(9).await.unwrap().remove(0);
    let step = tokio::spawn({
        let service = service.clone();
        async move { service.jobs().step(due).await }
    });
    yield_now().await;
    clock.set(begin);
    // The step has read the clock before it was set back, and writes after the due times were read.
    *store.then.lock().unwrap() = Some(Box::pin(async move {
        slow.gate.add_permits(1);
        step.await.unwrap().unwrap();
    }));
    assert!(service.jobs().claim(9).await.unwrap().is_empty(), "it is to be asked again in five seconds");
    clock.advance(Duration::from_secs(6));
    assert_eq!(service.jobs().claim(9).await.unwrap().len(), 1);
}
