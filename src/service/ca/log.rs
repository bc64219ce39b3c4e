//! The log of what the CAs of this server sign: an intent in the commit that creates an operation, and how it ended in
//! the commit that ends it. Every serial number that was ever signed stands here before it is signed.

use crate::domain::issued::{Door, IntentRef, IssuedContent, IssuedFor, IssuedRecord, IssuedState, names_of};
use crate::domain::pending::State;
use crate::domain::{Blob, Error, IssuerName, Policy, Result, Serial, Timestamp};
use crate::issuer::provider::Intent;
use crate::keys::certificate::requested_key;
use crate::keys::issued::key_hash;
use crate::keys::random;
use crate::service::context::Context;
use crate::service::records::{IssuedIndex, PendingRecord, key, shown};
use crate::store::{Batch, Record};
use std::sync::Arc;
use std::time::Duration;

/// How long after the deadline of its operation it is looked what became of an intent. Only where a version without the
/// log ended the operation, or a record was lost, is there anything to do then.
const SETTLED: Duration = Duration::from_secs(24 * 3600);

/// How an operation ended for its intent.
pub(in crate::service) enum Ended<'a> {
    /// With this certificate (DER).
    Issued(&'a [u8]),
    /// Without it.
    Abandoned,
}

/// Writes the log.
#[derive(Clone)]
pub(in crate::service) struct IssuedLog {
    pub(super) context: Arc<Context>,
}

/// A serial number that nobody can foresee.
pub(in crate::service) fn random_serial() -> Serial {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    Serial::random(bytes)
}

impl IssuedLog {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Adds the writes of an intent to the batch that makes or changes the operation, and says in the operation where it
    /// is. `there` is the record in its place, where a version without the log already answers for that number.
    pub(in crate::service) fn intend(
        &self,
        batch: &mut Batch,
        pending: &mut PendingRecord,
        intent: Intent,
        asked: IssuedFor,
        there: Option<&Record>,
    ) -> Result<()> {
        let Intent { authority, serial, tbs, not_before, not_after } = intent;
        let at = self.context.now();
        let key = key_hash(&requested_key(&pending.operation.csr.0)?);
        let record = IssuedRecord {
            authority: authority.clone(),
            serial: serial.clone(),
            state: IssuedState::Intended,
            tbs: Some(Blob(tbs)),
            cer: None,
            asked,
            content: IssuedContent {
                subject: pending.policy.x509.subject.clone(),
                names: names_of(&pending.policy),
                not_before,
                not_after,
                key,
            },
            created: at,
            revocation: None,
        };
        let settled = pending.deadline.plus(SETTLED);
        let place = key::issued(&authority, &serial);
        batch.puts.push(self.context.records.put(&place, there.map(|there| there.revision), &record, Some(settled))?);
        if there.is_none() {
            self.index(batch, &record)?;
        }
        pending.intent = Some(IntentRef { authority, serial });
        Ok(())
    }

    /// Adds the writes of a new record of a part of the CA itself.
    pub(super) fn store(&self, batch: &mut Batch, record: &IssuedRecord) -> Result<()> {
        let place = key::issued(&record.authority, &record.serial);
        batch.puts.push(self.context.records.put(&place, None, record, self.due(record))?);
        self.index(batch, record)
    }

    /// The second places of a record that is new.
    pub(super) fn index(&self, batch: &mut Batch, record: &IssuedRecord) -> Result<()> {
        let IssuedRecord { authority, serial, created, content, .. } = record;
        let index = IssuedIndex { authority: authority.clone() };
        let records = &self.context.records;
        batch.puts.push(records.put(&key::issued_by_time(authority, *created, serial), None, &index, None)?);
        batch.puts.push(records.put(&key::issued_by_key(&content.key, serial), None, &index, None)?);
        Ok(())
    }

    /// Adds to the batch that ends an operation how it ended for its intent, if it has one. Answers what to
    /// [`IssuedLog::count`] once it is committed: a certificate that was revoked since its step began is abandoned, and
    /// must not be handed out.
    pub(in crate::service) async fn end(
        &self,
        batch: &mut Batch,
        intent: Option<&IntentRef>,
        ended: Ended<'_>,
    ) -> Result<Option<IssuedState>> {
        let Some(IntentRef { authority, serial }) = intent else { return Ok(None) };
        let found = self.context.load(&key::issued(authority, serial)).await;
        let found = match ended {
            Ended::Issued(_) => found?,
            // A damaged record, which was logged, keeps no operation open.
            Ended::Abandoned => shown(found)?,
        };
        let Some((record, issued)) = found else {
            tracing::error!(authority, %serial, "a certificate cannot be found in the log of its CA");
            return Ok(None);
        };
        if issued.state != IssuedState::Intended {
            return Ok(None);
        }
        let issued = match ended {
            Ended::Issued(cer) if issued.revocation.is_none() => {
                IssuedRecord { state: IssuedState::Issued, tbs: None, cer: Some(Blob(cer.to_vec())), ..issued }
            }
            Ended::Issued(_) | Ended::Abandoned => IssuedRecord { state: IssuedState::Abandoned, ..issued },
        };
        let due = self.forgotten_at(&issued);
        batch.puts.push(self.context.records.replace(&record, &issued, due)?);
        Ok(Some(issued.state))
    }

