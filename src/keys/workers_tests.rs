//! Tests of the threads: they are held by jobs that wait for the test, so that order and refusals do not depend on how
//! fast the machine is.

use super::*;
use crate::domain::policy::KeyType;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;

const LONG: Work = Work::Generate(KeyType::Rsa4096);
const SHORT: Work = Work::Use(KeyType::P256);
const QUEUE: QueueOptions = QueueOptions { jobs: 64, time: Duration::from_secs(60), share: 50 };

type Answer = Pin<Box<dyn Future<Output = Result<u32>>>>;

fn caller(name: &str) -> Caller {
    Caller::new(name, None)
}

/// Holds a thread until it is dropped.
struct Held {
    _release: mpsc::Sender<()>,
    begins: mpsc::Receiver<()>,
}

fn hold(workers: &Workers, work: Work) -> Held {
    let (release, held) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let job = move |_| {
        begun.send(()).unwrap();
        let _ = held.recv();
    };
    let mut place = workers.enter(&caller("holder"), work, Box::new(job)).unwrap();
    place.held = false;
    Held { _release: release, begins }
}

/// One thread, held.
fn busy(queue: QueueOptions) -> (Workers, Held) {
    let workers = Workers::start(1, queue).unwrap();
    let held = hold(&workers, LONG);
    held.begins.recv().unwrap();
    (workers, held)
}

/// Asks for a job and waits until it has its place; it writes its name down when it runs.
fn queued(
    workers: &Arc<Workers>,
    caller: Caller,
    work: Work,
    name: &'static str,
    log: &Arc<Mutex<Vec<&'static str>>>,
) -> Answer {
    let (workers, log) = (Arc::clone(workers), Arc::clone(log));
    let mut answer: Answer = Box::pin(async move {
        let job = move || {
            log.lock().unwrap().push(name);
            Ok(7)
        };
        workers.run(&caller, work, job).await
    });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending(), "{name} is refused, or does not wait");
    answer
}

#[tokio::test]
async fn a_job_is_answered() {
    let workers = Workers::start(1, QUEUE).unwrap();
    assert_eq!(workers.run(&caller("a"), LONG, || Ok(7)).await, Ok(7));
    let failed = workers.run::<(), _>(&caller("a"), SHORT, || Err(Error::internal())).await;
    assert_eq!(failed, Err(Error::internal()));
}

#[tokio::test]
async fn a_caller_with_one_job_is_served_second_however_many_another_one_has() {
    let (workers, held) = busy(QUEUE);
    let (workers, log) = (Arc::new(workers), Arc::default());
    let flood: Vec<Answer> = (0..30).map(|_| queued(&workers, caller("flood"), LONG, "flood", &log)).collect();
    let honest = queued(&workers, caller("honest"), LONG, "honest", &log);
    drop(held);
    assert_eq!(honest.await, Ok(7));
    futures_util::future::try_join_all(flood).await.unwrap();
    let place = log.lock().unwrap().iter().position(|name| *name == "honest").unwrap();
    assert!(place <= 2, "{place} of the flood came first");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let (workers, _held) = busy(QueueOptions { jobs: 2, ..QUEUE });
    let (workers, log) = (Arc::new(workers), Arc::default());
    let _waiting: Vec<Answer> = (0..2).map(|_| queued(&workers, caller("a"), LONG, "a", &log)).collect();
    let error = workers.run(&caller("a"), LONG, || Ok(())).await.unwrap_err();
    assert_eq!(error.reason, Reason::Throttled);
    assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    assert!(matches!(&error.details[..], [Detail::Quota { subject, .. }] if subject == "keys"));
    assert_eq!(workers.load().not_run, NotRun { full: 1, ..NotRun::default() });
}

#[tokio::test]
async fn a_caller_is_refused_beyond_its_share_of_expected_seconds_and_another_one_is_not() {
    let (workers, _held) = busy(QueueOptions { time: Duration::from_secs(10), ..QUEUE });
    let (workers, log) = (Arc::new(workers), Arc::default());
    // Five of the ten seconds; an RSA-4096 key is expected to take 0.9 s.
    let _waiting: Vec<Answer> = (0..5).map(|_| queued(&workers, caller("a"), LONG, "a", &log)).collect();
    let error = workers.run(&caller("a"), LONG, || Ok(())).await.unwrap_err();
    assert!(error.message.contains("your key requests"), "{error}");
    let _other = queued(&workers, caller("b"), LONG, "b", &log);
    assert_eq!(workers.load().not_run, NotRun { share: 1, ..NotRun::default() });
}

#[tokio::test]
async fn a_displaced_job_gets_an_error() {
    let (workers, held) = busy(QueueOptions { jobs: 2, ..QUEUE });
    let (workers, log) = (Arc::new(workers), Arc::default());
    let mut flood: Vec<Answer> = (0..2).map(|_| queued(&workers, caller("flood"), LONG, "flood", &log)).collect();
    let honest = queued(&workers, caller("honest"), LONG, "honest", &log);
    let error = flood.pop().unwrap().await.unwrap_err();
    assert_eq!((error.reason, error.retry_after.is_some()), (Reason::Throttled, true));
    assert_eq!(workers.load().not_run, NotRun { displaced: 1, ..NotRun::default() });
    drop(held);
    assert_eq!((flood.pop().unwrap().await, honest.await), (Ok(7), Ok(7)));
}

