//! Reading certificates.

use super::Service;
use super::records::{ShownPending, key};
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, Detail, Error, Reason, Result, Timestamp, VaultName, Version,
};
use crate::keys::chain;
use std::time::Duration;

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
        }
    }

    fn placeholder(entry: CertificateEntry, has_pending: bool) -> Self {
        let created = entry.created;
        Self {
            vault: entry.vault.clone(),
            name: entry.name.clone(),
            version: entry.first_version,
            issued: None,
            thumbprint: [0; 20],
            // What Key Vault shows: ten minutes back, and the validity that was asked for.
            projected: (
                created.minus(Duration::from_secs(600)),
                created.plus_months(entry.policy.x509.validity_months),
            ),
            entry: Some(entry),
            has_pending,
        }
    }
}

impl Service {
    /// The newest version, or the placeholder where none was completed.
    pub async fn certificate(&self, vault: &VaultName, name: &CertificateName) -> Result<CertificateView> {
        let entry = self.load::<CertificateEntry>(&key::certificate(vault, name)).await?;
        let (_, entry) = entry.ok_or_else(|| not_found(name))?;
        let has_pending = self.store.get(&key::pending(vault, name)).await?.is_some();
        let Some(latest) = entry.latest else { return Ok(CertificateView::placeholder(entry, has_pending)) };
        match self.load::<Certificate>(&key::version(vault, name, latest)).await? {
            Some((_, certificate)) => Ok(CertificateView::issued(certificate, entry, has_pending)),
            None => {
                tracing::error!(%vault, certificate = %name, version = %latest, "the newest version of a certificate is missing");
                Err(Error::internal())
            }
        }
    }

    /// One version. The version of an operation that has not completed is the placeholder.
    pub async fn certificate_version(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        version: Version,
    ) -> Result<CertificateView> {
        if let Some((_, certificate)) = self.load::<Certificate>(&key::version(vault, name, version)).await? {
            return Ok(CertificateView {
                vault: certificate.vault.clone(),
                name: certificate.name.clone(),
                version,
                projected: (certificate.not_before, certificate.expires),
                thumbprint: chain::thumbprint(&certificate.cer.0),
                issued: Some(certificate),
                entry: None,
                has_pending: false,
            });
        }
        let entry = self.load::<CertificateEntry>(&key::certificate(vault, name)).await?;
        let (_, entry) = entry.ok_or_else(|| not_found(name))?;
        let pending = self.load::<ShownPending>(&key::pending(vault, name)).await?;
        let pending_version = pending.map(|(_, pending)| pending.operation.version);
        if entry.first_version == version && entry.latest.is_none() || pending_version == Some(version) {
            return Ok(CertificateView { version, ..CertificateView::placeholder(entry, pending_version.is_some()) });
        }
        Err(not_found(name))
    }
}

fn not_found(name: &CertificateName) -> Error {
    Error::new(
        Reason::CertificateNotFound,
        format!("A certificate with (name/id) {name} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"),
    )
    .with(Detail::Resource { kind: "certificate", name: name.to_string() })
}
