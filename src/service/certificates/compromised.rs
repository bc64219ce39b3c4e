//! Versions whose key was reported as compromised: the one whose certificate was revoked is disabled, also while it is
//! deleted, and neither a backup nor an import puts such a key into use again.

use super::Certificates;
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, EntryState, Error, Result, VaultName, Version, VersionSummary,
};
use crate::keys::chain;
use crate::keys::issued::content_of;
use crate::service::ca::IssuedLog;
use crate::service::context::Context;
use crate::service::records::key;
use crate::service::retry::retry;
use crate::store::Batch;

impl Certificates {
    /// Disables a version, also one of a deleted certificate, with which it would be recovered.
    pub(in crate::service) async fn disable(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        version: Version,
    ) -> Result<()> {
        disable(&self.context, vault, name, version).await
    }

    /// Whether the key of a certificate (X.509, DER) was reported as compromised.
    pub(super) async fn is_compromised(&self, cer: &[u8]) -> Result<bool> {
        let Some(content) = content_of(cer) else { return Ok(false) };
        self.deletions.log.is_compromised(&content.key).await
    }

    /// Versions that come from a backup are as they were when it was made; their keys may have been reported since.
    /// Answers which were disabled.
    pub(super) async fn disable_compromised(
        &self,
        entry: &mut CertificateEntry,
        versions: &mut [Certificate],
    ) -> Result<Vec<Version>> {
        let mut disabled = Vec::new();
        for version in versions.iter_mut().filter(|version| version.enabled) {
            if self.is_compromised(&version.cer.0).await? {
                take_out_of_use(version, entry);
                disabled.push(version.version);
            }
        }
        Ok(disabled)
    }

    /// # Errors
    /// Where an import would put a key into use that was reported as compromised.
    pub(super) async fn refuse_compromised(&self, cer: &[u8], enabled: bool) -> Result<()> {
        if enabled && self.is_compromised(cer).await? {
            return Err(Error::field(
                "value",
                "Its key was reported as compromised: import another one, or keep this one out of use (enabled: false).",
            ));
        }
        Ok(())
    }
}

/// Disables a version, also one of a deleted certificate, with which it would be recovered. One that is not there is
/// used by nobody.
async fn disable(context: &Context, vault: &VaultName, name: &CertificateName, version: Version) -> Result<()> {
    retry!({
        let entry = context.load(&key::certificate(vault, name)).await?;
        let Some((entry_record, mut entry)) = entry.filter(|(_, entry)| entry.state != EntryState::Purging) else {
            return Ok(Some(()));
        };
        let found = context.load(&key::version(vault, name, version)).await?;
        let Some((record, mut certificate)) = found.filter(|(_, certificate)| certificate.enabled) else {
            return Ok(Some(()));
        };
        let now = context.now();
        certificate.updated = now;
        take_out_of_use(&mut certificate, &mut entry);
        entry.updated = now;
        let mut batch = Batch::default();
        batch.puts.push(context.records.replace(&record, &certificate, None)?);
        context.records.put_entry(&mut batch, Some(&entry_record), &entry)?;
        Ok(context.try_commit(batch).await?.map(|_| ()))
    })
}

/// Disables a version that was stored just now, where its key was reported while it was made: whoever reported it looked
/// for the versions of the key before this one was there. One that is reported from here on finds it.
pub(in crate::service) async fn disable_if_reported(
    context: &Context,
    log: &IssuedLog,
    made: &mut Certificate,
    entry: &mut CertificateEntry,
) -> Result<()> {
    if !made.enabled {
        return Ok(());
    }
    let Some(content) = content_of(&made.cer.0) else { return Ok(()) };
    if log.is_compromised(&content.key).await? {
        disable(context, &made.vault, &made.name, made.version).await?;
        take_out_of_use(made, entry);
    }
    Ok(())
}

/// The version is not enabled any more, and its entry says so where it is the newest.
fn take_out_of_use(version: &mut Certificate, entry: &mut CertificateEntry) {
    version.enabled = false;
    if entry.latest == Some(version.version) {
        entry.summary = Some(VersionSummary::of(version, chain::thumbprint(&version.cer.0)));
    }
}
