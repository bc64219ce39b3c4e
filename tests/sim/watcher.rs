//! Watchers that are slow, go away, and resume on another replica; and what they wrote down.

use crate::caller::{Caller, name};
use crate::harness::vault;
use crate::permit::permit;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::domain::pending::Transition;
use certmint::domain::{CertificateName, Error, Operation, Reason};
use certmint::service::watch::{Bookmark, Snapshot, Subscriber, WatchItem, WatchRequest, WatchStream};
use certmint::store::Revision;
use futures_util::StreamExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// One story: a snapshot or a position, and everything since, over any number of connections.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) names: Vec<CertificateName>,
    pub(crate) snapshot: Snapshot,
    /// The position of the token that it began with; none where it began at the present.
    pub(crate) begun: Option<Revision>,
    /// The head of the log when a chain without a token had been opened.
    pub(crate) opened: Revision,
    /// The head of the log when its snapshot was complete.
    pub(crate) settled: Option<Revision>,
    pub(crate) items: Vec<Item>,
    /// The last position, by its token.
    pub(crate) position: Option<Revision>,
    pub(crate) caught_up: bool,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum Item {
    Snapshot(Box<Operation>),
    Event(Revision, Box<Transition>),
    /// A new connection: what the snapshot had shown ahead of its position may come again.
    Resumed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The run was over; it had to know everything.
    Over,
    /// Broken off before it had a token, or its token had expired.
    Lost,
    /// `until_terminal`: everything it showed had ended.
    Finished,
}

/// All who watch, and all that they wrote down.
#[derive(Clone, Default)]
pub(crate) struct Gallery {
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    chains: Arc<Mutex<Vec<Chain>>>,
}

impl Gallery {
    /// Watches everything, or some names, from a snapshot on.
    pub(crate) fn open(&self, caller: &Caller) {
        let names = if caller.harness.percent(50) { vec![] } else { vec![name(0)] };
        let all = caller.harness.percent(50);
        let snapshot = if all { Snapshot::All } else { Snapshot::InProgress };
        self.spawn(Watcher { caller: caller.clone(), names, snapshot, until_terminal: false }, String::new());
    }

    /// Watches what comes after a creation.
    pub(crate) fn follow(&self, caller: &Caller, name: &CertificateName, token: String) {
        let until_terminal = caller.harness.percent(50);
        let watcher =
            Watcher { caller: caller.clone(), names: vec![name.clone()], snapshot: Snapshot::None, until_terminal };
        self.spawn(watcher, token);
    }

    fn spawn(&self, watcher: Watcher, token: String) {
        let task = tokio::spawn(watcher.run(token, self.chains.clone()));
        self.tasks.lock().unwrap().push(task);
    }

    /// When the run is over: the stories.
    pub(crate) async fn close(&self) -> Vec<Chain> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            // A panic is counted by the hook.
            let _ = task.await;
        }
        std::mem::take(&mut *self.chains.lock().unwrap())
    }
}

struct Watcher {
    caller: Caller,
    names: Vec<CertificateName>,
    snapshot: Snapshot,
    until_terminal: bool,
}

/// What a connection ended with.
enum Cut {
    /// Resume.
    Broken,
    Expired,
    Finished,
    Over,
}

impl Watcher {
    async fn run(self, mut token: String, chains: Arc<Mutex<Vec<Chain>>>) {
        loop {
            let mut chain = self.begin(&token);
            chain.end = self.story(&mut chain, &mut token).await;
            let end = chain.end;
            chains.lock().unwrap().push(chain);
            if end != End::Lost || self.until_terminal {
                return;
            }
            token.clear();
        }
    }

    fn begin(&self, token: &str) -> Chain {
        let begun = (!token.is_empty()).then(|| position(token));
        Chain {
            names: self.names.clone(),
            snapshot: if begun.is_some() { Snapshot::None } else { self.snapshot },
            begun,
            opened: 0,
            settled: None,
            items: Vec::new(),
            position: begun,
            caught_up: false,
            end: End::Lost,
        }
    }

