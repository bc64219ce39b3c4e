//! Backing up a certificate with all its versions and keys, and restoring it: into the same vault, another one, or
//! another installation that has the master key.

use super::Certificates;
use super::purge::CHUNK;
use super::restored;
use super::view::CertificateView;
use crate::domain::policy::{ContentType, KeyUsage, X509Properties};
use crate::domain::{
    Blob, Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Policy, Reason, Result, Tags,
    Timestamp, VaultName, Version, VersionSummary,
};
use crate::keys::backup::{self, Blobs, Form, Opened};
use crate::keys::{SealContext, Sealer, Work, chain, open_pkcs8};
use crate::service::access::{CertificateRef, Permit};
use crate::service::material::sealed_key;
use crate::service::records::{Key, concerns_a_record, key};
use crate::service::retry::{contended, retry};
use crate::store::{Batch, Delete, Put, Record};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What a backup says of a certificate; numbers stand for blobs of the backup.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Where it was; `None` in backups of versions that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vault: Option<String>,
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
    /// PKCS#8; missing where the caller made the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<usize>,
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

impl Certificates {
    /// One sealed text with the policy, all completed versions and their keys, exportable or not.
    /// A pending operation is not a part of it.
    ///
    /// [`Reason::BadParameter`] where there is nothing to back up yet, or too much.
    pub async fn backup_certificate(&self, wanted: Permit<CertificateRef>) -> Result<Vec<u8>> {
        let (vault, name) = &*wanted;
        let limit = self.context.limits().backup_bytes;
        retry!({
            let (record, entry) = self.entries.live(vault, name).await?;
            if entry.latest.is_none() {
                return Err(Error::bad_parameter(format!(
                    "The certificate {name} has no completed version yet: there is nothing to back up."
                )));
            }
            let versions = match self.all_versions(vault, &entry, limit).await {
                // It may have gone with the certificate, which is found out below.
                Err(error) if concerns_a_record(&error) && self.is_changed(&record).await? => return Ok(None),
                versions => versions?,
            };
            // A version that was completed meanwhile would be missing, or be the newest and missing.
            if self.is_changed(&record).await? {
                return Ok(None);
            }
            let sealer = self.context.keys.sealer().clone();
            self.context
                .keys
                .run(wanted.caller(), Work::Small, move || save(&sealer, entry, versions, limit))
                .await
                .map(Some)
        })
    }

    async fn is_changed(&self, record: &Record) -> Result<bool> {
        Ok(self.context.store.get(&record.key).await?.is_none_or(|now| now.revision != record.revision))
    }

    /// All versions of a certificate; an error where one is damaged or missing.
    async fn all_versions(
        &self,
        vault: &VaultName,
        entry: &CertificateEntry,
        limit: usize,
    ) -> Result<Vec<(Key<Certificate>, Certificate)>> {
        let name = &entry.name;
        let prefix = key::versions_of(vault, name);
        let (mut versions, mut after, mut bytes) = (Vec::new(), String::new(), 0);
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, CHUNK).await?;
            let full = page.len() == CHUNK;
            for record in page {
                let version: Certificate = self.context.records.read(&record)?;
                // Chains are counted when the backup is written: most versions share one.
                bytes += version.cer.0.len();
                if bytes > limit {
                    return Err(too_large(name, limit));
                }
                versions.push((key::version(vault, name, version.version), version));
                after = record.key;
                // Hundreds of versions are read here, and other requests wait for this thread.
                tokio::task::yield_now().await;
            }
            if !full {
                break;
            }
        }
        let newest = entry.latest.map(|latest| key::version(vault, name, latest));
        if let Some(newest) = newest.filter(|newest| versions.iter().all(|(key, _)| key.as_str() != newest.as_str())) {
            return Err(self.context.records.missing(newest.as_str()));
        }
        if entry.versions.is_some_and(|count| usize::try_from(count).ok() != Some(versions.len())) {
            return Err(self.context.records.missing(&format!("{}(a version)", prefix.as_str())));
        }
        Ok(versions)
    }

    /// Brings a backup back under the name that the certificate had; versions keep their ids.
    ///
    /// [`Reason::MalformedBackup`] where it cannot be read, [`Reason::AlreadyExists`] or
    /// [`Reason::DeletedButRecoverable`] where the name is in use in this vault.
    pub async fn restore_certificate(&self, vault: Permit<VaultName>, value: Vec<u8>) -> Result<CertificateView> {
        let limit = self.context.limits().backup_bytes;
        if value.len() > limit {
            return Err(Error::bad_parameter(format!(
                "The backup has {} bytes, and this server takes up to {limit}.",
                value.len()
            )));
        }
        let (sealer, to) = (self.context.keys.sealer().clone(), VaultName::clone(&vault));
        let (mut entry, mut versions, from) =
            self.context.keys.run(vault.caller(), Work::Small, move || open(&sealer, &value, &to)).await?;
        let name = entry.name.clone();
        restored::check(&vault, &entry, &versions, from.as_deref())?;
        let entry_key = key::certificate(&vault, &name);
        if let Some((_, present)) = self.context.load(&entry_key).await? {
            self.entries.refuse_taken(&present).await?;
            return Err(conflict(&name));
        }
        self.disable_compromised(&mut entry, &mut versions).await?;
        // Hidden until all versions are there; what is cut short is removed by the worker.
        let hidden = CertificateEntry { state: EntryState::Purging, ..entry.clone() };
        let mut batch = Batch::default();
        self.context.records.put_entry(&mut batch, None, &hidden)?;
        batch.puts.push(self.deletions.purging(&vault, &name, true, None)?);
        let Some(first) = self.context.try_commit(batch).await? else {
            return Err(conflict(&name));
        };
        let mut guard = first;
        for chunk in versions.chunks(CHUNK) {
            let version =
                |it: &Certificate| self.context.records.put(&key::version(&vault, &name, it.version), None, it, None);
            let mut puts: Vec<Put> = chunk.iter().map(version).collect::<Result<_>>()?;
            puts.push(self.deletions.purging(&vault, &name, true, Some(guard))?);
            guard = self.context.try_commit(Batch { puts, ..Batch::default() }).await?.ok_or_else(contended)?;
        }
        let deletes = vec![Delete { key: key::purging(&vault, &name).to_string(), expected: guard }];
        let mut batch = Batch { deletes, ..Batch::default() };
        let hidden = Record { key: entry_key.to_string(), revision: first, body: Vec::new(), due: None };
        self.context.records.put_entry(&mut batch, Some(&hidden), &entry)?;
        self.context.try_commit(batch).await?.ok_or_else(contended)?;
        // A key that was reported since it was looked at first. One that is reported from here on finds the versions.
        for version in self.disable_compromised(&mut entry, &mut versions).await? {
            self.disable(&vault, &name, version).await?;
        }
        let newest = versions.into_iter().find(|version| Some(version.version) == entry.latest);
        let newest = newest.ok_or_else(backup::corrupt)?;
        Ok(CertificateView::issued(newest, entry, false).with(self.context.recovery(&vault)))
    }
}