#[tokio::test]
async fn what_cannot_be_done_before_the_deadline_of_its_caller_is_refused_at_once() {
    let (workers, _held) = busy(QUEUE);
    let (workers, log) = (Arc::new(workers), Arc::default());
    let _waiting: Vec<Answer> = (0..10).map(|_| queued(&workers, caller("a"), LONG, "a", &log)).collect();
    let soon = Caller::new("a", Some(Instant::now() + Duration::from_secs(2)));
    let error = workers.run(&soon, LONG, || Ok(())).await.unwrap_err();
    assert!(error.message.contains("deadline"), "{error}");
    assert!(error.retry_after.unwrap() > Duration::from_secs(5), "{error:?}");
    let later = Caller::new("a", Some(Instant::now() + Duration::from_secs(600)));
    let _waits = queued(&workers, later, LONG, "a", &log);
}

#[tokio::test]
async fn a_job_whose_deadline_came_while_it_waited_is_not_run() {
    let (workers, held) = busy(QUEUE);
    let (workers, log) = (Arc::new(workers), Arc::default());
    let soon = Caller::new("a", Some(Instant::now() + Duration::from_secs(3)));
    let late = queued(&workers, soon, LONG, "late", &log);
    // What it needs is 0.9 s: it is too late long before its deadline, whatever the machine does.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    drop(held);
    assert_eq!(late.await.unwrap_err().reason, Reason::Throttled);
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn short_jobs_run_while_long_ones_have_every_thread_and_fill_the_queue() {
    let workers = Workers::start(2, QueueOptions { jobs: 2, ..QUEUE }).unwrap();
    let held = [hold(&workers, LONG), hold(&workers, Work::Import { rounds: 5_000_000 })];
    held.iter().for_each(|held| held.begins.recv().unwrap());
    let _waiting = [hold(&workers, LONG), hold(&workers, LONG)];
    assert_eq!(workers.run(&caller("holder"), SHORT, || Ok(7)).await, Ok(7));
    // The answer is there a moment before its thread is counted as free.
    while workers.load().running != 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(workers.load().waiting, 2);
}

#[tokio::test]
async fn a_job_that_panics_is_an_error_and_the_thread_continues() {
    let workers = Workers::start(1, QUEUE).unwrap();
    for _ in 0..4 {
        let answer = workers.run::<(), _>(&caller("a"), LONG, || panic!("on purpose")).await;
        assert_eq!(answer.unwrap_err().reason, Reason::Internal);
    }
    assert_eq!(workers.run(&caller("a"), LONG, || Ok(7)).await, Ok(7));
}

#[tokio::test]
async fn a_job_whose_caller_went_away_is_not_run_and_takes_no_room() {
    let (workers, held) = busy(QueueOptions { jobs: 2, ..QUEUE });
    let (workers, log) = (Arc::new(workers), Arc::default());
    let abandoned: Vec<Answer> = (0..2).map(|_| queued(&workers, caller("a"), LONG, "abandoned", &log)).collect();
    workers.run(&caller("a"), LONG, || Ok(())).await.unwrap_err();
    drop(abandoned);
    assert_eq!((workers.load().waiting, workers.load().not_run.gone), (0, 2));
    let stays = queued(&workers, caller("a"), LONG, "stays", &log);
    drop(held);
    assert_eq!(stays.await, Ok(7));
    assert_eq!(*log.lock().unwrap(), ["stays"]);
}

#[tokio::test]
async fn who_waits_for_idleness_waits_for_every_job_and_ends_with_the_workers() {
    let (workers, held) = busy(QUEUE);
    let watcher = workers.watcher();
    let (idle, idles) = mpsc::channel();
    let waiting = thread::spawn(move || {
        while watcher.wait() {
            let _ = idle.send(());
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(idles.recv_timeout(Duration::from_millis(50)).is_err());
    drop(held);
    idles.recv().unwrap();
    drop(workers);
    waiting.join().unwrap();
}

#[tokio::test]
async fn threads_of_long_work_give_way_to_requests_and_the_one_of_short_work_does_not() {
    let (workers, held) = (Workers::start(1, QUEUE).unwrap(), Work::Generate(KeyType::Rsa2048));
    let niceness = || Ok(rustix::process::getpriority_process(None).unwrap());
    let here = rustix::process::getpriority_process(None).unwrap();
    let long = workers.run(&caller("a"), held, niceness).await.unwrap();
    assert_eq!(long, (here + NICENESS).min(19));
    // With the other thread held, the one for short work is the only one.
    let _held = {
        let held = hold(&workers, LONG);
        held.begins.recv().unwrap();
        held
    };
    assert_eq!(workers.run(&caller("a"), SHORT, niceness).await.unwrap(), here);
}
