//! Backing up a certificate with all its versions and keys, and bringing it back: in the same vault,
//! in another one, or in another installation that knows the master key.

use super::certificates::CertificateView;
use super::purge::CHUNK;
use super::records::{self, key};
use super::{CONFLICT_ATTEMPTS, Service, contended, deleted, put};
use crate::domain::policy::{ContentType, KeyUsage, X509Properties};
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Policy, Reason, Result, Tags,
    Timestamp, VaultName, Version, VersionSummary,
};
use crate::keys::backup::{self, Blobs, Opened};
use crate::keys::{SealContext, Sealer, chain};
use crate::store::{Batch, Delete, Put};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What a backup says of a certificate; numbers stand for blobs of the backup.
#[derive(Serialize, Deserialize)]
struct Saved {
    name: String,
    policy: Policy,
    tags: Option<Tags>,
    latest: Version,
    first_version: Version,
    preserve_cert_order: Option<bool>,
    created: Timestamp,
    updated: Timestamp,
    versions: Vec<SavedVersion>,
}

#[derive(Serialize, Deserialize)]
struct SavedVersion {
    version: Version,
    cer: usize,
    chain: Vec<usize>,
    /// PKCS#8.
    key: usize,
    content_type: ContentType,
    exportable: bool,
    #[serde(default)]
    key_usage: Option<Vec<KeyUsage>>,
    enabled: bool,
    not_before: Timestamp,
    expires: Timestamp,
    created: Timestamp,
    updated: Timestamp,
    tags: Option<Tags>,
    preserve_cert_order: Option<bool>,
}

impl Service {
    /// One sealed text with the policy, all completed versions and their keys, exportable or not.
    /// A pending operation is not a part of it.
    ///
    /// [`Reason::BadParameter`] where there is nothing to back up yet, or too much.
    pub async fn backup_certificate(&self, vault: &VaultName, name: &CertificateName) -> Result<Vec<u8>> {
        let limit = self.limits.backup_bytes;
        for _ in 0..CONFLICT_ATTEMPTS {
            let (record, entry) = self.live(vault, name).await?;
            if entry.latest.is_none() {
                return Err(Error::bad_parameter(format!(
                    "The certificate {name} has no completed version yet: there is nothing to back up."
                )));
            }
            let versions = self.all_versions(vault, name, limit).await?;
            // A version that was completed meanwhile would be missing, or be the newest and missing.
            if self.store.get(&record.key).await?.is_none_or(|now| now.revision != record.revision) {
                continue;
            }
            let sealer = self.keys.sealer().clone();
            return self.keys.run(move || save(&sealer, entry, versions, limit)).await;
        }
        Err(contended())
    }

    async fn all_versions(&self, vault: &VaultName, name: &CertificateName, limit: usize) -> Result<Vec<Certificate>> {
        let prefix = key::versions_of(vault, name);
        let (mut versions, mut after, mut bytes) = (Vec::new(), String::new(), 0);
        loop {
            let page = self.store.list(&prefix, &after, CHUNK).await?;
            let full = page.len() == CHUNK;
            for record in page {
                let version: Certificate = records::read(&record)?;
                // Chains are counted when the backup is written: most versions share one.
                bytes += version.cer.0.len();
                if bytes > limit {
                    return Err(too_large(name, limit));
                }
                versions.push(version);
                after = record.key;
            }
            if !full {
                return Ok(versions);
            }
        }
    }

    /// Brings a backup back under the name that the certificate had; versions keep their ids.
    ///
    /// [`Reason::MalformedBackup`] where it cannot be read, [`Reason::AlreadyExists`] or
    /// [`Reason::DeletedButRecoverable`] where the name is in use in this vault.
    pub async fn restore_certificate(&self, vault: &VaultName, value: Vec<u8>) -> Result<CertificateView> {
        let limit = self.limits.backup_bytes;
        if value.len() > limit {
            return Err(Error::bad_parameter(format!(
                "The backup has {} bytes, and this server takes up to {limit}.",
                value.len()
            )));
        }
        let (sealer, to) = (self.keys.sealer().clone(), vault.clone());
        let (entry, versions) = self.keys.run(move || open(&sealer, &value, &to)).await?;
        let name = entry.name.clone();
        let entry_key = key::certificate(vault, &name);
        if let Some((_, present)) = self.load::<CertificateEntry>(&entry_key).await? {
            deleted::refuse_taken(&present)?;
            return Err(conflict(&name));
        }
        // Hidden until all versions are there; what is cut short is removed by the worker.
        let hidden = CertificateEntry { state: EntryState::Leaving, ..entry.clone() };
        let puts = vec![put(entry_key.clone(), None, &hidden, None)?, self.leaving(vault, &name, None)?];
        let Some(first) = self.try_commit(Batch { puts, ..Batch::default() }).await? else {
            return Err(conflict(&name));
        };
        let mut guard = first;
        for chunk in versions.chunks(CHUNK) {
            let version = |it: &Certificate| put(key::version(vault, &name, it.version), None, it, None);
            let mut puts: Vec<Put> = chunk.iter().map(version).collect::<Result<_>>()?;
            puts.push(self.leaving(vault, &name, Some(guard))?);
            guard = self.try_commit(Batch { puts, ..Batch::default() }).await?.ok_or_else(contended)?;
        }
        let puts = vec![put(entry_key, Some(first), &entry, None)?];
        let deletes = vec![Delete { key: key::leaving(vault, &name), expected: guard }];
        self.try_commit(Batch { puts, deletes, ..Batch::default() }).await?.ok_or_else(contended)?;
        let newest = versions.into_iter().find(|version| Some(version.version) == entry.latest);
        let newest = newest.ok_or_else(backup::corrupt)?;
        Ok(CertificateView::issued(newest, entry, false).with(self.recovery(vault)))
    }
}

