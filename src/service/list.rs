//! Lists of certificates, of their versions, and of deleted ones. A page reads about as many records
//! as it shows, however many there are.

use super::records::{self, DeletedRecord, key};
use super::{Service, pending};
use crate::domain::{
    Certificate, CertificateEntry, CertificateName, EntryState, Error, Reason, Recovery, Result, Tags, Timestamp,
    VaultName, Version, VersionSummary,
};
use crate::keys::chain;
use crate::store::Record;

/// Records read at once to fill a page that the first read did not fill.
const MORE: usize = 100;
/// Most records that one page looks at: where nearly all of them are not to be shown, the page ends
/// early, with a token.
const MAX_SCAN: usize = 1000;

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub vault: VaultName,
    /// 1 to [`pending::MAX_PAGE`].
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
        let after = name_token(page_token)?.map(|name| key::certificate(vault, &name));
        let mut page = Page::new(key::certificates_of(vault), after, *page_size);
        while let Some(records) = page.next(self).await? {
            for record in records {
                let entry: CertificateEntry = records::read(&record)?;
                let shown = entry.state == EntryState::Live && (*include_pending || entry.latest.is_some());
                let item = if shown { self.item(entry).await? } else { None };
                page.take(&record, item);
            }
        }
        Ok(ItemPage { next_page_token: page.token(), items: page.items })
    }

    /// The completed versions of a certificate, in no order that means anything.
    pub async fn list_versions(&self, wanted: &ListRequest, name: &CertificateName) -> Result<ItemPage> {
        let ListRequest { vault, page_size, page_token, include_pending: _ } = wanted;
        let after = match page_token.as_str() {
            "" => None,
            text => Some(key::version(vault, name, Version::parse(text).map_err(|_| bad_token())?)),
        };
        // Key Vault has an empty list for a name that it does not know.
        match self.live(vault, name).await {
            Ok(_) => {}
            Err(error) if error.reason == Reason::CertificateNotFound => {
                return Ok(ItemPage { items: Vec::new(), next_page_token: String::new() });
            }
            Err(error) => return Err(error),
        }
        let mut page = Page::new(key::versions_of(vault, name), after, *page_size);
        while let Some(records) = page.next(self).await? {
            for record in records {
                let certificate: Certificate = records::read(&record)?;
                let summary = VersionSummary::of(&certificate, chain::thumbprint(&certificate.cer.0));
                page.take(&record, Some(Item::of(certificate.vault, certificate.name, summary)));
            }
        }
        Ok(ItemPage { next_page_token: page.token(), items: page.items })
    }

    /// The deleted certificates of a vault.
    pub async fn list_deleted(&self, wanted: &ListRequest) -> Result<DeletedPage> {
        let ListRequest { vault, page_size, page_token, include_pending } = wanted;
        let after = name_token(page_token)?.map(|name| key::deleted(vault, &name));
        let mut page = Page::new(key::deleted_of(vault), after, *page_size);
        while let Some(records) = page.next(self).await? {
            for record in records {
                let DeletedRecord { vault, name } = records::read(&record)?;
                let entry = self.load::<CertificateEntry>(&key::certificate(&vault, &name)).await?;
                let item = match entry.map(|(_, entry)| (entry.state, entry)) {
                    Some((EntryState::Deleted { at, purge }, entry)) if *include_pending || entry.latest.is_some() => {
                        self.item(entry).await?.map(|item| {
                            let recovery = self.recovery(&item.vault);
                            DeletedItem { item, deleted: at, purge, recovery }
                        })
                    }
                    // Not to be shown, or recovered or purged since the page was read.
                    _ => None,
                };
                page.take(&record, item);
            }
        }
        Ok(DeletedPage { next_page_token: page.token(), items: page.items })
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

fn name_token(token: &str) -> Result<Option<CertificateName>> {
    if token.is_empty() {
        return Ok(None);
    }
    CertificateName::parse(token).map(Some).map_err(|_| bad_token())
}

fn bad_token() -> Error {
    Error::field("page_token", "It is not a token of this list. Begin without one.")
}

/// A page while it fills.
struct Page<T> {
    prefix: String,
    /// The last key that was looked at.
    after: String,
    size: usize,
    scanned: usize,
    items: Vec<T>,
    state: Filling,
}

#[derive(PartialEq)]
enum Filling {
    Open,
    /// There is more behind `after`.
    Full,
    /// There is nothing more.
    Ended,
}

impl<T> Page<T> {
    fn new(prefix: String, after: Option<String>, size: usize) -> Self {
        let size = size.clamp(1, pending::MAX_PAGE);
        Self { prefix, after: after.unwrap_or_default(), size, scanned: 0, items: Vec::new(), state: Filling::Open }
    }

    /// The next records to look at: as many as there are places, and one more to know whether there
    /// is another page. `None` when the page is done.
    async fn next(&mut self, service: &Service) -> Result<Option<Vec<Record>>> {
        if self.state == Filling::Open && self.scanned >= MAX_SCAN.max(self.size) {
            self.state = Filling::Full;
        }
        if self.state != Filling::Open {
            return Ok(None);
        }
        let limit = if self.scanned == 0 { self.size + 1 } else { MORE };
        let records = service.store.list(&self.prefix, &self.after, limit).await?;
        if records.len() < limit {
            self.state = Filling::Ended;
        }
        Ok(Some(records))
    }

    /// One record that was looked at, and what it shows.
    fn take(&mut self, record: &Record, item: Option<T>) {
        if self.state == Filling::Full {
            return;
        }
        if item.is_some() && self.items.len() == self.size {
            self.state = Filling::Full;
            return;
        }
        self.scanned += 1;
        self.after.clone_from(&record.key);
        self.items.extend(item);
    }

    fn token(&self) -> String {
        match self.state {
            Filling::Full => self.after.strip_prefix(&self.prefix).unwrap_or_default().to_owned(),
            Filling::Open | Filling::Ended => String::new(),
        }
    }
}
