//! Reading, listing, cancelling and deleting pending operations.

use super::records::{self, PendingRecord, ShownPending, key};
use super::{CONFLICT_ATTEMPTS, Service, contended, put};
use crate::domain::pending::{Event, Transition, TransitionKind, not_found};
use crate::domain::{CertificateName, Error, Operation, RequestId, Result, Status, VaultName};
use crate::store::{Batch, Delete, Record};

/// The largest page of a list.
pub const MAX_PAGE: usize = 1000;

/// Most records that one page of a list looks at: where nearly all of them are in other states than those that were
/// asked for, the page ends early, with a token.
const MAX_SCAN: usize = 10 * MAX_PAGE;

/// A pending operation by its certificate; with a request id only that one.
#[derive(Clone, Debug)]
pub struct PendingRef {
    pub vault: VaultName,
    pub name: CertificateName,
    pub request_id: Option<RequestId>,
}

/// Which operations to list.
#[derive(Clone, Debug)]
pub struct ListPending {
    /// `None`: every vault.
    pub vault: Option<VaultName>,
    /// Compares without case, as names do.
    pub prefix: String,
    /// Empty: every status.
    pub statuses: Vec<Status>,
    /// 1 to [`MAX_PAGE`].
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
}

/// A page of operations in the order of their names.
#[derive(Clone, Debug)]
pub struct PendingPage {
    pub operations: Vec<Operation>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// Everything since the first page was read comes after this token.
    pub resume_token: String,
}

impl Service {
    /// The operation and a token for what comes after. [`crate::domain::Reason::PendingNotFound`]
    /// where there is none, or another than `request_id` says.
    pub async fn pending(&self, wanted: &PendingRef) -> Result<(Operation, String)> {
        let token = self.token_before_read();
        Ok((self.operation(wanted).await?, token))
    }

    /// The operation alone; errors as [`Service::pending`].
    pub async fn operation(&self, wanted: &PendingRef) -> Result<Operation> {
        let found = self.load::<ShownPending>(&key::pending(&wanted.vault, &wanted.name)).await?;
        found
            .map(|(_, shown)| shown.operation)
            .filter(|operation| wanted.request_id.is_none_or(|id| id == operation.request_id))
            .ok_or_else(|| not_found(&wanted.name))
    }

    pub(super) async fn load_pending(&self, wanted: &PendingRef) -> Result<(Record, PendingRecord)> {
        let found = self.load::<PendingRecord>(&key::pending(&wanted.vault, &wanted.name)).await?;
        found
            .filter(|(_, pending)| wanted.request_id.is_none_or(|id| id == pending.operation.request_id))
            .ok_or_else(|| not_found(&wanted.name))
    }

    /// Asks for the cancellation: the flag is set, the issuer (or, for a manual operation, the
    /// worker) decides later.
    pub async fn cancel(&self, wanted: &PendingRef) -> Result<(Operation, String)> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let (record, pending) = self.load_pending(wanted).await?;
            let now = self.now();
            let before = pending.operation.clone();
            let operation = before.clone().apply(Event::CancelRequested, now)?;
            if operation == before {
                return Ok((operation, self.hub.token(record.revision)));
            }
            let mut pending = PendingRecord { operation: operation.clone(), ..pending };
            let due = pending.hurry(&record, now, self.limits.lease);
            let batch = Batch {
                puts: vec![put(record.key, Some(record.revision), &pending, Some(due))?],
                events: vec![updated(&operation, &before)?],
                ..Batch::default()
            };
            if let Some(revision) = self.try_commit(batch).await? {
                return Ok((operation, self.hub.token(revision)));
            }
        }
        Err(contended())
    }

    /// Removes the operation in any state and answers it as it stood. The issuer of one that was
    /// in progress is told in the background.
    pub async fn delete_pending(&self, wanted: &PendingRef) -> Result<Operation> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let (record, mut pending) = self.load_pending(wanted).await?;
            let now = self.now();
            let operation = pending.operation.clone();
            let due = pending.hurry(&record, now, self.limits.lease);
            let mut batch = Batch {
                deletes: vec![Delete { key: record.key, expected: record.revision }],
                events: vec![records::encode(&Transition::gone(TransitionKind::Deleted, operation.clone(), now))?],
                ..Batch::default()
            };
            if operation.in_progress() && !operation.issuer.is_manual() {
                let tombstone = key::tombstone(&wanted.vault, operation.request_id);
                pending.deadline = self.cancelling_until(now);
                batch.puts.push(put(tombstone, None, &pending, Some(due))?);
            }
            if self.try_commit(batch).await?.is_some() {
                return Ok(operation);
            }
        }
        Err(contended())
    }

    /// A page of the operations of a vault, or of all. It may hold fewer than were asked for; only without a token
    /// it is the last one.
    pub async fn list_pending(&self, wanted: &ListPending) -> Result<PendingPage> {
        let prefix = key::pendings_of(wanted.vault.as_ref());
        let (resume_token, mut after) = match page_start(&wanted.page_token, &prefix)? {
            Some(start) => start,
            None => (self.token_before_read(), String::new()),
        };
        let name_prefix = wanted.prefix.to_ascii_lowercase();
        // One vault: the names are sorted, so the store can find the prefix itself.
        let scan = if wanted.vault.is_some() { format!("{prefix}{name_prefix}") } else { prefix };
        let size = wanted.page_size.clamp(1, MAX_PAGE);
        let (mut operations, mut looked) = (Vec::new(), 0);
        loop {
            let limit = if looked == 0 { size + 1 } else { MAX_PAGE };
            let page = self.store.list(&scan, &after, limit).await?;
            let full = page.len() == limit;
            looked += page.len();
            for record in page {
                let ShownPending { operation } = records::read(&record)?;
                let wanted_status = wanted.statuses.is_empty() || wanted.statuses.contains(&operation.status());
                if wanted_status && operation.certificate.key().starts_with(&name_prefix) {
                    if operations.len() == size {
                        let next_page_token = page_token(&resume_token, &after);
                        return Ok(PendingPage { operations, next_page_token, resume_token });
                    }
                    operations.push(operation);
                }
                after = record.key;
            }
            if !full || looked >= MAX_SCAN {
                let next_page_token = if full { page_token(&resume_token, &after) } else { String::new() };
                return Ok(PendingPage { operations, next_page_token, resume_token });
            }
        }
    }
}

/// The event of a change.
pub(super) fn updated(after: &Operation, before: &Operation) -> Result<Vec<u8>> {
    records::encode(&Transition {
        kind: TransitionKind::Updated,
        operation: after.clone(),
        previous: Some(before.status()),
        at: after.updated,
    })
}

/// The token of the first page travels with the pages, beside the last key.
fn page_token(resume_token: &str, after: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(format!("{resume_token} {after}"))
}

fn page_start(token: &str, prefix: &str) -> Result<Option<(String, String)>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    if token.is_empty() {
        return Ok(None);
    }
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let start = text.as_deref().and_then(|text| text.split_once(' ')).filter(|(_, after)| after.starts_with(prefix));
    match start {
        Some((resume_token, after)) => Ok(Some((resume_token.to_owned(), after.to_owned()))),
        None => Err(Error::field("page_token", "It is not a token of this list. Begin without one.")),
    }
}