    async fn story(&self, chain: &mut Chain, token: &mut String) -> End {
        loop {
            match self.connect(chain, token).await {
                Cut::Over => return End::Over,
                Cut::Finished => return End::Finished,
                // The log was trimmed beyond the snapshot while it was read.
                Cut::Expired if token.is_empty() => return End::Lost,
                Cut::Expired => {
                    let trimmed = self.caller.harness.server.trimmed().await;
                    if trimmed <= position(token) {
                        self.caller.harness.broken(format!("{} expired, {trimmed} is trimmed", position(token)));
                    }
                    return End::Lost;
                }
                Cut::Broken if token.is_empty() => return End::Lost,
                Cut::Broken => sleep(self.caller.harness.up_to(Duration::from_millis(500))).await,
            }
        }
    }

    async fn connect(&self, chain: &mut Chain, token: &mut String) -> Cut {
        let harness = &self.caller.harness;
        let replica = &self.caller.replicas[harness.below(self.caller.replicas.len())];
        let Some(door) = replica.door() else {
            sleep(Duration::from_millis(300)).await;
            return if harness.over.is_cancelled() { Cut::Over } else { Cut::Broken };
        };
        let who = Subscriber { principal: "sim".to_owned(), connection: 1 };
        let request = WatchRequest { resume_token: token.clone(), ..self.request() };
        let opened = tokio::select! {
            biased;
            () = door.dead.cancelled() => return Cut::Broken,
            opened = door.service.watch().open(permit(&door.service, request).await, &who, door.closing.clone()) => opened,
        };
        if token.is_empty() {
            chain.opened = harness.server.head();
        } else {
            chain.items.push(Item::Resumed);
        }
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => return self.failed(&error),
        };
        loop {
            if harness.percent(harness.profile.impatience) && !harness.calm() {
                sleep(harness.up_to(Duration::from_secs(2))).await;
                if harness.percent(50) {
                    return Cut::Broken;
                }
            }
            let item = tokio::select! {
                biased;
                () = door.dead.cancelled() => return Cut::Broken,
                item = next(&mut stream) => item,
                () = harness.over.cancelled() => return Cut::Over,
            };
            match item {
                Some(Ok(item)) => {
                    if !matches!(item, WatchItem::Snapshot(_)) {
                        chain.settled.get_or_insert(harness.server.head());
                    }
                    write_down(chain, token, item);
                }
                Some(Err(error)) => return self.failed(&error),
                None => return Cut::Finished,
            }
        }
    }

    fn failed(&self, error: &Error) -> Cut {
        match error.reason {
            Reason::ResumeTokenExpired => Cut::Expired,
            Reason::StoreUnavailable | Reason::ServerDraining | Reason::WatchMaxAge => Cut::Broken,
            _ => {
                self.caller.harness.broken(format!("a watch ended with {error:?}"));
                Cut::Over
            }
        }
    }

    fn request(&self) -> WatchRequest {
        WatchRequest {
            vault: Some(vault()),
            names: self.names.clone(),
            prefix: String::new(),
            request_id: None,
            statuses: vec![],
            resume_token: String::new(),
            snapshot: Some(self.snapshot),
            until_terminal: self.until_terminal,
            heartbeat: None,
            deadline: None,
        }
    }
}

/// A stream has heartbeats: one that says nothing for an hour is stuck.
async fn next(stream: &mut WatchStream) -> Option<certmint::domain::Result<WatchItem>> {
    timeout(Duration::from_secs(3600), stream.next()).await.expect("a stream is stuck")
}

fn write_down(chain: &mut Chain, token: &mut String, item: WatchItem) {
    match item {
        WatchItem::Snapshot(operation) => chain.items.push(Item::Snapshot(operation)),
        WatchItem::Event(event) => {
            token.clone_from(&event.resume_token);
            chain.position = Some(event.revision);
            chain.items.push(Item::Event(event.revision, Box::new(event.transition.clone())));
        }
        WatchItem::Bookmark { kind, resume_token } => {
            chain.caught_up |= kind == Bookmark::CaughtUp;
            if !resume_token.is_empty() {
                chain.position = Some(position(&resume_token));
                *token = resume_token;
            }
        }
    }
}

/// The position inside a token. Clients must not look; an oracle has to.
pub(crate) fn position(token: &str) -> Revision {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    Revision::from_be_bytes(bytes[1..9].try_into().unwrap())
}
