//! Lists of certificates, of their versions, and of deleted ones. A page reads about as many records
//! as it shows, however many there are.

use super::Certificates;
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, EntryState, Reason, Recovery, Result, Tags, Timestamp, VaultName,
    Version, VersionSummary,
};
use crate::keys::chain;
use crate::service::access::{Permit, Target};
use crate::service::records::{Bounds, DeletedRecord, List, Page, Ranges, key, shown};

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub vault: VaultName,
    /// 1 to [`MAX_PAGE`](crate::service::MAX_PAGE).
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
    /// Also those of which no version was completed.
    pub include_pending: bool,
}

impl Target for ListRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }
}

/// A certificate in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    pub vault: VaultName,
    pub name: CertificateName,
    /// The newest version, or the one that is listed; that of the placeholder where none was completed.
    pub version: Version,
    /// SHA-1 of the certificate; `None` if no version was completed.
    pub thumbprint: Option<Vec<u8>>,
    pub enabled: bool,
    pub not_before: Timestamp,
    pub expires: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub tags: Option<Tags>,
}

/// A page of items in the order of their names (or versions). It may hold fewer than were asked
/// for; only without a token it is the last one.
#[derive(Clone, Debug)]
pub struct ItemPage {
    pub items: Vec<Item>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// A deleted certificate in a list.
#[derive(Clone, Debug)]
pub struct DeletedItem {
    pub item: Item,
    pub deleted: Timestamp,
    pub purge: Timestamp,
    pub recovery: Recovery,
}

/// A page of deleted certificates, as [`ItemPage`].
#[derive(Clone, Debug)]
pub struct DeletedPage {
    pub items: Vec<DeletedItem>,
    pub next_page_token: String,
}

impl Certificates {
    /// The certificates of a vault, each with its newest version.
    pub async fn list_certificates(&self, wanted: Permit<ListRequest>) -> Result<ItemPage> {
        let ListRequest { vault, page_size, page_token, include_pending } = &*wanted;
        let paging = self.context.paging(List::Certificates, scope(vault, *include_pending));
        let position = paging.position(page_token)?;
        let mut page = Page::new(wanted.shown(vault, key::certificates_of(vault)), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            let (keys, mut entries): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            for entry in &mut entries {
                entry.take_if(|entry| entry.state != EntryState::Live || !(*include_pending || entry.latest.is_some()));
            }
            for (key, item) in keys.into_iter().zip(self.items(entries).await?) {
                page.take(key, item);
            }
        }
        Ok(ItemPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// The completed versions of a certificate, in no order that means anything.
    pub async fn list_versions(&self, wanted: Permit<(ListRequest, CertificateName)>) -> Result<ItemPage> {
        let (ListRequest { vault, page_size, page_token, include_pending: _ }, name) = &*wanted;
        let paging = self.context.paging(List::Versions, vec![vault.to_string(), name.key()]);
        let position = paging.position(page_token)?;
        // Key Vault has an empty list for a name that it does not know.
        match self.entries.live(vault, name).await {
            Ok(_) => {}
            Err(error) if error.reason == Reason::CertificateNotFound => {
                return Ok(ItemPage { items: Vec::new(), next_page_token: String::new() });
            }
            Err(error) => return Err(error),
        }
        let mut page = Page::new(Ranges::whole(key::versions_of(vault, name)), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, certificate) in found {
                page.take(key, certificate.map(Item::of_version));
            }
        }
        Ok(ItemPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// The deleted certificates of a vault.
    pub async fn list_deleted(&self, wanted: Permit<ListRequest>) -> Result<DeletedPage> {
        let ListRequest { vault, page_size, page_token, include_pending } = &*wanted;
        let paging = self.context.paging(List::Deleted, scope(vault, *include_pending));
        let position = paging.position(page_token)?;
        let mut page = Page::new(wanted.shown(vault, key::deleted_of(vault)), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            let (keys, listed): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            for (key, item) in keys.into_iter().zip(self.deleted_items(&listed, *include_pending).await?) {
                page.take(key, item);
            }
        }
        Ok(DeletedPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// In the order of what is listed. `None` for one that is not to be shown, or was recovered or purged since the
    /// page was read, or whose records are damaged.
    async fn deleted_items(
        &self,
        listed: &[Option<DeletedRecord>],
        include_pending: bool,
    ) -> Result<Vec<Option<DeletedItem>>> {
        let place = |listed: &DeletedRecord| key::certificate(&listed.vault, &listed.name);
        let places: Vec<_> = listed.iter().map(|listed| listed.as_ref().map(place)).collect();
        let (mut entries, mut times) = (Vec::new(), Vec::new());
        for found in self.context.load_many(&places).await? {
            let deleted = shown(found)?.and_then(|entry: CertificateEntry| match entry.state {
                EntryState::Deleted { at, purge, .. } if include_pending || entry.latest.is_some() => {
                    Some((entry, (at, purge)))
                }
                _ => None,
            });
            let (entry, time) = deleted.unzip();
            entries.push(entry);
            times.push(time);
        }
        let vaults = listed.iter().map(|listed| listed.as_ref().map(|listed| self.context.recovery(&listed.vault)));
        let items = self.items(entries).await?.into_iter().zip(times).zip(vaults).map(|((item, times), recovery)| {
            let (item, (deleted, purge)) = item.zip(times)?;
            Some(DeletedItem { item, deleted, purge, recovery: recovery? })
        });
        Ok(items.collect())
    }

    /// What a list shows of the entries, in their order. The versions that entries do not say themselves are read, all
    /// at once. `None` if there is no entry, where it was purged since the page was read, or where its version is
    /// damaged or missing.
    async fn items(&self, entries: Vec<Option<CertificateEntry>>) -> Result<Vec<Option<Item>>> {
        let place = |entry: &CertificateEntry| {
            let latest = entry.latest.filter(|_| entry.current_summary().is_none())?;
            Some(key::version(&entry.vault, &entry.name, latest))
        };
        let places: Vec<_> = entries.iter().map(|entry| entry.as_ref().and_then(place)).collect();
        let versions = self.context.load_many(&places).await?;
        let mut items = Vec::with_capacity(entries.len());
        for (entry, version) in entries.into_iter().zip(versions) {
            items.push(match entry {
                Some(entry) => shown(self.item(entry, version).await)?,
                None => None,
            });
        }
        Ok(items)
    }

    /// `version` is the newest one as it was read, where the entry does not say what is shown.
    async fn item(&self, entry: CertificateEntry, version: Result<Option<Certificate>>) -> Result<Option<Item>> {
        match (entry.current_summary(), entry.latest) {
            (Some(summary), _) => {
                let summary = summary.clone();
                Ok(Some(Item::of(entry.vault, entry.name, summary)))
            }
            (None, Some(latest)) => match version? {
                Some(certificate) => Ok(Some(Item::of_version(certificate))),
                // Purged meanwhile, or missing.
                None => match self.entries.newest(&entry, latest).await {
                    Ok(certificate) => Ok(Some(Item::of_version(certificate))),
                    Err(error) if error.reason == Reason::CertificateNotFound => Ok(None),
                    Err(error) => Err(error),
                },
            },
            (None, None) => Ok(Some(Item::placeholder(entry))),
        }
    }
}

impl Item {
    fn of_version(certificate: Certificate) -> Self {
        let summary = VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0));
        Self::of(certificate.vault, certificate.name, summary)
    }

    fn of(vault: VaultName, name: CertificateName, summary: VersionSummary) -> Self {
        let VersionSummary { version, thumbprint, enabled, not_before, expires, created, updated, tags } = summary;
        Self {
            vault,
            name,
            version,
            thumbprint: Some(thumbprint.0),
            enabled,
            not_before,
            expires,
            created,
            updated,
            tags,
        }
    }

    fn placeholder(entry: CertificateEntry) -> Self {
        let (not_before, expires) = entry.projected();
        Self {
            vault: entry.vault,
            name: entry.name,
            version: entry.first_version,
            thumbprint: None,
            enabled: false,
            not_before,
            expires,
            created: entry.created,
            updated: entry.updated,
            tags: entry.tags,
        }
    }
}

/// What a list of certificates is asked for beside the size of its pages.
fn scope(vault: &VaultName, include_pending: bool) -> Vec<String> {
    vec![vault.to_string(), if include_pending { "all" } else { "completed" }.to_owned()]
}
