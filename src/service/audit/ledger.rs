//! Makes the lines of this process, each in its record. Writing them is for [`super::super::writes`].

use super::chain::{Chain, Made};
use super::facts::Facts;
use super::line::{Checkpoint, LineKind, Notes};
use super::options::AuditOptions;
use super::scope::Scope;
use super::strangers::Strangers;
use super::told;
use super::volume::Volume;
use crate::clock::Clock;
use crate::domain::{Result, Timestamp};
use crate::keys::{AuditKey, defect};
use crate::service::records::{AuditLine, Codec, key, writer_of};
use crate::store::{Batch, Put};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The ledger as this process writes it.
pub(in crate::service) struct Ledger {
    options: AuditOptions,
    records: Arc<Codec>,
    clock: Arc<dyn Clock>,
    chain: Chain,
    pub(super) volume: Volume,
    pub(super) strangers: Strangers,
    /// What signs checkpoints, from the first use on.
    pub(super) key: OnceCell<AuditKey>,
    lines: AtomicU64,
    failures: AtomicU64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Ledger {
    /// `id` is a random one.
    pub(in crate::service) fn new(options: AuditOptions, records: Arc<Codec>, clock: Arc<dyn Clock>, id: Uuid) -> Self {
        Self {
            options,
            records,
            clock,
            chain: Chain::new(writer_of(id)),
            volume: Volume::default(),
            strangers: Strangers::default(),
            key: OnceCell::new(),
            lines: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) fn options(&self) -> &AuditOptions {
        &self.options
    }

    pub(super) fn is_on(&self) -> bool {
        !self.options.sinks.is_empty()
    }

    /// Who writes here.
    pub(super) fn writer(&self) -> &str {
        self.chain.writer()
    }

    /// Lines since the last checkpoint.
    pub(super) fn unsigned(&self) -> u64 {
        self.chain.unsigned()
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
        let made = self.chain.next(self.clock.now(), kind, facts, Notes::default())?;
        let entry = Entry { ledger: self, made, scope };
        batch.puts.push(entry.put()?);
        Ok(Some(entry))
    }

    /// A line of its own.
    pub(super) fn line(&self, kind: LineKind, facts: Facts, notes: Notes) -> Result<Entry<'_>> {
        let made = self.chain.next(self.clock.now(), kind, facts, notes)?;
        Ok(Entry { ledger: self, made, scope: None })
    }

    /// A line that signs where the chain is.
    pub(super) fn checkpoint(&self, kind: LineKind, key: &AuditKey) -> Result<Entry<'_>> {
        let made = self.chain.checkpoint(self.clock.now(), kind, key)?;
        Ok(Entry { ledger: self, made, scope: None })
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
        let Self { ledger, made, scope } = self;
        ledger.volume.add(made.at, made.text.len());
        ledger.lines.fetch_add(1, Ordering::Relaxed);
        made.written();
        if let Some(scope) = scope {
            scope.recorded();
        }
    }
}
