//! Pages of lists. A page token is opaque (AIP-158): it holds the position after the page, bound by a code to the list,
//! the vault and the filter, so that it is refused for any other list, and accepted on every replica.

use super::codec::{Codec, concerns_a_record};
use super::kinds::Stored;
use super::ranges::Ranges;
use crate::domain::{Detail, Error, Result};
use crate::keys::{Purpose, Sealer};
use crate::store::Store;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;

/// The largest page of a list.
pub const MAX_PAGE: usize = 1000;

const FORM: u8 = 1;
/// A code cut to 128 bits: a token grants nothing but a place to read on from.
const CODE_LEN: usize = 16;

/// The lists that there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::service) enum List {
    Certificates,
    Versions,
    Deleted,
    Pending,
    Issuers,
    Vaults,
    Secrets,
    SecretVersions,
    Keys,
    KeyVersions,
    Issued,
    Grants,
    Renewals,
    Audit,
    Installations,
    Webhooks,
    Deliveries,
}

impl List {
    const fn name(self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::Versions => "versions",
            Self::Deleted => "deleted",
            Self::Pending => "pending",
            Self::Issuers => "issuers",
            Self::Vaults => "vaults",
            Self::Secrets => "secrets",
            Self::SecretVersions => "secret versions",
            Self::Keys => "keys",
            Self::KeyVersions => "key versions",
            Self::Issued => "issued",
            Self::Grants => "grants",
            Self::Renewals => "renewals",
            Self::Audit => "audit",
            Self::Installations => "installations",
            Self::Webhooks => "webhooks",
            Self::Deliveries => "deliveries",
        }
    }
}

/// The tokens of one list with one filter.
pub(in crate::service) struct Paging<'a> {
    codec: &'a Codec,
    list: List,
    /// The vault and the other parameters of the list, except the page size.
    scope: Vec<String>,
}

impl<'a> Paging<'a> {
    pub(in crate::service) fn new(codec: &'a Codec, list: List, scope: Vec<String>) -> Self {
        Self { codec, list, scope }
    }

    /// The position that a token holds; `None` for the empty token, which begins the list.
    ///
    /// # Errors
    /// For anything that is not a token of this list.
    pub(in crate::service) fn position(&self, token: &str) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        self.read(token).map(Some).ok_or_else(|| {
            let problem = "Invalid page token; omit it to start from the first page.";
            Error::bad_parameter(problem)
                .with(Detail::Field { path: "page_token".to_owned(), problem: problem.to_owned() })
        })
    }

    /// The token for what is behind the position; empty if there is nothing.
    pub(in crate::service) fn token(&self, position: Option<&str>) -> String {
        let Some(position) = position else { return String::new() };
        let code = self.with_parts(position, |parts| self.codec.authenticator().code(Purpose::PageToken, parts));
        let mut bytes = Vec::with_capacity(1 + CODE_LEN + position.len());
        bytes.push(FORM);
        bytes.extend_from_slice(&code[..CODE_LEN]);
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (code, position) = bytes.strip_prefix(&[FORM])?.split_at_checked(CODE_LEN)?;
        let position = std::str::from_utf8(position).ok()?;
        let authenticator = self.codec.authenticator();
        let ours = self.with_parts(position, |parts| authenticator.verifies_truncated(Purpose::PageToken, parts, code));
        ours.then(|| position.to_owned())
    }

    fn with_parts<R>(&self, position: &str, work: impl FnOnce(&[&[u8]]) -> R) -> R {
        let mut parts = vec![self.list.name().as_bytes(), position.as_bytes()];
        parts.extend(self.scope.iter().map(String::as_bytes));
        work(&parts)
    }
}

/// Whether a list takes this as the token of a page.
pub(crate) fn reads_a_page_token(sealer: &Arc<Sealer>, token: &str) -> bool {
    let codec = Codec::new(Arc::clone(sealer));
    [List::Certificates, List::Pending, List::Vaults].into_iter().any(|list| {
        let scope = if list == List::Vaults { Vec::new() } else { vec!["default".to_owned()] };
        matches!(Paging::new(&codec, list, scope).position(token), Ok(Some(_)))
    })
}

/// How many records one page reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Bounds {
    /// At once, where the first read did not fill the page.
    more: usize,
    /// At most: where nearly all records are not to be shown, the page ends early, with a token.
    most: usize,
}

impl Bounds {
    /// Of lists that show most of what they read.
    pub(in crate::service) const USUAL: Self = Self { more: 100, most: 1000 };
    /// Of a list that may be asked for the few that are in some state.
    pub(in crate::service) const WIDE: Self = Self { more: 1000, most: 10_000 };
}

