//! Lists of certificates, of their versions, and of deleted ones. A page reads about as many records
//! as it shows, however many there are.

use super::Service;
use super::records::{Bounds, DeletedRecord, List, Page, key, shown};
use crate::domain::{
    CertificateEntry, CertificateName, EntryState, Reason, Recovery, Result, Tags, Timestamp, VaultName, Version,
    VersionSummary,
};
use crate::keys::chain;

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub vault: VaultName,
    /// 1 to [`MAX_PAGE`](super::MAX_PAGE).
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
    /// Also those of which no version was completed.
    pub include_pending: bool,
}

/// A certificate in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    pub vault: VaultName,
    pub name: CertificateName,
    /// The newest version, or the one that is listed; that of the placeholder where none was completed.
    pub version: Version,
    /// SHA-1 of the certificate; `None` where no version was completed.
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

impl Service {
    /// The certificates of a vault, each with its newest version.
    pub async fn list_certificates(&self, wanted: &ListRequest) -> Result<ItemPage> {
        let ListRequest { vault, page_size, page_token, include_pending } = wanted;
        let paging = self.paging(List::Certificates, scope(vault, *include_pending));
        let position = paging.position(page_token)?;
        let mut page = Page::new(key::certificates_of(vault), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.store, &self.records).await? {
            for (key, entry) in found {
                let entry = entry
                    .filter(|entry| entry.state == EntryState::Live && (*include_pending || entry.latest.is_some()));
                let item = match entry {
                    Some(entry) => shown(self.item(entry).await)?,
                    None => None,
                };
                page.take(key, item);
            }
        }
        Ok(ItemPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// The completed versions of a certificate, in no order that means anything.
    pub async fn list_versions(&self, wanted: &ListRequest, name: &CertificateName) -> Result<ItemPage> {
        let ListRequest { vault, page_size, page_token, include_pending: _ } = wanted;
        let paging = self.paging(List::Versions, vec![vault.to_string(), name.key()]);
        let position = paging.position(page_token)?;
        // Key Vault has an empty list for a name that it does not know.
        match self.live(vault, name).await {
            Ok(_) => {}
            Err(error) if error.reason == Reason::CertificateNotFound => {
                return Ok(ItemPage { items: Vec::new(), next_page_token: String::new() });
            }
            Err(error) => return Err(error),
        }
        let mut page = Page::new(key::versions_of(vault, name), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.store, &self.records).await? {
            for (key, certificate) in found {
                let item = certificate.map(|certificate| {
                    let summary = VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0));
                    Item::of(certificate.vault, certificate.name, summary)
                });
                page.take(key, item);
            }
        }
        Ok(ItemPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// The deleted certificates of a vault.
    pub async fn list_deleted(&self, wanted: &ListRequest) -> Result<DeletedPage> {
        let ListRequest { vault, page_size, page_token, include_pending } = wanted;
        let paging = self.paging(List::Deleted, scope(vault, *include_pending));
        let position = paging.position(page_token)?;
        let mut page = Page::new(key::deleted_of(vault), position, *page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.store, &self.records).await? {
            for (key, listed) in found {
                let item = match listed {
                    Some(listed) => shown(self.deleted_item(&listed, *include_pending).await)?,
                    None => None,
                };
                page.take(key, item);
            }
        }
        Ok(DeletedPage { next_page_token: paging.token(page.position()), items: page.items })
    }

    /// `None` for one that is not to be shown, or was recovered or purged since the page was read.
    async fn deleted_item(&self, listed: &DeletedRecord, include_pending: bool) -> Result<Option<DeletedItem>> {
        let DeletedRecord { vault, name } = listed;
        let entry = self.load(&key::certificate(vault, name)).await?;
        match entry.map(|(_, entry)| (entry.state, entry)) {
            Some((EntryState::Deleted { at, purge }, entry)) if include_pending || entry.latest.is_some() => {
                let recovery = self.recovery(vault);
                Ok(self.item(entry).await?.map(|item| DeletedItem { item, deleted: at, purge, recovery }))
            }
            _ => Ok(None),
        }
    }

    /// What a list shows of an entry; the version is read only where the entry does not say it.
    /// `None` where it was purged since the page was read.
    async fn item(&self, entry: CertificateEntry) -> Result<Option<Item>> {
        let summary = match (entry.current_summary(), entry.latest) {
            (Some(summary), _) => summary.clone(),
            (None, Some(latest)) => {
                let certificate = match self.newest(&entry, latest).await {
                    Ok(certificate) => certificate,
                    Err(error) if error.reason == Reason::CertificateNotFound => return Ok(None),
                    Err(error) => return Err(error),
                };
                VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0))
            }
            (None, None) => return Ok(Some(Item::placeholder(entry))),
        };
        Ok(Some(Item::of(entry.vault, entry.name, summary)))
    }
}

impl Item {
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
