//! One stream: a snapshot or a replay, a bookmark, then every matching event as it is committed.

use super::ended;
use super::filter::{Filter, Snapshot, WatchRequest};
use super::hub::StreamSlot;
use super::ring::LogEvent;
use super::timers::Timers;
use super::token::expired;
use crate::domain::pending::TransitionKind;
use crate::domain::{Error, Operation, Reason, RequestId, Result};
use crate::service::access::changed;
use crate::service::context::Context;
use crate::service::records::{Ranges, ShownPending, key};
use crate::store::{Record, Revision, StoreError};
use futures_util::Stream;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

/// Why a bookmark was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bookmark {
    CaughtUp,
    Heartbeat,
    Closing,
}

/// One message of a stream.
#[derive(Clone, Debug)]
pub enum WatchItem {
    /// Part of the snapshot; not resumable, so it has no token.
    Snapshot(Box<Operation>),
    /// A transition, with its token.
    Event(Arc<LogEvent>),
    /// Everything up to the token was sent.
    Bookmark { kind: Bookmark, resume_token: String },
}

/// Ends with `Ok` only for `until_terminal`; every other end is an error that tells what to do.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchItem>> + Send>>;

/// What is needed until the snapshot was sent.
pub(super) struct Opening {
    pub(super) request: WatchRequest,
    /// The operations that the snapshot may show.
    pub(super) ranges: Ranges<ShownPending>,
}

/// What a stream carries from one message to the next.
pub(super) struct Session {
    context: Arc<Context>,
    filter: Filter,
    slot: StreamSlot,
    page: usize,
    until_terminal: bool,
    /// Everything up to here was sent or did not match.
    cursor: Revision,
    /// Operations that the snapshot showed in a state newer than its revision, with that state.
    ahead: BTreeMap<RequestId, u64>,
    /// The last revision that may tell of such a state again.
    ahead_until: Revision,
    /// Operations that were shown and have not ended; only kept for `until_terminal`.
    open: BTreeSet<RequestId>,
    shown: bool,
}

/// What a stream takes out of the store at a time: it holds that much for as long as its client does not read.
const STREAM_PAGE: usize = 32;

/// A token of a history that the store does not hold any more is out of range, like one that is too old.
pub(super) fn unless_history_lost(error: StoreError) -> Error {
    if error.is_history_lost() { expired() } else { error.into() }
}

impl Session {
    pub(super) fn new(
        context: Arc<Context>,
        filter: Filter,
        slot: StreamSlot,
        request: &WatchRequest,
        cursor: Revision,
    ) -> Self {
        Self {
            page: context.options.watch.page.min(STREAM_PAGE),
            context,
            filter,
            slot,
            until_terminal: request.until_terminal,
            cursor,
            ahead: BTreeMap::new(),
            ahead_until: 0,
            open: BTreeSet::new(),
            // The request id has existed: if it is not open, it has ended.
            shown: request.request_id.is_some(),
        }
    }

