//! The entries of certificates: what stands under a name, and whether the name is free.

use super::view::CertificateView;
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Result, VaultName, Version,
};
use crate::service::context::Context;
use crate::service::records::{concerns_a_record, key};
use crate::store::Record;
use std::sync::Arc;
use std::time::Duration;

/// Reads entries.
#[derive(Clone)]
pub(in crate::service) struct Entries {
    context: Arc<Context>,
}

impl Entries {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// What stands under the name, unless it was deleted.
    pub(in crate::service) async fn live(
        &self,
        vault: &VaultName,
        name: &CertificateName,
    ) -> Result<(Record, CertificateEntry)> {
        let found = self.context.load(&key::certificate(vault, name)).await?;
        found.filter(|(_, entry)| entry.state == EntryState::Live).ok_or_else(|| not_found(name))
    }

    /// The entry with its newest version, or as the placeholder.
    pub(in crate::service) async fn view(&self, entry: CertificateEntry, has_pending: bool) -> Result<CertificateView> {
        let recovery = self.context.recovery(&entry.vault);
        let Some(latest) = entry.latest else {
            return Ok(CertificateView::placeholder(entry, has_pending).with(recovery));
        };
        let certificate = self.newest(&entry, latest).await?;
        Ok(CertificateView::issued(certificate, entry, has_pending).with(recovery))
    }

    /// As [`Entries::view`], for what has to work where the newest version is damaged or missing: it is then shown as
    /// a placeholder.
    pub(in crate::service) async fn view_of_what_is_left(
        &self,
        entry: CertificateEntry,
        has_pending: bool,
    ) -> Result<CertificateView> {
        let (version, placeholder) = (entry.latest, CertificateView::placeholder(entry.clone(), has_pending));
        match self.view(entry, has_pending).await {
            Err(error) if concerns_a_record(&error) => {
                let recovery = self.context.recovery(&placeholder.vault);
                let version = version.unwrap_or(placeholder.version);
                Ok(CertificateView { version, ..placeholder }.with(recovery))
            }
            view => view,
        }
    }

    /// The newest version of an entry. It was purged where it is gone by now: records are read one
    /// after the other.
    pub(in crate::service) async fn newest(&self, entry: &CertificateEntry, latest: Version) -> Result<Certificate> {
        let (vault, name) = (&entry.vault, &entry.name);
        let place = key::version(vault, name, latest);
        if let Some((_, certificate)) = self.context.load(&place).await? {
            return Ok(certificate);
        }
        Err(self.context.lost_newest(entry, latest).await?.unwrap_or_else(|| not_found(name)))
    }

    /// Refuses a new object where the name belongs to a deleted certificate, or to one that is on its way in or out.
    pub(in crate::service) async fn refuse_taken(&self, entry: &CertificateEntry) -> Result<()> {
        let name = &entry.name;
        let resource = Detail::Resource { kind: "certificate", name: name.to_string() };
        match entry.state {
            EntryState::Live => Ok(()),
            EntryState::Deleted { purge, .. } => Err(Error::new(
                Reason::DeletedButRecoverable,
                format!("Certificate {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the certificate can only be recovered or purged."),
            )
            .with(resource)
            .with(Detail::Precondition {
                kind: "DELETED_BUT_RECOVERABLE",
                subject: name.to_string(),
                description: format!("It will be purged at {} (seconds since 1970).", purge.seconds()),
            })),
            EntryState::Purging => {
                let what = if self.is_restoring(&entry.vault, name).await? { "restored" } else { "deleted" };
                Err(Error::new(
                    Reason::BeingDeleted,
                    format!("Certificate {name} is currently being {what} and cannot be re-created; retry later."),
                )
                .with(resource)
                .retry_after(Duration::from_secs(1)))
            }
        }
    }

    /// The refusal to purge or recover what is on its way in or out.
    pub(in crate::service) async fn leaving_refusal(&self, vault: &VaultName, name: &CertificateName) -> Result<Error> {
        let what = if self.is_restoring(vault, name).await? { "restored" } else { "deleted" };
        let error = Error::new(Reason::BeingDeleted, format!("Certificate is currently being {what}."));
        Ok(error.retry_after(Duration::from_secs(1)))
    }

    /// Whether a name is taken because of a restore, not of a removal.
    pub(in crate::service) async fn is_restoring(&self, vault: &VaultName, name: &CertificateName) -> Result<bool> {
        match self.context.load(&key::purging(vault, name)).await {
            Ok(leaving) => Ok(leaving.is_some_and(|(_, leaving)| leaving.restoring)),
            Err(error) if concerns_a_record(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

pub(in crate::service) fn not_found(name: &CertificateName) -> Error {
    no_certificate(name, name.as_str())
}

/// The refusal of a version that is not there, in the words of Key Vault.
pub(in crate::service) fn version_not_found(name: &CertificateName, version: Version) -> Error {
    no_certificate(name, &format!("{name}/versions/{version}"))
}

/// A refusal of the whole certificate, where one version of it was asked for.
pub(in crate::service) fn of_version(error: Error, name: &CertificateName, version: Version) -> Error {
    if error.reason == Reason::CertificateNotFound { version_not_found(name, version) } else { error }
}

fn no_certificate(name: &CertificateName, id: &str) -> Error {
    Error::new(
        Reason::CertificateNotFound,
        format!("A certificate with (name/id) {id} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"),
    )
    .with(Detail::Resource { kind: "certificate", name: name.to_string() })
}
