//! What of the ledger is not written with a change: reads of secrets, work of keys and refusals before their answers
//! leave; the beginning and the end of a writer, checkpoints, and counts of strangers.

use super::facts::Facts;
use super::ledger::{Entry, unavailable};
use super::line::{Checkpoint, LineKind, Notes};
use super::mirror::{Mirror, PATIENCE};
use super::options::{AuditFailure, AuditLevel};
use super::scope::{Asks, Scope};
use super::untold::Several;
use crate::domain::{Error, Reason, Result, Timestamp};
use crate::keys::AuditKey;
use crate::service::access::Mode;
use crate::service::context::Context;
use crate::service::records::{AuditKeyRecord, AuditVolume, key};
use crate::service::writes::NotCommitted;
use crate::store::{Batch, Record, StoreError};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::timeout;

/// Keys that are looked at; there is one, and one more for each first start that came at the same moment.
const MAX_KEYS: usize = 100;

/// The ledger, for those who do not commit.
#[derive(Clone)]
pub struct AuditTrail {
    pub(super) context: Arc<Context>,
}

impl AuditTrail {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    pub(super) fn is_on(&self) -> bool {
        self.context.writes.ledger().is_on()
    }

    /// Records the end of a request where it has to be recorded before its answer leaves. `outcome` is the HTTP status or
    /// the gRPC code; with `is_news` the request is recorded whatever it is.
    ///
    /// # Errors
    /// `AuditUnavailable` where the record could not be written and such requests are refused: the answer must not leave.
    pub async fn settle(&self, scope: &Arc<Scope>, outcome: &str, succeeded: bool, is_news: bool) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        if scope.asks() == Some(Asks::Change) && succeeded && scope.is_recorded() {
            // It is done and recorded in the store; the sinks beside it say so themselves where they fail.
            if !scope.is_out(PATIENCE).await {
                self.context.writes.ledger().failed();
            }
            return Ok(());
        }
        let options = self.context.writes.ledger().options();
        let mut facts = scope.facts();
        let has_to = match scope.asks() {
            Some(Asks::Material) => true,
            Some(Asks::Change) => succeeded,
            Some(Asks::Read) | None => false,
        };
        if !has_to && !is_news && facts.decision != "deny" && options.level != AuditLevel::All {
            return Ok(());
        }
        let checks = self.context.options.access.mode != Mode::Open;
        // Also what was refused before it was asked who may do it, such as a name that is none.
        let refused = facts.decision == "deny" || (checks && !succeeded && facts.decision.is_empty());
        if refused {
            if !self.context.writes.ledger().untold.has_line(&facts.principal, options.refusals_per_minute) {
                return Ok(());
            }
            facts.shorten();
        }
        outcome.clone_into(&mut facts.outcome);
        match self.record(facts, scope).await {
            Ok(()) => Ok(()),
            Err(error) if options.on_failure == AuditFailure::Continue => {
                tracing::error!(%error, "a record of the audit ledger is missing: it could not be written");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a request was refused because its record could not be written");
                Err(unavailable())
            }
        }
    }

    /// Writes the record of a request into every sink.
    async fn record(&self, facts: Facts, scope: &Arc<Scope>) -> Result<()> {
        let ledger = self.context.writes.ledger();
        if ledger.refuses() {
            ledger.failed();
            return Err(unavailable());
        }
        if ledger.has_store() {
            let entry = ledger.line(LineKind::Request, facts, Notes::default(), Some(scope.clone()))?;
            self.write(entry, Batch::default()).await?;
        } else {
            scope.sent(ledger.mirror(self.now(), LineKind::Request, &facts, &Notes::default()));
        }
        if scope.is_out(PATIENCE).await {
            return Ok(());
        }
        ledger.failed();
        Err(Error::new(Reason::AuditUnavailable, "A sink of the audit ledger did not take the line."))
    }

    /// Goes on in the file that is at the path of the sink now.
    pub fn reopen(&self) {
        self.context.writes.ledger().mirrors().iter().for_each(Mirror::reopen);
    }

    /// How many lines this process wrote, and how many could not be written.
    pub fn counts(&self) -> (u64, u64) {
        self.context.writes.ledger().counts()
    }

    /// Counts a request without accepted credentials.
    pub fn stranger(&self, peer: Option<IpAddr>) {
        if self.is_on() {
            self.context.writes.ledger().untold.stranger(peer);
        }
    }

    /// The first line of this process, after which it can sign.
    ///
    /// # Errors
    /// Where it cannot be written, unless requests go on without records.
    pub async fn begin(&self) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        let facts = Facts { outcome: format!("certmint {}", env!("CARGO_PKG_VERSION")), ..Facts::default() };
        let begun = async {
            self.key().await?;
            self.append(LineKind::Start, facts, Notes::default()).await
        };
        match begun.await {
            Err(error) if self.context.writes.ledger().options().on_failure == AuditFailure::Continue => {
                tracing::error!(%error, "the audit ledger could not be begun");
                Ok(())
            }
            begun => begun,
        }
    }

    /// The last line of this process; nothing of it is recorded after it.
    pub async fn end(&self) {
        if !self.is_on() {
            return;
        }
        if let Err(error) = self.tell_untold().await {
            tracing::error!(%error, "requests that were only counted could not be recorded");
        }
        if let Err(error) = self.sign(LineKind::Stop).await {
            tracing::error!(%error, "the end of the audit ledger of this process could not be written");
        }
    }

    /// Records how many requests without accepted credentials came from where, and how many refusals of whom have no line
    /// of their own, since the last call.
    pub(super) async fn tell_untold(&self) -> Result<()> {
        let untold = &self.context.writes.ledger().untold;
        let mut all = untold.take().into_iter();
        while let Some(several) = all.next() {
            if let Err(error) = self.tell_several(&several).await {
                std::iter::once(several).chain(all).for_each(|one| untold.give_back(one));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn tell_several(&self, several: &Several) -> Result<()> {
        let others = || "others".to_owned();
        let (kind, facts, count) = match several {
            Several::Unauthenticated(peer, count) => {
                let peer = peer.map_or_else(others, |peer| peer.to_string());
                (LineKind::Unauthenticated, Facts { peer, outcome: "401".into(), ..Facts::default() }, *count)
            }
            Several::Refused(principal, count) => {
                let principal = principal.clone().unwrap_or_else(others);
                (LineKind::Refused, Facts { principal, decision: "deny".into(), ..Facts::default() }, *count)
            }
        };
        self.append(kind, facts, Notes { count: Some(count), ..Notes::default() }).await
    }

    /// Signs where the chains are; the checkpoint of each goes into the others and into the log.
    pub(super) async fn sign(&self, kind: LineKind) -> Result<()> {
        let ledger = self.context.writes.ledger();
        let signing = self.key().await?;
        if kind != LineKind::Stop {
            for mirror in ledger.mirrors() {
                if let Some(checkpoint) = mirror.sign(self.now(), kind, signing.clone()).await {
                    tell(&checkpoint);
                    let notes = Notes { checkpoint: Some(checkpoint), ..Notes::default() };
                    let entry = ledger.line_here(kind, notes)?;
                    self.write(entry, Batch::default()).await?;
                }
            }
        }
        let news = ledger.volume.news();
        let mut batch = Batch::default();
        for (hour, written) in &news {
            let writer = ledger.writer().to_owned();
            let volume = AuditVolume { writer, hour: *hour, lines: written.lines, bytes: written.bytes };
            let place = key::audit_volume(*hour, ledger.writer());
            // Of a commit that took too long nobody knows how it ended, and another replica may have removed the record.
            let stored = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
            batch.puts.push(self.context.records.put(&place, stored, &volume, None)?);
        }
        let entry = ledger.checkpoint(kind, signing)?;
        let (signed, at) = (entry.signed().cloned(), entry.at());
        self.write(entry, batch).await?;
        ledger.volume.stored(&news, at);
        if let Some(checkpoint) = signed {
            tell(&checkpoint);
            let notes = Notes { checkpoint: Some(checkpoint), ..Notes::default() };
            let facts = Facts::default();
            let copies = futures_util::future::join_all(ledger.mirror(at, LineKind::Checkpoint, &facts, &notes));
            // A sink that hangs holds up neither the next checkpoint nor the end of the process.
            let _ = timeout(PATIENCE, copies).await;
        }
        if kind == LineKind::Stop {
            for mirror in ledger.mirrors() {
                mirror.sign(self.now(), kind, signing.clone()).await.iter().for_each(tell);
            }
        }
        Ok(())
    }

    async fn append(&self, kind: LineKind, facts: Facts, notes: Notes) -> Result<()> {
        let entry = self.context.writes.ledger().line(kind, facts, notes, None)?;
        self.write(entry, Batch::default()).await.map(|_| ())
    }

    /// Within [`PATIENCE`].
    pub(super) async fn write(&self, entry: Entry<'_>, batch: Batch) -> Result<u64> {
        let written = match timeout(PATIENCE, self.context.writes.append(entry, batch)).await {
            Ok(Ok(revision)) => Ok(revision),
            // Another replica changed first what goes with the line: no record of anything is missing.
            Ok(Err(NotCommitted::Store(error @ StoreError::Conflict(_)))) => return Err(error.into()),
            Ok(Err(NotCommitted::Store(error))) => Err(error.into()),
            Ok(Err(NotCommitted::Record(error))) => Err(error),
            Err(_) => Err(Error::new(Reason::AuditUnavailable, "The store took longer than 2 s.")),
        };
        if written.is_err() {
            self.context.writes.ledger().failed();
        }
        written
    }

    /// The key that signs: the first one of the store, or a new one.
    async fn key(&self) -> Result<&Arc<AuditKey>> {
        let open = async || self.open_key().await.map(Arc::new);
        self.context.writes.ledger().key.get_or_try_init(open).await
    }

    async fn open_key(&self) -> Result<AuditKey> {
        let sealer = self.context.keys.sealer();
        if let Some((id, record)) = self.keys().await?.into_iter().next() {
            return AuditKey::open(sealer, &id, &record.sealed_key);
        }
        let made = AuditKey::generate()?;
        let (sealed_key, public_key) = (made.seal(sealer)?, made.public_key().into());
        let record = AuditKeyRecord { sealed_key, public_key, created: self.context.now() };
        let puts = vec![self.context.records.put(&key::audit_key(made.id()), None, &record, None)?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
        Ok(made)
    }

    /// The keys that ever signed, by their ids.
    pub(super) async fn keys(&self) -> Result<Vec<(String, AuditKeyRecord)>> {
        let prefix = key::audit_keys();
        let found = self.context.store.list(prefix.as_str(), "", MAX_KEYS).await?;
        let read = |record: Record| {
            let id = record.key.strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
            Ok((id, self.context.records.read::<AuditKeyRecord>(&record)?))
        };
        found.into_iter().map(read).collect()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.context.now()
    }
}

/// Says so in the log, too: who changes the ledger later would have to change both.
fn tell(checkpoint: &Checkpoint) {
    let Checkpoint { writer, seq, prev, key, signature } = checkpoint;
    tracing::info!(target: "certmint::audit", writer, seq, prev, key, signature, "A checkpoint of the audit ledger");
}

impl std::fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditTrail").finish_non_exhaustive()
    }
}
