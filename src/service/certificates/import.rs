//! Importing a certificate that was made elsewhere, with its key.

use super::Certificates;
use super::compromised::disable_if_reported;
use super::view::CertificateView;
use crate::domain::access::Requested;
use crate::domain::pending::{Transition, TransitionKind};
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, EntryState, Policy, PolicyInput, Result, Tags, VaultName,
    Version, VersionSummary, certificate,
};
use crate::keys::chain;
use crate::keys::{ImportValue, ImportedKey, SealContext};
use crate::service::access::{Permit, Target};
use crate::service::records::{self, PendingRecord, key};
use crate::service::retry::{contended, retry};
use crate::store::{Batch, Delete, Record};
use zeroize::Zeroizing;

/// What a caller brings.
pub struct ImportRequest {
    pub vault: VaultName,
    pub name: CertificateName,
    /// PKCS #12 or PEM, or the base64 of either (`keys::import`).
    pub value: Zeroizing<Vec<u8>>,
    /// Of the file, or of the key in it; empty if there is none.
    pub password: Zeroizing<String>,
    /// What it does not say is taken from the certificate.
    pub policy: Option<PolicyInput>,
    pub enabled: Option<bool>,
    pub tags: Option<Tags>,
    pub preserve_cert_order: Option<bool>,
}

impl Target for ImportRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

/// A file is expensive to open: it is read once, however often the commit has to be tried.
struct Prepared {
    imported: ImportedKey,
    version: Version,
}

impl Certificates {
    /// Stores a new version with the key that came along.
    ///
    /// Refused with [`Reason::PendingInProgress`](crate::domain::Reason::PendingInProgress) while a
    /// creation is in progress, and with
    /// [`Reason::BadParameter`](crate::domain::Reason::BadParameter) or
    /// [`Reason::MergeKeyMismatch`](crate::domain::Reason::MergeKeyMismatch) for what cannot be
    /// read (`keys::import`). An operation that has ended is overwritten, as by a creation; the
    /// name of a deleted certificate is taken.
    pub async fn import(&self, request: Permit<ImportRequest>) -> Result<CertificateView> {
        let terms = request.terms().clone();
        let (request, caller) = request.into_parts();
        let ImportRequest { vault, name, value, password, policy, enabled, tags, preserve_cert_order } = request;
        if let Some(tags) = &tags {
            certificate::check_tags(tags)?;
        }
        let mut value = Some(ImportValue { bytes: value, password });
        let mut prepared: Option<Prepared> = None;
        retry!({
            let entry = self.context.load(&key::certificate(&vault, &name)).await?;
            let pending = self.context.load(&key::pending(&vault, &name)).await?;
            if let Some((_, entry)) = &entry {
                self.entries.refuse_taken(entry).await?;
            }
            if let Some((_, pending)) = &pending
                && pending.operation.in_progress()
            {
                return Err(pending.operation.conflict());
            }
            if let Some(value) = value.take() {
                let version = Version::from_uuid(self.context.keys.new_id());
                let context = SealContext::certificate_key(vault.as_str(), name.as_str(), version);
                let preserve = preserve_cert_order.unwrap_or(false);
                let imported = self.context.keys.import(&caller, value, preserve, self.context.now(), context).await?;
                prepared = Some(Prepared { imported, version });
            }
            let Some(Prepared { imported, version }) = &prepared else { return Err(contended()) };
            let now = self.context.now();
            let mut policy = policy.clone().unwrap_or_default().imported(&imported.facts, imported.form, now)?;
            let requested = Requested { issuer: &policy.issuer.name, ..Requested::made(&imported.facts, &policy) };
            terms.check(&vault, &name, &requested)?;
            self.refuse_compromised(&imported.chain.leaf, enabled.unwrap_or(true)).await?;
            if let Some((_, entry)) = &entry {
                policy.created = entry.policy.created;
            }
            let certificate = Certificate {
                vault: vault.clone(),
                name: entry.as_ref().map_or_else(|| name.clone(), |(_, entry)| entry.name.clone()),
                version: *version,
                cer: Blob(imported.chain.leaf.clone()),
                chain: imported.chain.rest.iter().cloned().map(Blob).collect(),
                sealed_key: Some(imported.sealed_key.clone()),
                content_type: policy.content_type,
                exportable: policy.key.exportable,
                key_usage: Some(policy.x509.key_usage.clone()),
                enabled: enabled.unwrap_or(true),
                not_before: imported.chain.not_before,
                expires: imported.chain.expires,
                created: now,
                updated: now,
                tags: tags.clone(),
                preserve_cert_order,
            };
            self.commit_import(certificate, policy, entry, pending).await
        })
    }

    async fn commit_import(
        &self,
        mut certificate: Certificate,
        policy: Policy,
        before: Option<(Record, CertificateEntry)>,
        pending: Option<(Record, PendingRecord)>,
    ) -> Result<Option<CertificateView>> {
        let now = certificate.created;
        let (vault, name, version) = (&certificate.vault, &certificate.name, certificate.version);
        let mut batch = Batch::default();
        batch.puts.push(self.context.records.put(&key::version(vault, name, version), None, &certificate, None)?);
        let summary = Some(VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0)));
        let (there, before) = before.unzip();
        let mut entry = match before {
            Some(entry) => CertificateEntry {
                policy,
                tags: certificate.tags.clone().or(entry.tags),
                preserve_cert_order: certificate.preserve_cert_order.or(entry.preserve_cert_order),
                latest: Some(version),
                summary,
                updated: now,
                versions: entry.versions.map(|versions| versions + 1),
                ..entry
            },
            None => CertificateEntry {
                vault: vault.clone(),
                name: name.clone(),
                policy,
                tags: certificate.tags.clone(),
                latest: Some(version),
                first_version: version,
                preserve_cert_order: certificate.preserve_cert_order,
                created: now,
                updated: now,
                summary,
                state: EntryState::Live,
                versions: Some(1),
                renewal: None,
            },
        };
        self.context.records.put_entry(&mut batch, there.as_ref(), &entry)?;
        if let Some((record, old)) = pending {
            let overwritten = Transition::gone(TransitionKind::Overwritten, old.operation, now);
            batch.events.push(records::encode_event(&overwritten)?);
            batch.deletes.push(Delete { key: record.key, expected: record.revision });
        }
        let committed = self.context.try_commit(batch).await?;
        if committed.is_some() {
            disable_if_reported(&self.context, &self.deletions.log, &mut certificate, &mut entry).await?;
        }
        let recovery = self.context.recovery(&certificate.vault);
        Ok(committed.map(|_| CertificateView::issued(certificate, entry, false).with(recovery)))
    }
}
