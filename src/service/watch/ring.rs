//! The newest events of the log in memory, shared by all streams, each encoded at most once per encoding.

use crate::domain::pending::Transition;
use crate::store::Revision;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// An event of the log, and how it looks on the wire.
#[derive(Debug)]
pub struct LogEvent {
    pub revision: Revision,
    pub transition: Transition,
    /// The position after this event.
    pub resume_token: String,
    encoded: [OnceLock<(String, Bytes)>; 2],
}

impl LogEvent {
    pub(super) fn new(revision: Revision, transition: Transition, resume_token: String) -> Self {
        Self { revision, transition, resume_token, encoded: Default::default() }
    }

    /// The bytes of one way to show the event: made once for the first `audience` (the host that
    /// ids are built from), afresh for another. `variant` is 0 or 1.
    pub fn encoded(&self, variant: usize, audience: &str, encode: impl Fn() -> Bytes) -> Bytes {
        let Some(slot) = self.encoded.get(variant) else { return encode() };
        let (first, bytes) = slot.get_or_init(|| (audience.to_owned(), encode()));
        if first == audience { bytes.clone() } else { encode() }
    }
}

/// Holds every event of the log with `oldest < revision <= head`.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<LogEvent>>,
    oldest: Revision,
    head: Revision,
    capacity: usize,
}

impl Ring {
    pub(super) fn new(head: Revision, capacity: usize) -> Self {
        Self { events: VecDeque::new(), oldest: head, head, capacity: capacity.max(1) }
    }

    pub(super) fn head(&self) -> Revision {
        self.head
    }

    /// Forgets everything and goes on after `oldest`.
    pub(super) fn restart(&mut self, oldest: Revision) {
        self.events.clear();
        self.oldest = oldest;
        self.head = self.head.max(oldest);
    }

    /// Adds what the log brought; revisions without an event only move the head.
    pub(super) fn extend(&mut self, events: Vec<Arc<LogEvent>>, head: Revision) {
        for event in events {
            self.head = self.head.max(event.revision);
            self.events.push_back(event);
            if self.events.len() > self.capacity
                && let Some(oldest) = self.events.pop_front()
            {
                self.oldest = oldest.revision;
            }
        }
        self.head = self.head.max(head);
    }

    /// The first event after `cursor` that `matches`, and how far the look went; `None` if the
    /// ring does not reach back to the cursor.
    pub(super) fn next(
        &self,
        cursor: Revision,
        matches: impl Fn(&LogEvent) -> bool,
    ) -> Option<(Revision, Option<Arc<LogEvent>>)> {
        if cursor < self.oldest {
            return None;
        }
        let start = self.events.partition_point(|event| event.revision <= cursor);
        let found = self.events.range(start..).find(|event| matches(event));
        Some((found.map_or(self.head.max(cursor), |event| event.revision), found.cloned()))
    }
}
