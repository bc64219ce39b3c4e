//! The common part of the secret view and the key view: each version of a
//! certificate is a secret and a key of the same name and version (contract section 7).

mod key_view;
mod secret_view;

pub use key_view::{KeyResult, KeyView};
pub use secret_view::SecretView;
pub(super) use secret_view::sealed_key;

use crate::domain::{
    Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Recovery, Result, VaultName,
    Version,
};
use crate::service::access::{CertificateRef, Permit, Target};
use crate::service::context::Context;
use crate::service::records::{Bounds, Key, List, Page, Ranges, key, shown};
use std::sync::Arc;

/// One of the two APIs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::service) enum Material {
    Secret,
    Key,
}

/// A version of a certificate by one of its views; the newest where no version is given.
#[derive(Clone, Debug)]
pub struct VersionRef {
    pub vault: VaultName,
    pub name: CertificateName,
    pub version: Option<Version>,
}

impl Target for VersionRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

/// A page of a list of secrets or keys. It may hold fewer than were asked for; only without a token
/// it is the last one.
#[derive(Clone, Debug)]
pub struct VersionPage {
    /// The newest version of each name, or the versions of one.
    pub certificates: Vec<Certificate>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// How far a deletion can be undone in this vault.
    pub recovery: Recovery,
}

/// Reads secrets and keys, and lets keys work.
#[derive(Clone)]
pub struct Materials {
    context: Arc<Context>,
}

impl Materials {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The version that is meant, with its key in the store; not found where no creation of it has completed.
    pub(in crate::service) async fn version_of(
        &self,
        wanted: &VersionRef,
        api: Material,
    ) -> Result<(Key<Certificate>, Certificate)> {
        let VersionRef { vault, name, version } = wanted;
        // The versions of a deleted certificate still exist, but are not accessible.
        let entry = self.context.load(&key::certificate(vault, name)).await?;
        let live = entry.filter(|(_, entry)| entry.state == EntryState::Live);
        let not_found = || api.not_found(name, *version);
        let (_, entry) = live.ok_or_else(not_found)?;
        let wanted = version.or(entry.latest).ok_or_else(not_found)?;
        let place = key::version(vault, name, wanted);
        match self.context.load(&place).await? {
            Some((_, certificate)) => Ok((place, certificate)),
            None if entry.latest == Some(wanted) => {
                Err(self.context.lost_newest(&entry, wanted).await?.unwrap_or_else(not_found))
            }
            None => Err(not_found()),
        }
    }

    /// The newest secrets of the completed certificates of a vault, in the order of their names.
    pub async fn secrets(&self, vault: Permit<VaultName>, size: usize, token: &str) -> Result<VersionPage> {
        self.list_newest(vault, size, token, List::Secrets).await
    }

    /// The newest keys of the completed certificates of a vault, in the order of their names.
    pub async fn keys(&self, vault: Permit<VaultName>, size: usize, token: &str) -> Result<VersionPage> {
        self.list_newest(vault, size, token, List::Keys).await
    }

    async fn list_newest(
        &self,
        wanted: Permit<VaultName>,
        size: usize,
        token: &str,
        list: List,
    ) -> Result<VersionPage> {
        let vault = &*wanted;
        let paging = self.context.paging(list, vec![vault.to_string()]);
        let mut page =
            Page::new(wanted.shown(vault, key::certificates_of(vault)), paging.position(token)?, size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            let newest = |entry: CertificateEntry| {
                let latest = entry.latest.filter(|_| entry.state == EntryState::Live)?;
                Some(key::version(vault, &entry.name, latest))
            };
            let (keys, versions) = found.into_iter().map(|(key, entry)| (key, entry.and_then(newest))).unzip();
            let (keys, versions): (Vec<String>, Vec<_>) = (keys, versions);
            for (key, certificate) in keys.into_iter().zip(self.context.load_many(&versions).await?) {
                // One that was deleted between the two reads is not there any more.
                page.take(key, shown(certificate)?);
            }
        }
        let recovery = self.context.recovery(vault);
        Ok(VersionPage { next_page_token: paging.token(page.position()), certificates: page.items, recovery })
    }

    /// The versions of the secret of a certificate.
    pub async fn secret_versions(
        &self,
        wanted: Permit<CertificateRef>,
        size: usize,
        token: &str,
    ) -> Result<VersionPage> {
        self.material_versions(&wanted, size, token, List::SecretVersions).await
    }

    /// The versions of the key of a certificate.
    pub async fn key_versions(&self, wanted: Permit<CertificateRef>, size: usize, token: &str) -> Result<VersionPage> {
        self.material_versions(&wanted, size, token, List::KeyVersions).await
    }

    async fn material_versions(
        &self,
        (vault, name): &CertificateRef,
        size: usize,
        token: &str,
        list: List,
    ) -> Result<VersionPage> {
        let paging = self.context.paging(list, vec![vault.to_string(), name.key()]);
        let position = paging.position(token)?;
        let entry = self.context.load(&key::certificate(vault, name)).await?;
        // Key Vault has an empty list for a name that it does not know.
        if entry.is_none_or(|(_, entry)| entry.state != EntryState::Live) {
            let recovery = self.context.recovery(vault);
            return Ok(VersionPage { certificates: Vec::new(), next_page_token: String::new(), recovery });
        }
        let mut page = Page::new(Ranges::whole(key::versions_of(vault, name)), position, size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, certificate) in found {
                page.take(key, certificate);
            }
        }
        let recovery = self.context.recovery(vault);
        Ok(VersionPage { next_page_token: paging.token(page.position()), certificates: page.items, recovery })
    }
}

impl Material {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Key => "key",
        }
    }

    /// With the version, where one was asked for.
    pub(in crate::service) fn not_found(self, name: &CertificateName, version: Option<Version>) -> Error {
        let reason = match self {
            Self::Secret => Reason::SecretNotFound,
            Self::Key => Reason::KeyNotFound,
        };
        let word = self.word();
        let id = version.map_or_else(|| name.to_string(), |version| format!("{name}/{version}"));
        Error::new(
            reason,
            format!("A {word} with (name/id) {id} was not found in this key vault. If you recently deleted this {word} you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"),
        )
        .with(Detail::Resource { kind: word, name: name.to_string() })
    }

    /// The refusal of an operation on a disabled version.
    pub(in crate::service) fn disabled(self, certificate: &Certificate, operation: &str) -> Error {
        let (reason, kind) = match self {
            Self::Secret => (Reason::SecretDisabled, "SECRET_DISABLED"),
            Self::Key => (Reason::KeyDisabled, "KEY_DISABLED"),
        };
        Error::new(reason, format!("Operation {operation} is not allowed on a disabled {}.", self.word())).with(
            Detail::Precondition {
                kind,
                subject: certificate.name.to_string(),
                description: format!("version {} is disabled", certificate.version),
            },
        )
    }
}