/// A page while it fills: of values `T` it shows items `I`.
pub(in crate::service) struct Page<T, I> {
    ranges: Ranges<T>,
    /// The last key that was looked at.
    after: String,
    size: usize,
    bounds: Bounds,
    scanned: usize,
    pub(in crate::service) items: Vec<I>,
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

impl<T: Stored, I> Page<T, I> {
    /// `position` as of [`Page::position`]; `size` is from 1 to [`MAX_PAGE`].
    pub(in crate::service) fn new(ranges: Ranges<T>, position: Option<String>, size: usize, bounds: Bounds) -> Self {
        let after = position.map(|position| format!("{}{position}", ranges.prefix())).unwrap_or_default();
        let size = size.clamp(1, MAX_PAGE);
        Self { ranges, after, size, bounds, scanned: 0, items: Vec::new(), state: Filling::Open }
    }

    /// The next values to look at, each with its key: as many as there are places, and one more to know whether there
    /// is another page. `None` when the page is done. A record that does not verify has no value: it was logged, and
    /// the list goes on without it.
    pub(in crate::service) async fn next(
        &mut self,
        store: &dyn Store,
        codec: &Codec,
    ) -> Result<Option<Vec<(String, Option<T>)>>> {
        if self.state == Filling::Open && self.scanned >= self.bounds.most.max(self.size) {
            self.state = Filling::Full;
        }
        if self.state != Filling::Open {
            return Ok(None);
        }
        let limit = if self.scanned == 0 { self.size + 1 } else { self.bounds.more };
        let records = self.ranges.read(store, &self.after, limit).await?;
        if records.len() < limit {
            self.state = Filling::Ended;
        }
        Ok(Some(records.into_iter().map(|record| (codec.read(&record).ok(), record.key)).map(swapped).collect()))
    }

    /// One record that was read, and what it shows.
    pub(in crate::service) fn take(&mut self, key: String, item: Option<I>) {
        if self.state == Filling::Full {
            return;
        }
        if item.is_some() && self.items.len() == self.size {
            self.state = Filling::Full;
            return;
        }
        self.scanned += 1;
        self.after = key;
        self.items.extend(item);
    }

    /// What is behind is not to be looked at: unless the page is full, it is the last one.
    pub(in crate::service) fn end(&mut self) {
        if self.state == Filling::Open {
            self.state = Filling::Ended;
        }
    }

    /// Behind which key, without the prefix, there is more; `None` on the last page.
    pub(in crate::service) fn position(&self) -> Option<&str> {
        match self.state {
            Filling::Full => Some(self.after.strip_prefix(self.ranges.prefix()).unwrap_or_default()),
            Filling::Open | Filling::Ended => None,
        }
    }
}

fn swapped<A, B>((one, other): (A, B)) -> (B, A) {
    (other, one)
}

/// Of an item of a list that needs another record: nothing if that one is damaged or missing, which was logged.
pub(in crate::service) fn shown<I>(item: Result<Option<I>>) -> Result<Option<I>> {
    match item {
        Err(error) if concerns_a_record(&error) => Ok(None),
        item => item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MasterKeys, Sealer};
    use std::sync::Arc;

    fn codec(text: &str) -> Codec {
        Codec::new(Arc::new(Sealer::new(MasterKeys::from_text(text).unwrap())))
    }

    const KEYS: &str = "a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn a_token_is_read_back_on_every_replica() {
        let (one, other) = (codec(KEYS), codec(KEYS));
        for position in ["web", "", "a b", "v/web"] {
            let token = Paging::new(&one, List::Pending, vec!["v".to_owned()]).token(Some(position));
            let read = Paging::new(&other, List::Pending, vec!["v".to_owned()]).position(&token).unwrap();
            assert_eq!(read.as_deref(), Some(position));
        }
    }

    #[test]
    fn a_token_of_another_list_vault_or_filter_and_a_made_up_one_are_refused() {
        let codec = codec(KEYS);
        let scope = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        let token = Paging::new(&codec, List::Keys, scope(&["v", ""])).token(Some("web"));
        for (list, parts) in
            [(List::Secrets, &["v", ""][..]), (List::Keys, &["w", ""]), (List::Keys, &["v", "p"]), (List::Keys, &["v"])]
        {
            assert!(Paging::new(&codec, list, scope(parts)).position(&token).is_err(), "{list:?} {parts:?}");
        }
        let paging = Paging::new(&codec, List::Keys, scope(&["v", ""]));
        assert_eq!(paging.position("").unwrap(), None);
        for made_up in ["web", "AA", &token[1..], &format!("{token}AA"), &"A".repeat(80)] {
            let error = paging.position(made_up).unwrap_err();
            assert_eq!(error.message, "Invalid page token; omit it to start from the first page.", "{made_up}");
        }
    }
}
