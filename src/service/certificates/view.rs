//! Reading certificates.

use super::Certificates;
use super::entries::{of_version, version_not_found};
use crate::domain::{Certificate, CertificateEntry, CertificateName, Recovery, Result, Timestamp, VaultName, Version};
use crate::keys::chain;
use crate::service::access::{CertificateRef, Permit};
use crate::service::records::key;

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
    /// Policy and dates of the whole; `None` where a version was asked for by name.
    pub entry: Option<CertificateEntry>,
    pub has_pending: bool,
    /// Of the placeholder: from when to when the certificate will about be valid.
    pub projected: (Timestamp, Timestamp),
    /// How far a deletion can be undone.
    pub recovery: Recovery,
}

impl CertificateView {
    pub(in crate::service) fn issued(certificate: Certificate, entry: CertificateEntry, has_pending: bool) -> Self {
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
    pub(in crate::service) fn with(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    pub(in crate::service) fn placeholder(entry: CertificateEntry, has_pending: bool) -> Self {
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

impl Certificates {
    /// The newest version, or the placeholder where none was completed.
    pub async fn certificate(&self, wanted: Permit<CertificateRef>) -> Result<CertificateView> {
        let (vault, name) = &*wanted;
        let (_, entry) = self.entries.live(vault, name).await?;
        let has_pending = self.context.has(&key::pending(vault, name)).await?;
        self.entries.view(entry, has_pending).await
    }

    /// One version. The version of an operation that has not completed is the placeholder.
    pub async fn certificate_version(
        &self,
        wanted: Permit<CertificateRef>,
        version: Version,
    ) -> Result<CertificateView> {
        let (vault, name) = &*wanted;
        let (_, entry) = self.entries.live(vault, name).await.map_err(|error| of_version(error, name, version))?;
        if let Some((_, certificate)) = self.context.load(&key::version(vault, name, version)).await? {
            return Ok(CertificateView { entry: None, ..CertificateView::issued(certificate, entry, false) }
                .with(self.context.recovery(vault)));
        }
        if entry.latest == Some(version) {
            let lost = self.context.lost_newest(&entry, version).await?;
            return Err(lost.unwrap_or_else(|| version_not_found(name, version)));
        }
        let pending = self.context.load(&key::pending(vault, name).shown()).await?;
        let pending_version = pending.map(|(_, pending)| pending.operation.version);
        if entry.first_version == version && entry.latest.is_none() || pending_version == Some(version) {
            let placeholder = CertificateView::placeholder(entry, pending_version.is_some());
            return Ok(CertificateView { version, ..placeholder }.with(self.context.recovery(vault)));
        }
        Err(version_not_found(name, version))
    }
}