    /// Counts a certificate that came into a state by a commit.
    pub(in crate::service) fn count(&self, state: impl Into<Option<IssuedState>>) {
        if let Some(state) = state.into() {
            self.context.metrics.operations.ca(state.word());
        }
    }

    /// When there is something to do for a record that changes.
    pub(super) fn due(&self, record: &IssuedRecord) -> Option<Timestamp> {
        match record.state {
            // It is looked soon what became of it.
            IssuedState::Intended => Some(self.context.now().plus(SETTLED)),
            IssuedState::Issued | IssuedState::Abandoned => self.forgotten_at(record),
        }
    }

    /// When a record leaves the log.
    pub(super) fn forgotten_at(&self, record: &IssuedRecord) -> Option<Timestamp> {
        Some(record.content.not_after.plus(self.context.options.ca.issued_retention))
    }

    /// Looks what became of an intent whose operation must have ended by now, or forgets a certificate whose time in the
    /// log is over.
    pub(in crate::service) async fn settle(&self, record: &Record) -> Result<()> {
        let issued: IssuedRecord = self.context.records.read(record)?;
        let now = self.context.now();
        if issued.state != IssuedState::Intended {
            return match self.forgotten_at(&issued).filter(|at| *at > now) {
                // Written by a version with another time.
                Some(at) => self.put(record, &issued, at).await,
                None => self.forget(record, &issued).await,
            };
        }
        if self.is_open(&issued).await? {
            return self.put(record, &issued, now.plus(SETTLED)).await;
        }
        let ended = IssuedRecord { state: IssuedState::Abandoned, ..issued };
        let at = self.forgotten_at(&ended).unwrap_or(now);
        self.put(record, &ended, at).await
    }

    async fn put(&self, record: &Record, issued: &IssuedRecord, due: Timestamp) -> Result<()> {
        let puts = vec![self.context.records.replace(record, issued, Some(due))?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }

    async fn forget(&self, record: &Record, issued: &IssuedRecord) -> Result<()> {
        let IssuedRecord { authority, serial, created, content, .. } = issued;
        let mut batch = Batch::default();
        batch.deletes.extend(self.context.removal(&key::issued(authority, serial)).await?);
        if batch.deletes.iter().any(|delete| delete.expected != record.revision) {
            return Ok(());
        }
        batch.deletes.extend(self.context.removal(&key::issued_by_time(authority, *created, serial)).await?);
        batch.deletes.extend(self.context.removal(&key::issued_by_key(&content.key, serial)).await?);
        self.context.try_commit(batch).await.map(|_| ())
    }

    /// Whether an operation still stands behind an intent.
    pub(super) async fn is_open(&self, issued: &IssuedRecord) -> Result<bool> {
        let IssuedFor { vault, certificate, request_id, .. } = &issued.asked;
        let Some(certificate) = certificate else { return Ok(false) };
        let pending = self.context.load(&key::pending(vault, certificate)).await?;
        let of_it = pending.filter(|(_, pending)| {
            let names = |intent: &IntentRef| intent.authority == issued.authority && intent.serial == issued.serial;
            pending.intent.as_ref().is_some_and(names) && matches!(pending.operation.state, State::Issuing { .. })
        });
        Ok(of_it.is_some_and(|(_, pending)| Some(pending.operation.request_id) == *request_id))
    }
}

/// Who asked for the certificate of an operation; nobody (empty) for a renewal by the server itself.
pub(in crate::service) fn asked_for(pending: &PendingRecord, principal: &str) -> Result<IssuedFor> {
    let operation = &pending.operation;
    let door = match (&operation.renews, &pending.sealed_key) {
        (Some(_), _) => Door::Renewal,
        (None, Some(_)) => Door::Create,
        (None, None) => Door::Csr,
    };
    let Policy { issuer, granted, .. } = &pending.policy;
    Ok(IssuedFor {
        vault: operation.vault.clone(),
        issuer: IssuerName::parse(&issuer.name).map_err(|_| Error::internal())?,
        certificate: Some(operation.certificate.clone()),
        version: Some(operation.version),
        request_id: Some(operation.request_id),
        principal: principal.to_owned(),
        door,
        profile: granted.as_ref().map_or_else(String::new, |granted| granted.profile.clone()),
    })
}