fn save(sealer: &Sealer, entry: CertificateEntry, versions: Vec<Certificate>, limit: usize) -> Result<Vec<u8>> {
    let CertificateEntry {
        vault: _,
        name,
        policy,
        tags,
        latest,
        first_version,
        preserve_cert_order,
        created,
        updated,
        summary: _,
        state: _,
    } = entry;
    let latest = latest.ok_or_else(Error::internal)?;
    let mut blobs = Blobs::default();
    let versions =
        versions.into_iter().map(|version| save_version(sealer, version, &mut blobs)).collect::<Result<_>>()?;
    let saved = Saved {
        name: name.to_string(),
        policy,
        tags,
        latest,
        first_version,
        preserve_cert_order,
        created,
        updated,
        versions,
    };
    let header = serde_json::to_vec(&saved).map_err(|error| {
        tracing::error!(%error, "the header of a backup could not be written as JSON");
        Error::internal()
    })?;
    let value = backup::write(sealer, &header, &blobs)?;
    if value.len() > limit { Err(too_large(&name, limit)) } else { Ok(value) }
}

fn save_version(sealer: &Sealer, certificate: Certificate, blobs: &mut Blobs) -> Result<SavedVersion> {
    let Certificate {
        vault,
        name,
        version,
        cer,
        chain,
        sealed_key,
        content_type,
        exportable,
        key_usage,
        enabled,
        not_before,
        expires,
        created,
        updated,
        tags,
        preserve_cert_order,
    } = certificate;
    let context = SealContext::certificate_key(vault.as_str(), name.as_str(), version);
    Ok(SavedVersion {
        version,
        cer: blobs.add(Zeroizing::new(cer.0)),
        chain: chain.into_iter().map(|Blob(der)| blobs.add(Zeroizing::new(der))).collect(),
        key: blobs.add(sealer.open(&sealed_key.0, &context)?),
        content_type,
        exportable,
        key_usage,
        enabled,
        not_before,
        expires,
        created,
        updated,
        tags,
        preserve_cert_order,
    })
}

/// The entry and its versions as they will stand in `vault`, each key sealed anew for its place.
fn open(sealer: &Sealer, value: &[u8], vault: &VaultName) -> Result<(CertificateEntry, Vec<Certificate>)> {
    let opened = backup::read(sealer, value)?;
    let saved: Saved = serde_json::from_slice(opened.header()).map_err(|error| {
        tracing::error!(%error, "a backup that was sealed well has a header that is not understood");
        backup::corrupt()
    })?;
    let Saved { name, policy, tags, latest, first_version, preserve_cert_order, created, updated, versions } = saved;
    let name = CertificateName::parse(&name).map_err(|_| backup::corrupt())?;
    let versions: Vec<Certificate> = versions
        .into_iter()
        .map(|version| open_version(sealer, &opened, version, vault, &name))
        .collect::<Result<_>>()?;
    let newest = versions.iter().find(|version| version.version == latest).ok_or_else(backup::corrupt)?;
    // Key Vault does not bring empty names back.
    let sans = policy.x509.sans.filter(|names| !names.is_empty());
    let policy = Policy { x509: X509Properties { sans, ..policy.x509 }, ..policy };
    let summary = VersionSummary::of(newest, chain::thumbprint(&newest.cer.0));
    let entry = CertificateEntry {
        vault: vault.clone(),
        name,
        policy,
        tags,
        latest: Some(latest),
        first_version,
        preserve_cert_order,
        created,
        updated,
        summary: Some(summary),
        state: EntryState::Live,
    };
    Ok((entry, versions))
}

fn open_version(
    sealer: &Sealer,
    opened: &Opened,
    saved: SavedVersion,
    vault: &VaultName,
    name: &CertificateName,
) -> Result<Certificate> {
    let SavedVersion {
        version,
        cer,
        chain,
        key,
        content_type,
        exportable,
        key_usage,
        enabled,
        not_before,
        expires,
        created,
        updated,
        tags,
        preserve_cert_order,
    } = saved;
    let blob = |number| opened.blob(number).map(|bytes| Blob(bytes.to_vec()));
    let context = SealContext::certificate_key(vault.as_str(), name.as_str(), version);
    Ok(Certificate {
        vault: vault.clone(),
        name: name.clone(),
        version,
        cer: blob(cer)?,
        chain: chain.into_iter().map(blob).collect::<Result<_>>()?,
        sealed_key: Blob(sealer.seal(opened.blob(key)?, &context)?),
        content_type,
        exportable,
        key_usage,
        enabled,
        not_before,
        expires,
        created,
        updated,
        tags,
        preserve_cert_order,
    })
}

/// Whether the bytes are a backup that could be restored into the vault.
pub(crate) fn reads_a_backup(sealer: &Sealer, value: &[u8], vault: &VaultName) -> bool {
    open(sealer, value, vault).is_ok()
}

fn too_large(name: &CertificateName, limit: usize) -> Error {
    Error::bad_parameter(format!(
        "The backup of {name} would have more than {limit} bytes, the limit of this server (limits.backup_bytes)."
    ))
}

fn conflict(name: &CertificateName) -> Error {
    Error::new(
        Reason::AlreadyExists,
        format!("There was a conflict restoring the certificate {name}: the name is already in use in this vault. Restore it into another vault, or delete and purge the certificate that has the name."),
    )
    .with(Detail::Resource { kind: "certificate", name: name.to_string() })
}