fn save(
    sealer: &Sealer,
    entry: CertificateEntry,
    versions: Vec<(Key<Certificate>, Certificate)>,
    limit: usize,
) -> Result<Vec<u8>> {
    let CertificateEntry {
        vault,
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
        versions: _,
        renewal: _,
    } = entry;
    let latest = latest.ok_or_else(Error::internal)?;
    let mut blobs = Blobs::default();
    let versions = versions
        .into_iter()
        .map(|(key, version)| save_version(sealer, &key, version, &mut blobs))
        .collect::<Result<_>>()?;
    let saved = Saved {
        vault: Some(vault.to_string()),
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
    let form = if saved.versions.iter().all(|version| version.key.is_some()) { Form::Keys } else { Form::SomeKeys };
    let value = backup::write(sealer, form, &header, &blobs)?;
    if value.len() > limit { Err(too_large(&name, limit)) } else { Ok(value) }
}

fn save_version(
    sealer: &Sealer,
    key: &Key<Certificate>,
    certificate: Certificate,
    blobs: &mut Blobs,
) -> Result<SavedVersion> {
    let pkcs8 = sealed_key(key, &certificate).map(|key| open_pkcs8(sealer, &key)).transpose()?;
    let Certificate {
        vault: _,
        name: _,
        version,
        cer,
        chain,
        sealed_key: _,
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
    Ok(SavedVersion {
        version,
        cer: blobs.add(Zeroizing::new(cer.0)),
        chain: chain.into_iter().map(|Blob(der)| blobs.add(Zeroizing::new(der))).collect(),
        key: pkcs8.map(|pkcs8| blobs.add(pkcs8)),
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

/// The entry and its versions as they will stand in `vault`, each key sealed anew for its place, and the vault where
/// they were, if the backup says it.
fn open(
    sealer: &Sealer,
    value: &[u8],
    vault: &VaultName,
) -> Result<(CertificateEntry, Vec<Certificate>, Option<String>)> {
    let opened = backup::read(sealer, value)?;
    let saved: Saved = serde_json::from_slice(opened.header()).map_err(|error| {
        tracing::error!(%error, "a backup decrypted correctly, but its header is not understood");
        backup::corrupt()
    })?;
    let Saved {
        vault: from,
        name,
        policy,
        tags,
        latest,
        first_version,
        preserve_cert_order,
        created,
        updated,
        versions,
    } = saved;
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
        versions: u64::try_from(versions.len()).ok(),
        renewal: None,
    };
    Ok((entry, versions, from))
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
        sealed_key: key.map(|key| sealer.seal(opened.blob(key)?, &context)).transpose()?.map(Blob),
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
