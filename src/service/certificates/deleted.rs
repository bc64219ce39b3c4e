//! Deleting a certificate so that it can be recovered. Only the entry and its pending operation move:
//! the versions stay where they are, so it takes one small commit however many there are.

use super::Deletions;
use super::entries::not_found;
use super::view::CertificateView;
use crate::domain::pending::{State, Transition, TransitionKind};
use crate::domain::{CertificateName, Detail, EntryState, Error, Operation, Reason, Result, Timestamp, VaultSettings};
use crate::service::access::{CertificateRef, Permit};
use crate::service::ca::Ended;
use crate::service::records::{self, Codec, DeletedRecord, PendingRecord, concerns_a_record, key};
use crate::service::retry::retry;
use crate::store::{Batch, Delete, Record};
use std::time::Duration;

/// A deleted certificate as callers see it.
#[derive(Clone, Debug)]
pub struct DeletedView {
    pub certificate: CertificateView,
    pub deleted: Timestamp,
    /// When it will be purged.
    pub purge: Timestamp,
}

impl Deletions {
    /// Deletes a certificate with all its versions, recoverable for the retention of its vault.
    ///
    /// What an issuer works on is cancelled there in the background; another pending operation, `Self` among them,
    /// is suspended with the certificate. Watchers see both as a deletion.
    pub async fn delete_certificate(&self, wanted: Permit<CertificateRef>) -> Result<DeletedView> {
        let (vault, name) = &*wanted;
        retry!({
            let (record, mut entry) = self.entries.live(vault, name).await?;
            // Before the time is read: a step that is claimed in between has its lease from then on.
            let place = key::pending(vault, name);
            let pending = self.context.load(&place).await;
            let listing = key::deleted(vault, name);
            // One that is there is left over: the certificate is not deleted.
            let left_over = self.context.store.get(listing.as_str()).await?.map(|record| record.revision);
            let at = self.context.now();
            let VaultSettings { retention_days, purge_protection: protected } = self.context.settings(vault);
            let purge = at.plus(retention_days.duration());
            entry.state = EntryState::Deleted { at, purge, protected };
            let listed = DeletedRecord { vault: vault.clone(), name: entry.name.clone() };
            let mut batch = Batch::default();
            self.context.records.put_entry(&mut batch, Some(&record), &entry)?;
            batch.puts.push(self.context.records.put(&listing, left_over, &listed, Some(purge))?);
            let mut logged = None;
            let kept = match pending {
                Ok(Some((record, pending))) => {
                    if pending.operation.in_progress() {
                        logged = self.log.end(&mut batch, pending.intent.as_ref(), Ended::Abandoned).await?;
                    }
                    let until = self.context.cancelling_until(at);
                    put_to_sleep(
                        &mut batch,
                        &self.context.records,
                        record,
                        pending,
                        at,
                        self.context.limits().work_lease,
                        until,
                    )?
                }
                Ok(None) => false,
                // An operation that cannot be read does not keep the certificate from being deleted; it goes.
                Err(error) if concerns_a_record(&error) => {
                    batch.deletes.extend(self.context.removal(&place).await?);
                    false
                }
                Err(error) => return Err(error),
            };
            // Read before: somebody may purge it right after.
            let certificate = self.entries.view_of_what_is_left(entry, kept).await?;
            let committed = self.context.try_commit(batch).await?;
            self.log.count(logged.filter(|_| committed.is_some()));
            Ok(committed.map(|_| DeletedView { certificate, deleted: at, purge }))
        })
    }

    /// A deleted certificate.
    pub async fn deleted_certificate(&self, wanted: Permit<CertificateRef>) -> Result<DeletedView> {
        let (vault, name) = &*wanted;
        let found = self.context.load(&key::certificate(vault, name)).await?;
        let Some((_, entry)) = found else { return Err(not_deleted(name)) };
        let EntryState::Deleted { at: deleted, purge, .. } = entry.state else { return Err(not_deleted(name)) };
        let kept = self.context.has(&key::suspended(vault, name)).await?;
        match self.entries.view(entry, kept).await {
            Ok(certificate) => Ok(DeletedView { certificate, deleted, purge }),
            // Purged between the two reads.
            Err(error) if error.reason == Reason::CertificateNotFound => Err(not_deleted(name)),
            Err(error) => Err(error),
        }
    }

