//! Completing an operation with a certificate that was issued elsewhere.

use super::PendingOperations;
use super::{PendingRef, updated};
use crate::domain::access::Requested;
use crate::domain::pending::{self, Event};
use crate::domain::renewal::plan::first_ask;
use crate::domain::{
    Blob, Certificate, CertificateEntry, EntryState, Error, Operation, Reason, Renewal, Result, Tags, Timestamp,
    VaultName, VersionSummary, certificate,
};
use crate::keys::chain::{self, OrderedChain};
use crate::keys::{self, Work};
use crate::service::access::{Permit, Target};
use crate::service::certificates::{CertificateView, disable_if_reported};
use crate::service::records::{PendingRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Record};
use std::sync::Arc;

/// What a caller brings.
#[derive(Clone, Debug)]
pub struct MergeRequest {
    pub wanted: PendingRef,
    /// The chain, leaf first: X.509 DER, or what people send in its place (`keys::chain`).
    pub x5c: Vec<Vec<u8>>,
    /// If missing, the value of the creation.
    pub enabled: Option<bool>,
    pub tags: Option<Tags>,
}

impl Target for MergeRequest {
    fn vault(&self) -> Option<&VaultName> {
        self.wanted.vault()
    }

    fn name(&self) -> Option<&str> {
        self.wanted.name()
    }
}

impl PendingOperations {
    /// Stores the version and completes the operation in one commit.
    ///
    /// Refused with [`crate::domain::Reason::MergeForbidden`] while an issuer is at work, with
    /// [`crate::domain::Reason::MergeKeyMismatch`] where no certificate holds the key of the
    /// request, with [`crate::domain::Reason::BadParameter`] where the chain is not one.
    pub async fn merge(&self, request: Permit<MergeRequest>) -> Result<CertificateView> {
        if let Some(tags) = &request.tags {
            certificate::check_tags(tags)?;
        }
        let mut parsed = None;
        retry!({
            let (record, pending) = self.load_pending(&request.wanted).await.map_err(|error| match error.reason {
                Reason::PendingNotFound => pending::not_found_to_merge(&request.wanted.name),
                _ => error,
            })?;
            let before = pending.operation.clone();
            let operation = before.clone().apply(Event::Merged, self.context.now())?;
            if self.log.requests_compromised(&before.csr.0).await? {
                return Err(Error::field(
                    "x5c",
                    "The key of the request was reported as compromised: delete the pending operation, and create a certificate with another key.",
                ));
            }
            if parsed.is_none() {
                parsed = Some(Arc::new(self.context.keys.certificates(request.caller(), request.x5c.clone()).await?));
            }
            let now = self.context.now();
            let operation = Operation { updated: now, ..operation };
            let (given, csr) = (parsed.clone().unwrap_or_default(), operation.csr.0.clone());
            let preserve_order = operation.preserve_cert_order.unwrap_or(false);
            // A list may ask for hundreds of verifications.
            let order = move || chain::merge_order(&given, &csr, preserve_order, now);
            let chain = self.context.keys.run(request.caller(), Work::Small, order).await?;
            if request.terms().are_limited() {
                let facts = keys::certificate_facts(&chain.leaf)?;
                let requested = Requested::made(&facts, &pending.policy);
                request.terms().check(&request.wanted.vault, &request.wanted.name, &requested)?;
            }
            let pending = PendingRecord {
                operation,
                enabled: request.enabled.unwrap_or(pending.enabled),
                tags: request.tags.clone().or(pending.tags),
                ..pending
            };
            let Some(mut completion) = self.completion(&record, pending, chain, false, now).await? else {
                return Ok(None);
            };
            let mut batch = completion.batch;
            batch.events.push(updated(&completion.pending.operation, &before)?);
            let committed = self.context.try_commit(batch).await?;
            if committed.is_some() {
                let (made, entry) = (&mut completion.certificate, &mut completion.entry);
                disable_if_reported(&self.context, &self.log, made, entry).await?;
            }
            let recovery = self.context.recovery(&request.wanted.vault);
            let view = CertificateView::issued(completion.certificate, completion.entry, true).with(recovery);
            Ok(committed.map(|_| view))
        })
    }

    /// The writes that make a version out of a completed operation; `None` if the certificate
    /// was deleted meanwhile. `asks`: the CA is asked when it wants the version renewed.
    pub(in crate::service) async fn completion(
        &self,
        record: &Record,
        pending: PendingRecord,
        chain: OrderedChain,
        asks: bool,
        now: Timestamp,
    ) -> Result<Option<Completion>> {
        let operation = &pending.operation;
        let entry_key = key::certificate(&operation.vault, &operation.certificate);
        let found = self.context.load(&entry_key).await?;
        let Some((entry_record, entry)) = found.filter(|(_, entry)| entry.state == EntryState::Live) else {
            if self.context.store.get(&record.key).await?.is_none_or(|now| now.revision != record.revision) {
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
        let mut renewal = Renewal::after(&entry, operation.renews.as_ref(), &summary);
        renewal.ask_at = asks.then(|| first_ask(operation.version, now, certificate.expires));
        let entry = CertificateEntry {
            renewal: (!renewal.is_new()).then_some(renewal),
            latest: Some(operation.version),
            summary: Some(summary),
            updated: now,
            versions: entry.versions.map(|versions| versions + 1),
            ..entry
        };
        let version_key = key::version(&operation.vault, &operation.certificate, operation.version);
        let mut batch = Batch::default();
        batch.puts.push(self.context.records.put(&version_key, None, &certificate, None)?);
        self.context.records.put_entry(&mut batch, Some(&entry_record), &entry)?;
        batch.puts.push(self.context.records.replace(record, &pending, None)?);
        Ok(Some(Completion { batch, pending, certificate, entry }))
    }
}

/// A version about to be committed.
pub(in crate::service) struct Completion {
    pub(in crate::service) batch: Batch,
    pub(in crate::service) pending: PendingRecord,
    pub(in crate::service) certificate: Certificate,
    pub(in crate::service) entry: CertificateEntry,
}
