//! Makes the lines of this process, each in its record. Writing them is for [`super::super::writes`].

use super::chain::{Chain, Made};
use super::facts::Facts;
use super::line::{Checkpoint, LineKind, Notes};
use super::mirror::{Content, Mirror, Ticket};
use super::options::{AuditFailure, AuditOptions, AuditSink};
use super::scope::{Asks, Scope};
use super::told;
use super::untold::Untold;
use super::volume::Volume;
use crate::clock::Clock;
use crate::domain::{Error, Reason, Result, Timestamp};
use crate::keys::{AuditKey, defect};
use crate::service::records::{AuditLine, Codec, key, writer_of};
use crate::store::{Batch, Put};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The ledger as this process writes it.
pub(in crate::service) struct Ledger {
    options: AuditOptions,
    records: Arc<Codec>,
    clock: Arc<dyn Clock>,
    chain: Chain,
    pub(super) volume: Volume,
    pub(super) untold: Untold,
    /// What signs checkpoints, from the first use on.
    pub(super) key: OnceCell<Arc<AuditKey>>,
    /// The sinks beside the store.
    mirrors: Vec<Mirror>,
    lines: AtomicU64,
    failures: AtomicU64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Ledger {
    /// `new_id` gives random ones.
    ///
    /// # Errors
    /// Where the file of the sink `file` cannot be opened.
    pub(in crate::service) fn new(
        options: AuditOptions,
        records: Arc<Codec>,
        clock: Arc<dyn Clock>,
        new_id: fn() -> Uuid,
    ) -> Result<Self> {
        let mut mirrors = Vec::new();
        for sink in &options.sinks {
            let writer = writer_of(new_id());
            match (sink, &options.file) {
                (AuditSink::Store, _) => {}
                (AuditSink::Stderr, _) => mirrors.push(Mirror::standard_error(writer)?),
                (AuditSink::File, Some(path)) => mirrors.push(Mirror::file(path, writer)?),
                (AuditSink::File, None) => {
                    let problem = "The setting audit.sinks has \"file\": set audit.file, too.";
                    return Err(Error::new(Reason::BadParameter, problem));
                }
            }
        }
        Ok(Self {
            mirrors,
            options,
            records,
            clock,
            chain: Chain::new(writer_of(new_id())),
            volume: Volume::default(),
            untold: Untold::default(),
            key: OnceCell::new(),
            lines: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    pub(super) fn options(&self) -> &AuditOptions {
        &self.options
    }

    pub(super) fn is_on(&self) -> bool {
        !self.options.sinks.is_empty()
    }

    /// Who writes here: another one for each start of a process.
    pub(in crate::service) fn writer(&self) -> &str {
        self.chain.writer()
    }

    /// Lines since the last checkpoint, of the chain that has the most: without the sink `store` a further one may have
    /// lines where the store has none.
    pub(super) fn unsigned(&self) -> u64 {
        self.mirrors.iter().map(Mirror::unsigned).fold(self.chain.unsigned(), u64::max)
    }

    /// Adds the record of a commit to it, where it leaves one.
    pub(in crate::service) fn join(&self, batch: &mut Batch) -> Result<Option<Entry<'_>>> {
        if !self.is_on() {
            return Ok(None);
        }
        let scope = Scope::current();
        let Some(facts) = told::facts(scope.as_deref(), batch) else { return Ok(None) };
        let kind = if scope.as_ref().is_some_and(|scope| scope.asks().is_some()) {
            LineKind::Request
        } else {
            LineKind::Service
        };
        if self.refuses() && scope.as_ref().is_some_and(|scope| scope.asks() == Some(Asks::Change)) {
            self.failed();
            return Err(unavailable());
        }
        let entry = self.line(kind, facts, Notes::default(), scope)?;
        batch.puts.push(entry.put()?);
        Ok(Some(entry))
    }

    /// A line of its own, of a request where it has a scope.
    pub(super) fn line(
        &self,
        kind: LineKind,
        facts: Facts,
        notes: Notes,
        scope: Option<Arc<Scope>>,
    ) -> Result<Entry<'_>> {
        let copied = (!self.mirrors.is_empty()).then(|| (kind, facts.clone(), notes.clone()));
        let made = self.chain.next(self.clock.now(), kind, facts, notes)?;
        Ok(Entry { ledger: self, made, scope, copied })
    }

    /// Whether the store holds more than the records of changes.
    pub(super) fn has_store(&self) -> bool {
        self.options.sinks.contains(&AuditSink::Store)
    }

    pub(super) fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// Sends a line to the sinks beside the store.
    pub(super) fn mirror(&self, at: Timestamp, kind: LineKind, facts: &Facts, notes: &Notes) -> Vec<Ticket> {
        let content = || Content { at, kind, facts: facts.clone(), notes: notes.clone() };
        self.mirrors.iter().map(|mirror| mirror.send(content())).collect()
    }

    /// Why a sink beside the store cannot be written.
    pub(in crate::service) fn failure(&self) -> Option<String> {
        self.mirrors.iter().find_map(Mirror::failure)
    }

    /// Whether requests that have to be recorded are refused now.
    pub(in crate::service) fn refuses(&self) -> bool {
        self.options.on_failure == AuditFailure::Refuse && self.failure().is_some()
    }

    /// A line of its own that goes nowhere else.
    pub(super) fn line_here(&self, kind: LineKind, notes: Notes) -> Result<Entry<'_>> {
        let made = self.chain.next(self.clock.now(), kind, Facts::default(), notes)?;
        Ok(Entry { ledger: self, made, scope: None, copied: None })
    }

    /// A line that signs where the chain is.
    pub(super) fn checkpoint(&self, kind: LineKind, key: &AuditKey) -> Result<Entry<'_>> {
        let made = self.chain.checkpoint(self.clock.now(), kind, key)?;
        Ok(Entry { ledger: self, made, scope: None, copied: None })
    }

