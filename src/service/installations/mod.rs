//! Installations: what agents report of their hosts, and who wants to see it. Nothing else depends on it.

mod counts;

pub(in crate::service) use counts::Counts;

use super::Service;
use super::access::{CertificateRef, Permit, Target};
use super::audit::found;
use super::certificates::{Entries, not_found};
use super::context::Context;
use super::records::{Bounds, List, Page, key};
use super::retry::retry;
use crate::domain::installation::{Installation, InstallationState, message};
use crate::domain::{CertificateName, Error, HostName, Reason, Result, Timestamp, VaultName, Version};
use crate::store::{Batch, Delete, Record};
use std::sync::Arc;
use std::time::Duration;

/// A report that says what the one before said is stored again after this long, as a sign of life.
const AGAIN: Duration = Duration::from_secs(12 * 3600);

/// What a host says.
#[derive(Clone, Debug)]
pub struct ReportInstallation {
    pub vault: VaultName,
    pub name: CertificateName,
    pub host: HostName,
    pub version: Version,
    pub state: InstallationState,
    /// Up to [`crate::domain::installation::MAX_MESSAGE`] characters.
    pub message: String,
    /// `None`: now.
    pub since: Option<Timestamp>,
}

impl Target for ReportInstallation {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

/// An installation as it is listed.
#[derive(Clone, Debug)]
pub struct InstallationView {
    pub installation: Installation,
    /// It is the newest version of the certificate.
    pub newest: bool,
}

/// A page of installations in the order of their hosts.
#[derive(Clone, Debug)]
pub struct InstallationPage {
    pub installations: Vec<InstallationView>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// Takes reports, and lists them.
#[derive(Clone)]
pub struct Installations {
    context: Arc<Context>,
    entries: Entries,
}

impl Installations {
    /// Those of a service.
    pub fn of(service: &Service) -> Self {
        let context = service.context.clone();
        Self { entries: Entries::new(context.clone()), context }
    }

    /// Stores what a host says in the place of what it said before. Where a certificate has as many hosts as it takes
    /// (`vaults.installations_per_certificate`), the one that was silent for the longest time makes room.
    ///
    /// [`Reason::CertificateNotFound`] where there is no such version, [`Reason::Throttled`] where the vault has as many
    /// reports as it takes (`vaults.installations`).
    pub async fn report(&self, wanted: Permit<ReportInstallation>) -> Result<InstallationView> {
        let message = message(&wanted.message)?;
        let principal = wanted.caller().principal().to_owned();
        let ReportInstallation { vault, name, host, version, state, message: _, since } = &*wanted;
        retry!({
            let (_, entry) = self.entries.live(vault, name).await?;
            if !self.context.has(&key::version(vault, name, *version)).await? {
                return Err(not_found(name));
            }
            found(|found| found.detail = format!("{host} has {version}: {}", state.word()));
            let now = self.context.now();
            let installation = Installation {
                vault: vault.clone(),
                certificate: entry.name.clone(),
                host: host.clone(),
                version: *version,
                state: *state,
                message: message.clone(),
                since: since.map_or(now, |since| since.min(now)),
                reported: now,
                principal: principal.clone(),
            };
            let view = InstallationView { newest: entry.latest == Some(*version), installation };
            let place = key::installation(vault, name, host);
            let before = self.context.store.get(place.as_str()).await?;
            // One that does not verify is replaced: it is worth no more than the next report.
            let known: Option<Installation> = before.as_ref().and_then(|record| self.context.records.read(record).ok());
            let is_repeat =
                known.is_some_and(|known| known.says_what(&view.installation) && now < known.reported.plus(AGAIN));
            if is_repeat {
                return Ok(Some(view));
            }
            let mut batch = Batch::default();
            let is_new = before.is_none();
            if is_new {
                batch.deletes.extend(self.room(vault, name).await?);
            }
            let expected = before.map(|record| record.revision);
            batch.puts.push(self.context.records.put(&place, expected, &view.installation, None)?);
            let (one_less, committed) = (!batch.deletes.is_empty(), self.context.try_commit(batch).await?);
            if committed.is_some() && is_new && !one_less {
                self.context.vaults.installations.add(vault);
            }
            Ok(committed.map(|_| view.clone()))
        })
    }

    /// What makes room for one more host, if something has to.
    async fn room(&self, vault: &VaultName, name: &CertificateName) -> Result<Option<Delete>> {
        let limits = self.context.vaults.installation_limits;
        let hosts = key::installations_of(vault, name);
        let there = self.context.store.list(hosts.as_str(), "", limits.per_certificate).await?;
        if there.len() >= limits.per_certificate {
            // What does not verify goes first.
            let silent_since = |record: &Record| {
                let read: Result<Installation> = self.context.records.read(record);
                read.map_or(Timestamp(0), |installation| installation.reported)
            };
            let oldest = there.into_iter().min_by_key(silent_since);
            return Ok(oldest.map(|Record { key, revision, .. }| Delete { key, expected: revision }));
        }
        let counts = &self.context.vaults.installations;
        let count = counts.of(&*self.context.store, vault, limits.per_vault, self.context.now()).await?;
        if count >= limits.per_vault {
            return Err(Error::new(
                Reason::Throttled,
                format!(
                    "The vault {vault} has {count} reports of installations, the most that it takes (vaults.installations)."
                ),
            ));
        }
        Ok(None)
    }

    /// What hosts reported of a certificate.
    pub async fn list(
        &self,
        wanted: Permit<CertificateRef>,
        page_size: usize,
        page_token: &str,
    ) -> Result<InstallationPage> {
        let (vault, name) = &*wanted;
        let (_, entry) = self.entries.live(vault, name).await?;
        let paging = self.context.paging(List::Installations, vec![vault.to_string(), name.key()]);
        let position = paging.position(page_token)?;
        let all = super::records::Ranges::whole(key::installations_of(vault, name));
        let mut page = Page::new(all, position, page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, installation) in found {
                let view = installation.map(|installation| InstallationView {
                    newest: entry.latest == Some(installation.version),
                    installation,
                });
                page.take(key, view);
            }
        }
        Ok(InstallationPage { next_page_token: paging.token(page.position()), installations: page.items })
    }
}
