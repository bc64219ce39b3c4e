//! Changing a certificate and its policy. Members that the caller does not name stay as they are.

use super::Certificates;
use super::entries::{of_version, version_not_found};
use super::view::CertificateView;
use crate::domain::access::Requested;
use crate::domain::{
    CertificateEntry, CertificateName, Error, Policy, PolicyInput, Result, Tags, VaultName, Version, VersionSummary,
    certificate,
};
use crate::keys::chain;
use crate::service::access::{CertificateRef, Permit, Target};
use crate::service::records::{PendingRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Record};

/// What to change.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    pub vault: VaultName,
    pub name: CertificateName,
    /// `None`: the newest.
    pub version: Option<Version>,
    /// Members that are named replace those of the policy.
    pub policy: Option<PolicyInput>,
    pub enabled: Option<bool>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
}

impl Target for UpdateRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

impl Certificates {
    /// Changes a version: tags and whether it may be used; and the policy. Of a certificate that was never completed
    /// it changes what the version will get.
    ///
    /// [`crate::domain::Reason::CertificateNotFound`] if there is no such version. The policy is that of the
    /// certificate, through whichever version it is changed: a client that knows an older one must not be cut off by a
    /// renewal.
    pub async fn update_certificate(&self, request: Permit<UpdateRequest>) -> Result<CertificateView> {
        if let Some(tags) = &request.tags {
            certificate::check_tags(tags)?;
        }
        let UpdateRequest { vault, name, version, policy, .. } = &*request;
        retry!({
            let found = self.entries.live(vault, name).await;
            let (record, mut entry) = found.map_err(|error| match version {
                Some(version) => of_version(error, name, *version),
                None => error,
            })?;
            let now = self.context.now();
            if let Some(input) = policy {
                entry.policy = input.clone().change(&entry.policy, now)?;
                request.terms().check(vault, name, &Requested::of(&entry.policy))?;
            }
            let view = match (*version).or(entry.latest) {
                Some(wanted) if entry.latest.is_some() => self.update_version(&request, &record, entry, wanted).await?,
                Some(wanted) if wanted != entry.first_version => return Err(version_not_found(name, wanted)),
                _ => self.update_placeholder(&request, &record, entry).await?,
            };
            Ok(view.map(|view| {
                let short = version.is_some() && view.issued.is_some();
                let view = if short { CertificateView { entry: None, ..view } } else { view };
                view.with(self.context.recovery(vault))
            }))
        })
    }

    async fn update_version(
        &self,
        request: &UpdateRequest,
        record: &Record,
        mut entry: CertificateEntry,
        version: Version,
    ) -> Result<Option<CertificateView>> {
        let UpdateRequest { vault, name, version: _, policy, enabled, tags } = request;
        let place = key::version(vault, name, version);
        let found = self.context.load(&place).await?;
        let (version_record, mut certificate) = found.ok_or_else(|| version_not_found(name, version))?;
        let now = self.context.now();
        let mut batch = Batch::default();
        if enabled.is_some() || tags.is_some() {
            certificate.enabled = enabled.unwrap_or(certificate.enabled);
            certificate.tags = tags.clone().or(certificate.tags);
            certificate.updated = now;
            batch.puts.push(self.context.records.replace(&version_record, &certificate, None)?);
            if entry.latest == Some(version) {
                entry.summary = Some(VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0)));
            }
        }
        if policy.is_some() || !batch.puts.is_empty() {
            entry.updated = now;
            self.context.records.put_entry(&mut batch, Some(record), &entry)?;
        }
        if !batch.puts.is_empty() && self.context.try_commit(batch).await?.is_none() {
            return Ok(None);
        }
        let has_pending = self.context.has(&key::pending(vault, name)).await?;
        Ok(Some(CertificateView::issued(certificate, entry, has_pending)))
    }

    /// There is no version yet: the pending operation keeps what the version will get.
    async fn update_placeholder(
        &self,
        request: &UpdateRequest,
        record: &Record,
        mut entry: CertificateEntry,
    ) -> Result<Option<CertificateView>> {
        let UpdateRequest { vault, name, version: _, policy, enabled, tags } = request;
        let pending = self.context.load(&key::pending(vault, name)).await?;
        let now = self.context.now();
        let has_pending = pending.is_some();
        let mut batch = Batch::default();
        match pending {
            Some((place, pending)) if enabled.is_some() || tags.is_some() => {
                let pending = PendingRecord {
                    enabled: enabled.unwrap_or(pending.enabled),
                    tags: tags.clone().or(pending.tags),
                    ..pending
                };
                // A step under way loses its claim by this write, and makes the record due when it ends.
                batch.puts.push(self.context.records.replace(&place, &pending, place.due)?);
            }
            None if enabled.is_some() => {
                return Err(Error::field(
                    "attributes.enabled",
                    format!("The certificate {name} has no version and no pending operation: create one first."),
                ));
            }
            _ => {}
        }
        if tags.is_some() || policy.is_some() || !batch.puts.is_empty() {
            entry.tags = tags.clone().or(entry.tags);
            entry.updated = now;
            self.context.records.put_entry(&mut batch, Some(record), &entry)?;
            if self.context.try_commit(batch).await?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(CertificateView::placeholder(entry, has_pending)))
    }

    /// The policy of a certificate, with the name as it is kept.
    pub async fn policy(&self, wanted: Permit<CertificateRef>) -> Result<(CertificateName, Policy)> {
        let (vault, name) = &*wanted;
        let (_, entry) = self.entries.live(vault, name).await?;
        Ok((entry.name, entry.policy))
    }

    /// Changes the members that the input names, for versions to come. The issuer need not be there yet: the next
    /// creation looks for it.
    pub async fn update_policy(
        &self,
        wanted: Permit<CertificateRef>,
        input: &PolicyInput,
    ) -> Result<(CertificateName, Policy)> {
        let (vault, name) = &*wanted;
        retry!({
            let (record, mut entry) = self.entries.live(vault, name).await?;
            if *input == PolicyInput::default() {
                return Ok(Some((entry.name, entry.policy)));
            }
            entry.policy = input.clone().change(&entry.policy, self.context.now())?;
            wanted.terms().check(vault, name, &Requested::of(&entry.policy))?;
            let mut batch = Batch::default();
            self.context.records.put_entry(&mut batch, Some(&record), &entry)?;
            Ok(self.context.try_commit(batch).await?.map(|_| (entry.name, entry.policy)))
        })
    }
}