    /// A record was not written.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How many lines were written, and how many could not be.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.lines.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }
}

/// A line on its way into the store.
#[must_use]
pub(in crate::service) struct Entry<'a> {
    ledger: &'a Ledger,
    made: Made<'a>,
    scope: Option<Arc<Scope>>,
    /// What goes to the sinks beside the store.
    copied: Option<(LineKind, Facts, Notes)>,
}

impl Entry<'_> {
    /// Its record.
    pub(in crate::service) fn put(&self) -> Result<Put> {
        let Made { seq, at, text, .. } = &self.made;
        let writer = self.made.writer();
        let line = AuditLine::new(writer.to_owned(), *seq, text.clone())
            .map_err(defect("a line of the audit ledger is no JSON"))?;
        self.ledger.records.put(&key::audit_line(*at, writer, *seq), None, &line, None)
    }

    pub(super) fn at(&self) -> Timestamp {
        self.made.at
    }

    pub(super) fn signed(&self) -> Option<&Checkpoint> {
        self.made.checkpoint.as_ref()
    }

    /// It is stored. Dropped without this, a later line says that it may be missing.
    pub(in crate::service) fn written(self) {
        let Self { ledger, made, scope, copied } = self;
        ledger.volume.add(made.at, made.text.len());
        ledger.lines.fetch_add(1, Ordering::Relaxed);
        let at = made.at;
        made.written();
        let tickets = copied.map(|(kind, facts, notes)| ledger.mirror(at, kind, &facts, &notes)).unwrap_or_default();
        if let Some(scope) = scope {
            scope.recorded();
            scope.sent(tickets);
        }
    }
}

/// The refusal of a request whose record cannot be written.
pub(super) fn unavailable() -> Error {
    Error::new(
        Reason::AuditUnavailable,
        "The audit record of the request cannot be written, so it is refused. Retry it; the log of the server has the cause.",
    )
    .retry_after(Duration::from_secs(1))
}
