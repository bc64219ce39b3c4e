//! The ledger beside the store, in a file or on standard error: a chain of its own, written by a thread of its own, which
//! makes many lines durable at once. Nobody waits for it longer than he wants to.

use super::chain::{Chain, Made};
use super::facts::Facts;
use super::line::{Checkpoint, LineKind, Notes};
use super::scope::of_service;
use crate::domain::{Error, Reason, Result, Timestamp};
use crate::keys::AuditKey;
use crate::line_file::LineFile;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Lines that may wait; more are failures.
const QUEUE: usize = 4096;
/// Lines that are made durable at once.
const GROUP: usize = 256;
/// Between two looks at the file, and two attempts of one that failed.
const LOOK: Duration = Duration::from_secs(1);

/// A record that is not written within this time has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Told when the line is there; false, or gone, where it could not be written.
pub(super) type Ticket = oneshot::Receiver<bool>;

/// Lines on their way out.
pub(super) struct Mirror {
    orders: SyncSender<Order>,
    chain: Arc<Chain>,
    state: Arc<State>,
}

/// How the work goes.
#[derive(Debug, Default)]
struct State {
    /// Why the last write failed.
    failure: Mutex<Option<String>>,
    /// Since when the thread has been at work: a disk or a pipe may hold it up without an error.
    busy: Mutex<Option<Instant>>,
}