    /// Ten thousand of these wait at the same time, so what they hold is kept small: what happens once is in boxes
    /// that go, and no error is held where something is sent.
    pub(super) fn stream(
        mut self,
        opening: Box<Opening>,
        snapshot: Snapshot,
        head: Revision,
        mut timers: Timers,
    ) -> WatchStream {
        Box::pin(async_stream::stream! {
            let mut goal = Some(head);
            // Half a snapshot cannot be resumed, so what ends it has no token.
            let mut can_resume = false;
            let end = 'told: {
                if snapshot != Snapshot::None {
                    let mut after = String::new();
                    loop {
                        if let Some(error) = timers.over() {
                            yield Ok(WatchItem::Bookmark { kind: Bookmark::Closing, resume_token: String::new() });
                            break 'told Some(error);
                        }
                        let (page, next) = match Box::pin(self.snapshot_page(&opening, snapshot, &after, head)).await {
                            Ok(found) => found,
                            Err(error) => break 'told Some(error),
                        };
                        for operation in page {
                            if self.is_narrowed() {
                                break 'told Some(changed());
                            }
                            yield Ok(WatchItem::Snapshot(operation));
                        }
                        let Some(next) = next else { break };
                        after = next;
                    }
                } else if self.until_terminal && opening.request.may_have_ended() {
                    match Box::pin(self.find_open(&opening)).await {
                        Ok(known) => goal = Some(head.max(known)),
                        Err(error) => break 'told Some(error),
                    }
                }
                drop(opening);
                can_resume = true;
                let mut pending = Vec::<Arc<LogEvent>>::new().into_iter();
                loop {
                    for event in pending.by_ref() {
                        if self.is_narrowed() {
                            self.stop_before(&event);
                            break 'told Some(changed());
                        }
                        if let Some(event) = self.admit(event) {
                            timers.sent();
                            self.context.metrics.watch_delivered.inc();
                            yield Ok(WatchItem::Event(event));
                        }
                    }
                    if timers.over().is_some() {
                        break;
                    }
                    if self.is_narrowed() {
                        break 'told Some(changed());
                    }
                    match self.next_events(goal).await {
                        Ok(Some(events)) => {
                            pending = events.into_iter();
                            continue;
                        }
                        Ok(None) => {}
                        Err(error) => break 'told Some(error),
                    }
                    if goal.take().is_some() {
                        timers.sent();
                        yield Ok(self.bookmark(Bookmark::CaughtUp));
                    }
                    if self.until_terminal && self.shown && self.open.is_empty() {
                        break 'told None;
                    }
                    tokio::select! {
                        biased; // one order, so that a simulation repeats itself
                        () = self.slot.wake.notified() => continue,
                        () = timers.rang() => {}
                    }
                    if timers.over().is_none() && timers.beat_is_due() {
                        self.skip_to_head();
                        yield Ok(self.bookmark(Bookmark::Heartbeat));
                        timers.sent();
                    }
                }
                // Events known before the end are still sent; a long replay is left to the next stream.
                let last = if goal.is_none() { self.context.hub.head() } else { 0 };
                while self.cursor < last {
                    let events = match self.next_events(None).await {
                        Ok(Some(events)) => events,
                        Ok(None) => break,
                        Err(error) => break 'told Some(error),
                    };
                    for event in events {
                        if self.is_narrowed() {
                            self.stop_before(&event);
                            break 'told Some(changed());
                        }
                        if let Some(event) = self.admit(event) {
                            self.context.metrics.watch_delivered.inc();
                            yield Ok(WatchItem::Event(event));
                        }
                    }
                }
                yield Ok(self.bookmark(Bookmark::Closing));
                timers.over()
            };
            if let Some(error) = end {
                if error.reason == Reason::AccessChanged {
                    let resume_token = if can_resume { self.context.hub.token(self.cursor) } else { String::new() };
                    yield Ok(WatchItem::Bookmark { kind: Bookmark::Closing, resume_token });
                }
                yield Err(error);
            }
        })
    }

    /// The event was read and will not be sent: who resumes gets it, if he may.
    fn stop_before(&mut self, event: &LogEvent) {
        self.cursor = self.cursor.min(event.revision.saturating_sub(1));
    }

    fn is_narrowed(&mut self) -> bool {
        self.filter.is_narrowed(self.context.now())
    }

    fn bookmark(&self, kind: Bookmark) -> WatchItem {
        WatchItem::Bookmark { kind, resume_token: self.context.hub.token(self.cursor) }
    }

    /// A page of the snapshot, and after which key the next one begins. Boxed: who takes one out of the page needs
    /// no room for a whole operation for as long as the stream lives.
    async fn snapshot_page(
        &mut self,
        opening: &Opening,
        snapshot: Snapshot,
        after: &str,
        head: Revision,
    ) -> Result<(Vec<Box<Operation>>, Option<String>)> {
        let (records, next) = self.records(opening, after).await?;
        let mut operations = Vec::new();
        for record in records {
            // One that does not verify was logged, and does not hide the others.
            let Ok(ShownPending { operation }) = self.context.records.read(&record) else { continue };
            let wanted = snapshot == Snapshot::All || operation.in_progress();
            if !wanted || !self.filter.concerns(&operation) {
                continue;
            }
            if record.revision > head {
                self.ahead.insert(operation.request_id, operation.revision);
                self.ahead_until = self.ahead_until.max(record.revision);
            }
            self.track(&operation, ended(&operation));
            if self.filter.shows(operation.status()) {
                operations.push(Box::new(operation));
            }
        }
        Ok((operations, next))
    }

    /// A page of the records that the request may concern, and after which key the next one begins.
    async fn records(&self, opening: &Opening, after: &str) -> Result<(Vec<Record>, Option<String>)> {
        let Opening { request, ranges } = opening;
        match (&request.vault, request.names.is_empty()) {
            (Some(vault), false) => {
                // Here the key is the place in the list of names.
                let begin = after.parse::<usize>().unwrap_or(0);
                let names = request.names.iter().skip(begin).take(self.page);
                let keys: Vec<_> = names.map(|name| key::pending(vault, name)).collect();
                let found = self.context.get_many(&keys.iter().collect::<Vec<_>>()).await?;
                let (found, next) = (found.into_iter().flatten().collect(), begin + self.page);
                Ok((found, (next < request.names.len()).then(|| next.to_string())))
            }
            _ => {
                let found = ranges.read(&*self.context.store, after, self.page).await?;
                let next = (found.len() == self.page).then(|| found.last().map(|record| record.key.clone())).flatten();
                Ok((found, next))
            }
        }
    }

    /// Which operations of a stream without a snapshot have yet to end: those that ended before its
    /// position are told by no event. Returns how far the log has to be read to know what was found.
    async fn find_open(&mut self, opening: &Opening) -> Result<Revision> {
        let (mut after, mut known) = (String::new(), 0);
        loop {
            let (records, next) = self.records(opening, &after).await?;
            for record in records {
                let Ok(ShownPending { operation }) = self.context.records.read(&record) else { continue };
                if self.filter.concerns(&operation) {
                    known = known.max(record.revision);
                    self.track(&operation, ended(&operation));
                }
            }
            let Some(next) = next else { return Ok(known) };
            after = next;
        }
    }

    /// The next matching events; `None` when the present was reached (with a `goal`: at least it).
    async fn next_events(&mut self, goal: Option<Revision>) -> Result<Option<Vec<Arc<LogEvent>>>> {
        let hub = &self.context.hub;
        if hub.is_history_lost() {
            return Err(expired());
        }
        // If the ring has not reached the goal, a caller would wait for a wake that never comes.
        if goal.is_none_or(|goal| hub.head() >= goal)
            && let Some((cursor, event)) =
                hub.next(self.cursor, |event| self.filter.concerns(&event.transition.operation))
        {
            self.cursor = cursor;
            return Ok(event.map(|event| vec![event]));
        }
        // Not every stream needs the room for this, and few do for long.
        Box::pin(self.read_on(goal)).await
    }

    /// The same out of the store.
    async fn read_on(&mut self, goal: Option<Revision>) -> Result<Option<Vec<Arc<LogEvent>>>> {
        let page = self.context.store.events(self.cursor, self.page).await.map_err(unless_history_lost)?;
        if self.cursor < page.trimmed {
            return Err(expired());
        }
        let full = page.events.len() == self.page;
        let mut events = Vec::new();
        for event in &page.events {
            self.cursor = event.revision;
            let Some(event) = self.context.hub.decode(event) else { continue };
            if self.filter.concerns(&event.transition.operation) {
                events.push(Arc::new(event));
            }
        }
        if !full {
            self.cursor = self.cursor.max(page.head);
        }
        let reached = !full && events.is_empty() && goal.is_none_or(|goal| self.cursor >= goal);
        Ok((!reached).then_some(events))
    }

    /// The event, unless the snapshot showed it or its status is not wanted.
    fn admit(&mut self, event: Arc<LogEvent>) -> Option<Arc<LogEvent>> {
        if event.revision > self.ahead_until && !self.ahead.is_empty() {
            self.ahead = BTreeMap::new();
        }
        let operation = &event.transition.operation;
        if self.ahead.get(&operation.request_id).is_some_and(|shown| operation.revision <= *shown) {
            return None;
        }
        let gone = matches!(event.transition.kind, TransitionKind::Deleted | TransitionKind::Overwritten);
        let over = gone || ended(operation);
        let shows = self.filter.shows(operation.status());
        self.track(operation, over);
        shows.then_some(event)
    }

    fn track(&mut self, operation: &Operation, over: bool) {
        if !self.until_terminal {
            return;
        }
        self.shown = true;
        if over {
            self.open.remove(&operation.request_id);
        } else {
            self.open.insert(operation.request_id);
        }
    }

    /// Nothing between the cursor and the head of the ring matched.
    fn skip_to_head(&mut self) {
        if let Some((cursor, None)) =
            self.context.hub.next(self.cursor, |event| self.filter.concerns(&event.transition.operation))
        {
            self.cursor = cursor;
        }
    }
}
