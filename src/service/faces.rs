//! What the secret face and the key face of certificates have in common: each version of a
//! certificate is a secret and a key of the same name and version (contract section 7).

use super::Service;
use super::records::{self, key};
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, Detail, EntryState, Error, Reason, Recovery, Result, VaultName,
    Version,
};

/// Records read at once, at least.
const MORE: usize = 100;
/// Most records that one page looks at: where nearly all certificates wait for their first version,
/// the page ends early, with a token.
const MAX_SCAN: usize = 1000;

/// One of the two faces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Face {
    Secret,
    Key,
}

/// A version of a certificate by one of its faces; the newest where no version is given.
#[derive(Clone, Debug)]
pub struct FaceRef {
    pub vault: VaultName,
    pub name: CertificateName,
    pub version: Option<Version>,
}

/// A page of a list of secrets or keys. It may hold fewer than were asked for; only without a token
/// it is the last one.
#[derive(Clone, Debug)]
pub struct FacePage {
    /// The newest version of each name, or the versions of one.
    pub certificates: Vec<Certificate>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// How far a deletion can be undone in this vault.
    pub recovery: Recovery,
}

impl Service {
    /// The version that is meant; not found where no creation of it has completed.
    pub(super) async fn face(&self, wanted: &FaceRef, face: Face) -> Result<Certificate> {
        let FaceRef { vault, name, version } = wanted;
        // Of a deleted certificate the versions are still there, and are nobody's.
        let entry = self.load::<CertificateEntry>(&key::certificate(vault, name)).await?;
        let live = entry.filter(|(_, entry)| entry.state == EntryState::Live);
        let Some(wanted) = live.and_then(|(_, entry)| version.or(entry.latest)) else {
            return Err(face.not_found(name, *version));
        };
        match self.load::<Certificate>(&key::version(vault, name, wanted)).await? {
            Some((_, certificate)) => Ok(certificate),
            None => Err(face.not_found(name, *version)),
        }
    }

    /// The newest versions of the completed certificates of a vault, in the order of their names.
    pub async fn face_list(&self, vault: &VaultName, size: usize, token: &str) -> Result<FacePage> {
        let prefix = key::certificates_of(vault);
        let mut after = match token {
            "" => String::new(),
            token => {
                CertificateName::parse(token).map(|name| key::certificate(vault, &name)).map_err(|_| bad_token())?
            }
        };
        let mut certificates: Vec<Certificate> = Vec::new();
        let mut looked_at = 0;
        loop {
            let page = self.store.list(&prefix, &after, size.max(MORE)).await?;
            let full = page.len() == size.max(MORE);
            for record in page {
                if certificates.len() == size || looked_at == MAX_SCAN {
                    let next_page_token = after.strip_prefix(&prefix).unwrap_or_default().to_owned();
                    return Ok(FacePage { certificates, next_page_token, recovery: self.recovery(vault) });
                }
                looked_at += 1;
                let entry: CertificateEntry = records::read(&record)?;
                after = record.key;
                let Some(latest) = entry.latest.filter(|_| entry.state == EntryState::Live) else { continue };
                let found = self.load::<Certificate>(&key::version(vault, &entry.name, latest)).await?;
                // One that was deleted between the two reads is not there any more.
                certificates.extend(found.map(|(_, certificate)| certificate));
            }
            if !full {
                let recovery = self.recovery(vault);
                return Ok(FacePage { certificates, next_page_token: String::new(), recovery });
            }
        }
    }

    /// The versions of the secret of a certificate.
    pub async fn secret_versions(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        size: usize,
        token: &str,
    ) -> Result<FacePage> {
        self.face_versions(vault, name, size, token).await
    }

    /// The versions of the key of a certificate.
    pub async fn key_versions(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        size: usize,
        token: &str,
    ) -> Result<FacePage> {
        self.face_versions(vault, name, size, token).await
    }

    async fn face_versions(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        size: usize,
        token: &str,
    ) -> Result<FacePage> {
        let after = match token {
            "" => String::new(),
            token => {
                Version::parse(token).map(|version| key::version(vault, name, version)).map_err(|_| bad_token())?
            }
        };
        let entry = self.load::<CertificateEntry>(&key::certificate(vault, name)).await?;
        // Key Vault has an empty list for a name that it does not know.
        if entry.is_none_or(|(_, entry)| entry.state != EntryState::Live) {
            let recovery = self.recovery(vault);
            return Ok(FacePage { certificates: Vec::new(), next_page_token: String::new(), recovery });
        }
        let records = self.store.list(&key::versions_of(vault, name), &after, size + 1).await?;
        let more = records.len() > size;
        let certificates = records.iter().take(size).map(records::read).collect::<Result<Vec<Certificate>>>()?;
        let next_page_token = certificates.last().filter(|_| more).map(|last| last.version.to_string());
        let next_page_token = next_page_token.unwrap_or_default();
        Ok(FacePage { certificates, next_page_token, recovery: self.recovery(vault) })
    }
}

fn bad_token() -> Error {
    Error::field("page_token", "It is not a token of this list. Begin without one.")
}

impl Face {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Key => "key",
        }
    }

    /// With the version, where one was asked for.
    pub(super) fn not_found(self, name: &CertificateName, version: Option<Version>) -> Error {
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
    pub(super) fn disabled(self, certificate: &Certificate, operation: &str) -> Error {
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