impl State {
    fn set(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn get(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn busy(&self, since: Option<Instant>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn hangs(&self) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

/// What is written.
pub(super) struct Content {
    pub(super) at: Timestamp,
    pub(super) kind: LineKind,
    pub(super) facts: Facts,
    pub(super) notes: Notes,
}

enum Order {
    Line(Box<Content>, oneshot::Sender<bool>),
    Sign(Timestamp, LineKind, Arc<AuditKey>, oneshot::Sender<Option<Checkpoint>>),
    Reopen,
}

/// Where lines go.
enum Outlet {
    File(LineFile),
    StandardError,
}

impl Mirror {
    /// # Errors
    /// Where the file cannot be opened.
    pub(super) fn file(path: &Path, writer: String) -> Result<Self> {
        let cannot = |error: io::Error| {
            Error::new(Reason::Internal, format!("The file of the audit ledger {}: {error}.", path.display()))
        };
        Self::start(Outlet::File(LineFile::open(path).map_err(cannot)?), writer)
    }

    pub(super) fn standard_error(writer: String) -> Result<Self> {
        Self::start(Outlet::StandardError, writer)
    }

    fn start(outlet: Outlet, writer: String) -> Result<Self> {
        let (orders, waiting) = sync_channel(QUEUE);
        let (chain, state) = (Arc::new(Chain::new(writer)), Arc::new(State::default()));
        let work = Work { outlet, chain: chain.clone(), state: state.clone(), last: Timestamp(0) };
        thread::Builder::new().name("audit".to_owned()).spawn(move || work.run(&waiting)).map_err(|error| {
            Error::new(Reason::Internal, format!("The thread of the audit ledger cannot be started: {error}."))
        })?;
        Ok(Self { orders, chain, state })
    }

    /// Sends a line; never waits.
    pub(super) fn send(&self, content: Content) -> Ticket {
        let (done, ticket) = oneshot::channel();
        // A full queue drops the other end: the ticket says so.
        let _ = self.orders.try_send(Order::Line(Box::new(content), done));
        ticket
    }

    /// Signs where the chain is; `None` where that could not be written.
    pub(super) async fn sign(&self, at: Timestamp, kind: LineKind, key: Arc<AuditKey>) -> Option<Checkpoint> {
        let (done, ticket) = oneshot::channel();
        let _ = self.orders.try_send(Order::Sign(at, kind, key, done));
        tokio::time::timeout(PATIENCE, ticket).await.ok()?.ok().flatten()
    }

    /// Goes on in the file that is at the path now.
    pub(super) fn reopen(&self) {
        let _ = self.orders.try_send(Order::Reopen);
    }

    /// Lines since the last checkpoint.
    pub(super) fn unsigned(&self) -> u64 {
        self.chain.unsigned()
    }

    /// Why the last write failed, if it did, or the one that is under way takes too long.
    pub(super) fn failure(&self) -> Option<String> {
        self.state.get().or_else(|| self.state.hangs().then(|| "a write takes longer than 2 s".to_owned()))
    }
}

struct Work {
    outlet: Outlet,
    chain: Arc<Chain>,
    state: Arc<State>,
    /// When the last line was made.
    last: Timestamp,
}

impl Work {
    fn run(mut self, waiting: &Receiver<Order>) {
        loop {
            let first = waiting.recv_timeout(LOOK);
            self.state.busy(Some(Instant::now()));
            match first {
                Ok(first) => {
                    let mut group = vec![first];
                    group.extend(waiting.try_iter().take(GROUP - 1));
                    self.serve(group);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    self.try_again();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.state.busy(None);
        }
    }

    /// Goes on in another file where this one was moved or removed.
    fn look(&mut self) {
        if let Outlet::File(file) = &self.outlet
            && file.is_gone()
        {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        if let Outlet::File(file) = &mut self.outlet
            && let Err(error) = file.reopen()
        {
            self.failed(&error);
        }
    }

    /// Whether a sink that failed works again; nobody waits for it.
    fn try_again(&mut self) {
        if self.state.get().is_some() {
            self.reopen();
            let facts = Facts { outcome: "works again".to_owned(), ..of_service("audit sink") };
            let content = Content { at: self.last, kind: LineKind::Service, facts, notes: Notes::default() };
            self.serve(vec![Order::Line(Box::new(content), oneshot::channel().0)]);
        }
    }

    fn serve(&mut self, group: Vec<Order>) {
        let mut lines: Vec<(Box<Content>, oneshot::Sender<bool>)> = Vec::new();
        for order in group {
            match order {
                Order::Line(content, done) => lines.push((content, done)),
                Order::Reopen => {
                    self.write(std::mem::take(&mut lines));
                    self.reopen();
                }
                Order::Sign(at, kind, key, done) => {
                    self.write(std::mem::take(&mut lines));
                    // The receiver may have been dropped; ignore the error.
                    let _ = done.send(self.sign(at, kind, &key));
                }
            }
        }
        self.write(lines);
    }

    fn write(&mut self, lines: Vec<(Box<Content>, oneshot::Sender<bool>)>) {
        let (mut text, mut made, mut waiting) = (String::new(), Vec::new(), Vec::new());
        for (content, done) in lines {
            let Content { at, kind, facts, notes } = *content;
            self.last = self.last.max(at);
            if let Ok(line) = self.chain.next(at, kind, facts, notes) {
                text.push_str(&line.text);
                text.push('\n');
                made.push(line);
                waiting.push(done);
            }
        }
        if made.is_empty() {
            return;
        }
        let written = append(&mut self.outlet, text.as_bytes());
        match &written {
            Ok(()) => made.into_iter().for_each(Made::written),
            Err(_) => drop(made),
        }
        match &written {
            Ok(()) => self.works(),
            Err(error) => self.failed(error),
        }
        for done in waiting {
            // The receiver may have been dropped; ignore the error.
            let _ = done.send(written.is_ok());
        }
    }

    fn sign(&mut self, at: Timestamp, kind: LineKind, key: &AuditKey) -> Option<Checkpoint> {
        let made = self.chain.checkpoint(at, kind, key).ok()?;
        let checkpoint = made.checkpoint.clone();
        match append(&mut self.outlet, format!("{}\n", made.text).as_bytes()) {
            Ok(()) => {
                made.written();
                self.works();
                checkpoint
            }
            Err(error) => {
                drop(made);
                self.failed(&error);
                None
            }
        }
    }

    fn works(&self) {
        if self.state.get().is_some() {
            tracing::warn!("the sink of the audit ledger works again");
            self.state.set(None);
        }
    }

    fn failed(&self, error: &io::Error) {
        if self.state.get().is_none() {
            tracing::error!(%error, "a sink of the audit ledger cannot be written");
        }
        self.state.set(Some(error.to_string()));
    }
}

fn append(outlet: &mut Outlet, lines: &[u8]) -> io::Result<()> {
    match outlet {
        Outlet::File(file) => {
            // What is put into a file that was removed is lost with this process.
            if file.is_gone() {
                file.reopen()?;
            }
            file.append(lines)
        }
        Outlet::StandardError => io::stderr().lock().write_all(lines),
    }
}