    /// Brings a deleted certificate back with all its versions.
    pub async fn recover_certificate(&self, wanted: Permit<CertificateRef>) -> Result<CertificateView> {
        let (vault, name) = &*wanted;
        retry!({
            let found = self.context.load(&key::certificate(vault, name)).await?;
            let (record, mut entry) = found.ok_or_else(|| not_found(name))?;
            match entry.state {
                EntryState::Live => return Err(not_found(name)),
                EntryState::Purging => return Err(self.entries.leaving_refusal(vault, name).await?),
                EntryState::Deleted { .. } => {}
            }
            entry.state = EntryState::Live;
            let mut batch = Batch::default();
            self.context.records.put_entry(&mut batch, Some(&record), &entry)?;
            batch.deletes.extend(self.context.removal(&key::deleted(vault, name)).await?);
            let kept = self.context.load(&key::suspended(vault, name)).await?;
            let has_pending = kept.is_some();
            if let Some((record, pending)) = kept {
                wake(
                    &mut batch,
                    &self.context.records,
                    record,
                    pending,
                    self.context.now(),
                    self.context.limits().issuing_deadline,
                )?;
            }
            let view = self.entries.view_of_what_is_left(entry, has_pending).await?;
            Ok(self.context.try_commit(batch).await?.map(|_| view))
        })
    }
}

/// Takes the pending operation out of sight; answers whether it will come back with the certificate.
fn put_to_sleep(
    batch: &mut Batch,
    codec: &Codec,
    record: Record,
    mut pending: PendingRecord,
    now: Timestamp,
    lease: Duration,
    cancelling_until: Timestamp,
) -> Result<bool> {
    let operation = pending.operation.clone();
    let gone = Transition::gone(TransitionKind::Deleted, operation.clone(), now);
    batch.events.push(records::encode_event(&gone)?);
    let due = pending.expedite(&record, now, lease);
    batch.deletes.push(Delete { key: record.key, expected: record.revision });
    let Operation { vault, certificate, request_id, .. } = &operation;
    // What signs itself has no order anywhere: it goes on when the certificate comes back.
    if operation.in_progress() && !operation.issuer.is_manual() && !operation.issuer.is_self() {
        let pending = PendingRecord { deadline: cancelling_until, ..pending };
        batch.puts.push(codec.put(&key::abandoned_order(vault, *request_id), None, &pending, Some(due))?);
        return Ok(false);
    }
    // With the revision of the deletion, so that what comes back counts on from there.
    let pending = PendingRecord { operation: gone.operation, planned: None, ..pending };
    batch.puts.push(codec.put(&key::suspended(vault, certificate), None, &pending, None)?);
    Ok(true)
}

/// The pending operation comes back, as a change after its deletion.
fn wake(
    batch: &mut Batch,
    codec: &Codec,
    record: Record,
    pending: PendingRecord,
    now: Timestamp,
    issuing_deadline: Duration,
) -> Result<()> {
    let before = pending.operation;
    let operation = Operation { revision: before.revision + 1, updated: now, ..before };
    batch.events.push(records::encode_event(&Transition {
        kind: TransitionKind::Created,
        operation: operation.clone(),
        previous: None,
        at: now,
    })?);
    batch.deletes.push(Delete { key: record.key, expected: record.revision });
    // A cancellation that the worker had not yet confirmed, or a signature of its own that was not made yet.
    let issuing = matches!(operation.state, State::Issuing { .. });
    let open = issuing || matches!(operation.state, State::AwaitingMerge) && operation.cancellation_requested;
    let place = key::pending(&operation.vault, &operation.certificate);
    // The time asleep does not count.
    let deadline = if issuing { now.plus(issuing_deadline) } else { pending.deadline };
    let pending = PendingRecord { operation, planned: open.then_some(now), deadline, ..pending };
    batch.puts.push(codec.put(&place, None, &pending, pending.planned)?);
    Ok(())
}

pub(in crate::service) fn not_deleted(name: &CertificateName) -> Error {
    Error::new(Reason::CertificateNotFound, format!("Deleted Certificate not found: {name}"))
        .with(Detail::Resource { kind: "certificate", name: name.to_string() })
}
