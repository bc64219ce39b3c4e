//! Changing a certificate and its policy. Members that the caller does not name stay as they are.

use super::certificates::{CertificateView, of_version, version_not_found};
use super::records::{PendingRecord, key};
use super::{CONFLICT_ATTEMPTS, Service, contended};
use crate::domain::{
    CertificateEntry, CertificateName, Error, Policy, PolicyInput, Result, Tags, VaultName, Version, VersionSummary,
    certificate,
};
use crate::keys::chain;
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

impl Service {
    /// Changes a version: tags and whether it may be used; and the policy. Of a certificate that was never completed
    /// it changes what the version will get.
    ///
    /// [`crate::domain::Reason::CertificateNotFound`] if there is no such version. The policy is that of the
    /// certificate, through whichever version it is changed: a client that knows an older one must not be cut off by a
    /// renewal.
    pub async fn update_certificate(&self, request: &UpdateRequest) -> Result<CertificateView> {
        if let Some(tags) = &request.tags {
            certificate::check_tags(tags)?;
        }
        let UpdateRequest { vault, name, version, policy, .. } = request;
        for _ in 0..CONFLICT_ATTEMPTS {
            let found = self.live(vault, name).await;
            let (record, mut entry) = found.map_err(|error| match version {
                Some(version) => of_version(error, name, *version),
                None => error,
            })?;
            let now = self.now();
            if let Some(input) = policy {
                entry.policy = input.clone().change(&entry.policy, now)?;
            }
            let view = match (*version).or(entry.latest) {
                Some(wanted) if entry.latest.is_some() => self.update_version(request, &record, entry, wanted).await?,
                Some(wanted) if wanted != entry.first_version => return Err(version_not_found(name, wanted)),
                _ => self.update_placeholder(request, &record, entry).await?,
            };
            if let Some(view) = view {
                let short = version.is_some() && view.issued.is_some();
                let view = if short { CertificateView { entry: None, ..view } } else { view };
                return Ok(view.with(self.recovery(vault)));
            }
        }
        Err(contended())
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
        let found = self.load(&place).await?;
        let (version_record, mut certificate) = found.ok_or_else(|| version_not_found(name, version))?;
        let now = self.now();
        let mut batch = Batch::default();
        if enabled.is_some() || tags.is_some() {
            certificate.enabled = enabled.unwrap_or(certificate.enabled);
            certificate.tags = tags.clone().or(certificate.tags);
            certificate.updated = now;
            batch.puts.push(self.records.replace(&version_record, &certificate, None)?);
            if entry.latest == Some(version) {
                entry.summary = Some(VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0)));
            }
        }
        if policy.is_some() || !batch.puts.is_empty() {
            entry.updated = now;
            self.records.put_entry(&mut batch, Some(record), &entry)?;
        }
        if !batch.puts.is_empty() && self.try_commit(batch).await?.is_none() {
            return Ok(None);
        }
        let has_pending = self.has(&key::pending(vault, name)).await?;
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
        let pending = self.load(&key::pending(vault, name)).await?;
        let now = self.now();
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
                batch.puts.push(self.records.replace(&place, &pending, place.due)?);
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
            self.records.put_entry(&mut batch, Some(record), &entry)?;
            if self.try_commit(batch).await?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(CertificateView::placeholder(entry, has_pending)))
    }

    /// The policy of a certificate, with the name as it is kept.
    pub async fn policy(&self, vault: &VaultName, name: &CertificateName) -> Result<(CertificateName, Policy)> {
        let (_, entry) = self.live(vault, name).await?;
        Ok((entry.name, entry.policy))
    }

    /// Changes the members that the input names, for versions to come. The issuer need not be there yet: the next
    /// creation looks for it.
    pub async fn update_policy(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        input: &PolicyInput,
    ) -> Result<(CertificateName, Policy)> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let (record, mut entry) = self.live(vault, name).await?;
            if *input == PolicyInput::default() {
                return Ok((entry.name, entry.policy));
            }
            entry.policy = input.clone().change(&entry.policy, self.now())?;
            let mut batch = Batch::default();
            self.records.put_entry(&mut batch, Some(&record), &entry)?;
            if self.try_commit(batch).await?.is_some() {
                return Ok((entry.name, entry.policy));
            }
        }
        Err(contended())
    }
}
