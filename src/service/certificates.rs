//! Reading certificates.

use super::Service;
use super::records::{concerns_a_record, key};
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Recovery, Result, Timestamp,
    VaultName, Version,
};
use crate::keys::chain;
use crate::store::Record;

/// A certificate as callers see it: an issued version, or the disabled placeholder of a creation
/// that has not brought one.
#[derive(Clone, Debug)]
pub struct CertificateView {
    pub vault: VaultName,
    pub name: CertificateName,
    pub version: Version,
    /// `None`: the placeholder.
    pub issued: Option<Certificate>,
    /// SHA-1 of the certificate; all zero for the placeholder.
    pub thumbprint: [u8; 20],
    /// Policy and dates of the whole; `None` if a version was asked for by name.
    pub entry: Option<CertificateEntry>,
    pub has_pending: bool,
    /// Of the placeholder: from when to when the certificate will about be valid.
    pub projected: (Timestamp, Timestamp),
    /// How far a deletion can be undone.
    pub recovery: Recovery,
}

impl CertificateView {
    pub(super) fn issued(certificate: Certificate, entry: CertificateEntry, has_pending: bool) -> Self {
        Self {
            vault: certificate.vault.clone(),
            name: entry.name.clone(),
            version: certificate.version,
            projected: (certificate.not_before, certificate.expires),
            thumbprint: chain::thumbprint(&certificate.cer.0),
            issued: Some(certificate),
            entry: Some(entry),
            has_pending,
            recovery: Recovery::default(),
        }
    }

    /// With what the vault says of deletions.
    pub(super) fn with(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    pub(super) fn placeholder(entry: CertificateEntry, has_pending: bool) -> Self {
        Self {
            vault: entry.vault.clone(),
            name: entry.name.clone(),
            version: entry.first_version,
            issued: None,
            thumbprint: [0; 20],
            projected: entry.projected(),
            entry: Some(entry),
            has_pending,
            recovery: Recovery::default(),
        }
    }
}

impl Service {
    /// The newest version, or the placeholder where none was completed.
    pub async fn certificate(&self, vault: &VaultName, name: &CertificateName) -> Result<CertificateView> {
        let (_, entry) = self.live(vault, name).await?;
        let has_pending = self.has(&key::pending(vault, name)).await?;
        self.view(entry, has_pending).await
    }

    /// One version. The version of an operation that has not completed is the placeholder.
    pub async fn certificate_version(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        version: Version,
    ) -> Result<CertificateView> {
        let (_, entry) = self.live(vault, name).await.map_err(|error| of_version(error, name, version))?;
        if let Some((_, certificate)) = self.load(&key::version(vault, name, version)).await? {
            return Ok(CertificateView { entry: None, ..CertificateView::issued(certificate, entry, false) }
                .with(self.recovery(vault)));
        }
        let pending = self.load(&key::pending(vault, name).shown()).await?;
        let pending_version = pending.map(|(_, pending)| pending.operation.version);
        if entry.first_version == version && entry.latest.is_none() || pending_version == Some(version) {
            let placeholder = CertificateView::placeholder(entry, pending_version.is_some());
            return Ok(CertificateView { version, ..placeholder }.with(self.recovery(vault)));
        }
        Err(version_not_found(name, version))
    }

    /// What stands under the name, unless it was deleted.
    pub(super) async fn live(&self, vault: &VaultName, name: &CertificateName) -> Result<(Record, CertificateEntry)> {
        let found = self.load(&key::certificate(vault, name)).await?;
        found.filter(|(_, entry)| entry.state == EntryState::Live).ok_or_else(|| not_found(name))
    }

    /// The entry with its newest version, or as the placeholder.
    pub(super) async fn view(&self, entry: CertificateEntry, has_pending: bool) -> Result<CertificateView> {
        let recovery = self.recovery(&entry.vault);
        let Some(latest) = entry.latest else {
            return Ok(CertificateView::placeholder(entry, has_pending).with(recovery));
        };
        let certificate = self.newest(&entry, latest).await?;
        Ok(CertificateView::issued(certificate, entry, has_pending).with(recovery))
    }

    /// As [`Service::view`], for what has to work where the newest version is damaged or missing: it is then shown as
    /// a placeholder.
    pub(super) async fn view_of_what_is_left(
        &self,
        entry: CertificateEntry,
        has_pending: bool,
    ) -> Result<CertificateView> {
        let (version, placeholder) = (entry.latest, CertificateView::placeholder(entry.clone(), has_pending));
        match self.view(entry, has_pending).await {
            Err(error) if concerns_a_record(&error) => {
                let recovery = self.recovery(&placeholder.vault);
                let version = version.unwrap_or(placeholder.version);
                Ok(CertificateView { version, ..placeholder }.with(recovery))
            }
            view => view,
        }
    }

    /// The newest version of an entry. It was purged where it is gone by now: records are read one
    /// after the other.
    pub(super) async fn newest(&self, entry: &CertificateEntry, latest: Version) -> Result<Certificate> {
        let (vault, name) = (&entry.vault, &entry.name);
        let place = key::version(vault, name, latest);
        if let Some((_, certificate)) = self.load(&place).await? {
            return Ok(certificate);
        }
        let now = self.load(&key::certificate(vault, name)).await?;
        if now.is_some_and(|(_, now)| now.latest == entry.latest && now.state != EntryState::Purging) {
            return Err(self.records.missing(place.as_str()));
        }
        Err(not_found(name))
    }
}

pub(super) fn not_found(name: &CertificateName) -> Error {
    no_certificate(name, name.as_str())
}

/// The refusal of a version that is not there, in the words of Key Vault.
pub(super) fn version_not_found(name: &CertificateName, version: Version) -> Error {
    no_certificate(name, &format!("{name}/versions/{version}"))
}

/// A refusal of the whole certificate, where one version of it was asked for.
pub(super) fn of_version(error: Error, name: &CertificateName, version: Version) -> Error {
    if error.reason == Reason::CertificateNotFound { version_not_found(name, version) } else { error }
}

fn no_certificate(name: &CertificateName, id: &str) -> Error {
    Error::new(
        Reason::CertificateNotFound,
        format!("A certificate with (name/id) {id} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"),
    )
    .with(Detail::Resource { kind: "certificate", name: name.to_string() })
}
