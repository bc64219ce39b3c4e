//! Watchers of everything that resume where they were, each time at another replica.

use crate::client::{Caller, Fleet, may_repeat, reason};
use crate::dice::Dice;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{BookmarkReason, PendingEvent, PendingEventType, WatchPendingRequest, WatchSnapshot};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Of each operation its events in the order of their coming.
pub(crate) type Story = BTreeMap<String, Vec<PendingEvent>>;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    token: String,
    pub(crate) story: Story,
    pub(crate) events: usize,
    pub(crate) streams: usize,
    /// What no watcher may meet.
    pub(crate) problems: Vec<String>,
}

pub(crate) struct Watcher {
    pub(crate) seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Watches from `token` on.
    pub(crate) fn start(fleet: &Fleet, number: u64, token: String) -> Self {
        let seen = Arc::new(Mutex::new(Seen { token, ..Seen::default() }));
        let stop = CancellationToken::new();
        let caller = fleet.caller(Dice::of("watcher", number));
        let task = tokio::spawn(run(caller, seen.clone(), stop.clone()));
        Self { seen, stop, task }
    }

    pub(crate) fn events(&self) -> usize {
        self.seen.lock().unwrap().events
    }

    pub(crate) async fn stop(self) -> Arc<Mutex<Seen>> {
        self.stop.cancel();
        self.task.await.unwrap();
        self.seen
    }
}

pub(crate) fn everything_after(token: &str) -> WatchPendingRequest {
    WatchPendingRequest {
        resume_token: token.to_owned(),
        snapshot: WatchSnapshot::None.into(),
        heartbeat_interval: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
        ..WatchPendingRequest::default()
    }
}

async fn run(mut caller: Caller, seen: Arc<Mutex<Seen>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let token = seen.lock().unwrap().token.clone();
        let stream = match caller.watch(everything_after(&token)).await {
            Ok(stream) => stream,
            Err(status) => {
                if !may_repeat(&status) {
                    seen.lock().unwrap().problems.push(format!("{token}: {status:?}"));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        seen.lock().unwrap().streams += 1;
        // Some stay for long, most move on.
        let stay = Duration::from_millis(100 + caller.dice.below(3000));
        tokio::select! {
            () = follow(stream, &seen) => {}
            () = tokio::time::sleep(stay) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn follow(mut stream: tonic::Streaming<certmint::proto::v1::WatchPendingResponse>, seen: &Mutex<Seen>) {
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                let mut seen = seen.lock().unwrap();
                if let Some(Payload::Event(event)) = message.payload {
                    seen.take(event);
                }
                if !message.resume_token.is_empty() {
                    seen.token = message.resume_token;
                }
            }
            Ok(None) => {
                seen.lock().unwrap().problems.push("a stream without an end ended well".to_owned());
                return;
            }
            Err(status) => {
                if !may_repeat(&status) {
                    seen.lock().unwrap().problems.push(format!("{:?} {status:?}", reason(&status)));
                }
                return;
            }
        }
    }
}

impl Seen {
    fn take(&mut self, event: PendingEvent) {
        let event = anywhere(event);
        let operation = event.operation.as_ref().unwrap();
        let told = self.story.entry(operation.request_id.clone()).or_default();
        let last = told.last().map_or(0, revision);
        if operation.revision > last {
            told.push(event);
            self.events += 1;
        } else if let Some(before) = told.iter().find(|before| revision(before) == operation.revision)
            && *before != event
        {
            self.problems.push(format!("told twice, and not alike: {before:?}, {event:?}"));
        }
    }
}

/// Without what is built from the address that the client used.
fn anywhere(mut event: PendingEvent) -> PendingEvent {
    let operation = event.operation.as_mut().unwrap();
    operation.id.clear();
    operation.target.clear();
    event
}

pub(crate) fn revision(event: &PendingEvent) -> i64 {
    event.operation.as_ref().unwrap().revision
}

/// Where the log stands: the token of the first bookmark.
pub(crate) async fn present(caller: &mut Caller) -> String {
    let mut stream = caller.watch(everything_after("")).await.unwrap();
    stream.message().await.unwrap().unwrap().resume_token
}

/// The whole log after `token`, in order, as one replica streams it.
pub(crate) async fn replay(caller: &mut Caller, token: &str) -> Vec<PendingEvent> {
    let deadline = Instant::now() + Duration::from_secs(60);
    'again: loop {
        let mut events = Vec::new();
        let problem = match caller.watch(everything_after(token)).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(message)) => match message.payload.unwrap() {
                        Payload::Event(event) => events.push(anywhere(event)),
                        Payload::Bookmark(mark) if mark.reason == i32::from(BookmarkReason::CaughtUp) => return events,
                        Payload::Bookmark(_) => {}
                    },
                    Ok(None) => panic!("the replay ended well"),
                    Err(status) => break status,
                }
            },
            Err(status) => status,
        };
        assert!(may_repeat(&problem) && Instant::now() < deadline, "the log cannot be replayed: {problem:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        continue 'again;
    }
}

/// Created, or a change: what is not the end of a story by deletion or overwriting.
pub(crate) fn is_gone(event: &PendingEvent) -> bool {
    event.r#type == i32::from(PendingEventType::Deleted) || event.r#type == i32::from(PendingEventType::Overwritten)
}
