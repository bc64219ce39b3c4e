//! Certificates: creating and importing, reading and changing, deleting and bringing back.

mod backup;
mod compromised;
mod create;
mod deleted;
mod entries;
mod import;
mod list;
mod purge;
mod restored;
mod update;
mod view;

pub(crate) use backup::reads_a_backup;
pub(super) use compromised::disable_if_reported;
pub(super) use create::Renewing;
pub use create::{CreateRequest, Created, Creations};
pub use deleted::DeletedView;
pub(super) use entries::{Entries, not_found};
pub use import::ImportRequest;
pub use list::{DeletedItem, DeletedPage, Item, ItemPage, ListRequest};
pub use update::UpdateRequest;
pub use view::CertificateView;

use super::ca::IssuedLog;
use super::context::Context;
use std::sync::Arc;

/// Reads, imports, changes, lists, saves and restores certificates.
#[derive(Clone)]
pub struct Certificates {
    context: Arc<Context>,
    entries: Entries,
    deletions: Deletions,
}

impl Certificates {
    pub(super) fn new(context: Arc<Context>, entries: Entries, deletions: Deletions) -> Self {
        Self { context, entries, deletions }
    }
}

/// Deletes certificates, brings them back, and removes them for good.
#[derive(Clone)]
pub struct Deletions {
    context: Arc<Context>,
    entries: Entries,
    log: IssuedLog,
}

impl Deletions {
    pub(super) fn new(context: Arc<Context>, entries: Entries) -> Self {
        Self { log: IssuedLog::new(context.clone()), context, entries }
    }
}
