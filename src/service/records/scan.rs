//! Every record under a prefix, page by page, and what a look at all records tells.

use super::body;
use super::key::Place;
use super::kinds::Kind;
use crate::domain::Result;
use crate::store::{Record, Store, StoreError};

/// Records of one look.
const PAGE: usize = 500;

/// The records under a prefix, in the order of their keys. A record that is written behind the scan is not seen.
pub(in crate::service) struct Scan<'a> {
    store: &'a dyn Store,
    prefix: &'a str,
    after: String,
    over: bool,
}

impl<'a> Scan<'a> {
    pub(in crate::service) fn new(store: &'a dyn Store, prefix: &'a str) -> Self {
        Self { store, prefix, after: String::new(), over: false }
    }

    /// The next page, which is not empty; `None` after the last one.
    pub(in crate::service) async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        if self.over {
            return Ok(None);
        }
        let page = self.store.list(self.prefix, &self.after, PAGE).await?;
        self.over = page.len() < PAGE;
        if let Some(last) = page.last() {
            self.after.clone_from(&last.key);
        }
        Ok((!page.is_empty()).then_some(page))
    }
}

/// Whether any record carries a code.
pub(super) async fn holds_authenticated(store: &dyn Store) -> Result<bool> {
    any(store, body::carries_a_code).await
}

/// Whether any record carries none.
pub(super) async fn holds_bare(store: &dyn Store) -> Result<bool> {
    any(store, |body| !body::carries_a_code(body)).await
}

async fn any(store: &dyn Store, is_so: impl Fn(&[u8]) -> bool) -> Result<bool> {
    for kind in Kind::ALL {
        let mut scan = Scan::new(store, kind.prefix());
        while let Some(page) = scan.next().await? {
            if page.iter().any(|record| is_so(&record.body)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The certificate that a record belongs to, as `vault/name`.
pub(super) fn certificate_of(kind: Kind, record: &Record) -> Option<String> {
    let Place { vault, name, .. } = Place::of(&record.key)?;
    match kind {
        Kind::Certificate | Kind::Version | Kind::Pending | Kind::Suspended | Kind::Deleted | Kind::Purging => {
            Some(format!("{vault}/{name}"))
        }
        Kind::AbandonedOrder
        | Kind::Request
        | Kind::Repeat
        | Kind::Contacts
        | Kind::VaultRenewals
        | Kind::Vault
        | Kind::Issuer
        | Kind::Authority
        | Kind::Issued
        | Kind::IssuedByTime
        | Kind::IssuedByKey
        | Kind::IssuedAdoption
        | Kind::Revoked
        | Kind::Crl
        | Kind::Responder
        | Kind::IssuerState
        | Kind::IssuerHealth
        | Kind::Grant
        | Kind::Role
        | Kind::RightsChanges
        | Kind::Challenge
        | Kind::AuditLine
        | Kind::AuditKey
        | Kind::AuditVolume
        | Kind::Replica
        | Kind::Reseal
        | Kind::Parked
        | Kind::Installation
        | Kind::Webhook
        | Kind::ExpiryWatch
        | Kind::Delivery
        | Kind::DeadLetter
        | Kind::Meta => None,
    }
}
