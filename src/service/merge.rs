//! Completing an operation with a certificate that was issued elsewhere.

use super::certificates::CertificateView;
use super::pending::{PendingRef, updated};
use super::records::{PendingRecord, key};
use super::{CONFLICT_ATTEMPTS, Service, contended};
use crate::domain::pending::{self, Event};
use crate::domain::{
    Blob, Certificate, CertificateEntry, EntryState, Error, Operation, Reason, Result, Tags, Timestamp, VersionSummary,
    certificate,
};
use crate::keys::Caller;
use crate::keys::chain::{self, OrderedChain};
use crate::store::{Batch, Record};

/// What a caller brings.
#[derive(Clone, Debug)]
pub struct MergeRequest {
    pub caller: Caller,
    pub wanted: PendingRef,
    /// The chain, leaf first: X.509 DER, or what people send in its place (`keys::chain`).
    pub x5c: Vec<Vec<u8>>,
    /// If missing, the value of the creation.
    pub enabled: Option<bool>,
    pub tags: Option<Tags>,
}

impl Service {
    /// Stores the version and completes the operation in one commit.
    ///
    /// Refused with [`crate::domain::Reason::MergeForbidden`] while an issuer is at work, with
    /// [`crate::domain::Reason::MergeKeyMismatch`] if no certificate holds the key of the
    /// request, with [`crate::domain::Reason::BadParameter`] if the chain is not one.
    pub async fn merge(&self, request: MergeRequest) -> Result<CertificateView> {
        if let Some(tags) = &request.tags {
            certificate::check_tags(tags)?;
        }
        let mut parsed = None;
        for _ in 0..CONFLICT_ATTEMPTS {
            let (record, pending) = self.load_pending(&request.wanted).await.map_err(|error| match error.reason {
                Reason::PendingNotFound => pending::not_found_to_merge(&request.wanted.name),
                _ => error,
            })?;
            let before = pending.operation.clone();
            let operation = before.clone().apply(Event::Merged, self.now())?;
            if parsed.is_none() {
                parsed = Some(self.keys.certificates(&request.caller, request.x5c.clone()).await?);
            }
            let now = self.now();
            let operation = Operation { updated: now, ..operation };
            let chain = chain::merge_order(
                parsed.as_deref().unwrap_or_default(),
                &operation.csr.0,
                operation.preserve_cert_order.unwrap_or(false),
                now,
            )?;
            let pending = PendingRecord {
                operation,
                enabled: request.enabled.unwrap_or(pending.enabled),
                tags: request.tags.clone().or(pending.tags),
                ..pending
            };
            let Some(completion) = self.completion(&record, pending, chain, now).await? else { continue };
            let mut batch = completion.batch;
            batch.events.push(updated(&completion.pending.operation, &before)?);
            if self.try_commit(batch).await?.is_some() {
                let recovery = self.recovery(&request.wanted.vault);
                return Ok(CertificateView::issued(completion.certificate, completion.entry, true).with(recovery));
            }
        }
        Err(contended())
    }

    /// The writes that make a version out of a completed operation; `None` if the certificate
    /// was deleted meanwhile.
    pub(super) async fn completion(
        &self,
        record: &Record,
        pending: PendingRecord,
        chain: OrderedChain,
        now: Timestamp,
    ) -> Result<Option<Completion>> {
        let operation = &pending.operation;
        let entry_key = key::certificate(&operation.vault, &operation.certificate);
        let found = self.load(&entry_key).await?;
        let Some((entry_record, entry)) = found.filter(|(_, entry)| entry.state == EntryState::Live) else {
            if self.store.get(&record.key).await?.is_none_or(|now| now.revision != record.revision) {
                return Ok(None);
            }
            tracing::error!(certificate = %operation.certificate, "a pending operation has no certificate entry");
            return Err(Error::internal());
        };
        let certificate = Certificate {
            vault: operation.vault.clone(),
            name: entry.name.clone(),
            version: operation.version,
            cer: Blob(chain.leaf),
            chain: chain.rest.into_iter().map(Blob).collect(),
            sealed_key: pending.sealed_key.clone(),
            content_type: pending.policy.content_type,
            exportable: pending.policy.key.exportable,
            key_usage: Some(pending.policy.x509.key_usage.clone()),
            enabled: pending.enabled,
            not_before: chain.not_before,
            expires: chain.expires,
            created: now,
            updated: now,
            tags: pending.tags.clone(),
            preserve_cert_order: operation.preserve_cert_order,
        };
        let summary = VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0));
        let entry = CertificateEntry {
            latest: Some(operation.version),
            summary: Some(summary),
            updated: now,
            versions: entry.versions.map(|versions| versions + 1),
            ..entry
        };
        let version_key = key::version(&operation.vault, &operation.certificate, operation.version);
        let mut batch = Batch::default();
        batch.puts.push(self.records.put(&version_key, None, &certificate, None)?);
        self.records.put_entry(&mut batch, Some(&entry_record), &entry)?;
        batch.puts.push(self.records.replace(record, &pending, None)?);
        Ok(Some(Completion { batch, pending, certificate, entry }))
    }
}

/// A version about to be committed.
pub(super) struct Completion {
    pub(super) batch: Batch,
    pub(super) pending: PendingRecord,
    pub(super) certificate: Certificate,
    pub(super) entry: CertificateEntry,
}
