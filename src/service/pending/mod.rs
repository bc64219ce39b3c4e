//! Reading, listing, cancelling and deleting pending operations.

mod merge;

pub use merge::MergeRequest;

use crate::domain::pending::{Event, Transition, TransitionKind, not_found};
use crate::domain::{CertificateName, Operation, RequestId, Result, Status, VaultName};
use crate::service::access::{Permit, Right, Target};
use crate::service::ca::{Ended, IssuedLog};
use crate::service::context::Context;
use crate::service::records::{self, Bounds, List, Page, PendingRecord, Ranges, ShownPending, key};
use crate::service::retry::retry;
use crate::store::{Batch, Delete, Record};
use std::sync::Arc;

/// A pending operation by its certificate; with a request id only that one.
#[derive(Clone, Debug)]
pub struct PendingRef {
    pub vault: VaultName,
    pub name: CertificateName,
    pub request_id: Option<RequestId>,
}

impl Target for PendingRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
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
    /// 1 to [`MAX_PAGE`](crate::service::MAX_PAGE).
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
}

impl Target for ListPending {
    fn vault(&self) -> Option<&VaultName> {
        self.vault.as_ref()
    }
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

/// Reads, lists, cancels, completes and deletes pending operations.
#[derive(Clone)]
pub struct PendingOperations {
    context: Arc<Context>,
    log: IssuedLog,
}

impl PendingOperations {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { log: IssuedLog::new(context.clone()), context }
    }

    /// The operation and a token for what comes after. [`crate::domain::Reason::PendingNotFound`]
    /// where there is none, or another than `request_id` says.
    pub async fn pending(&self, wanted: Permit<PendingRef>) -> Result<(Operation, String)> {
        let token = self.context.token_before_read();
        Ok((self.operation(wanted).await?, token))
    }

    /// The operation alone; errors as [`PendingOperations::pending`].
    pub async fn operation(&self, wanted: Permit<PendingRef>) -> Result<Operation> {
        let found = self.context.load(&key::pending(&wanted.vault, &wanted.name).shown()).await?;
        found
            .map(|(_, shown)| shown.operation)
            .filter(|operation| wanted.request_id.is_none_or(|id| id == operation.request_id))
            .ok_or_else(|| not_found(&wanted.name))
    }

    pub(in crate::service) async fn load_pending(&self, wanted: &PendingRef) -> Result<(Record, PendingRecord)> {
        let found = self.context.load(&key::pending(&wanted.vault, &wanted.name)).await?;
        found
            .filter(|(_, pending)| wanted.request_id.is_none_or(|id| id == pending.operation.request_id))
            .ok_or_else(|| not_found(&wanted.name))
    }

    /// Asks for the cancellation: the flag is set, the issuer (or, for a manual operation, the
    /// worker) decides later.
    pub async fn cancel(&self, wanted: Permit<PendingRef>) -> Result<(Operation, String)> {
        retry!({
            let (record, pending) = self.load_pending(&wanted).await?;
            let now = self.context.now();
            let before = pending.operation.clone();
            let operation = before.clone().apply(Event::CancelRequested, now)?;
            if operation == before {
                return Ok(Some((operation, self.context.hub.token(record.revision))));
            }
            let mut pending = PendingRecord { operation: operation.clone(), ..pending };
            let due = pending.expedite(&record, now, self.context.limits().work_lease);
            let batch = Batch {
                puts: vec![self.context.records.replace(&record, &pending, Some(due))?],
                events: vec![updated(&operation, &before)?],
                ..Batch::default()
            };
            let committed = self.context.try_commit(batch).await?;
            Ok(committed.map(|revision| (operation, self.context.hub.token(revision))))
        })
    }

    /// Removes the operation in any state and answers it as it stood. The issuer of one that was
    /// in progress is notified in the background.
    pub async fn delete_pending(&self, wanted: Permit<PendingRef>) -> Result<Operation> {
        retry!({
            let (record, mut pending) = self.load_pending(&wanted).await?;
            let now = self.context.now();
            let operation = pending.operation.clone();
            let due = pending.expedite(&record, now, self.context.limits().work_lease);
            let mut batch = Batch {
                deletes: vec![Delete { key: record.key, expected: record.revision }],
                events: vec![records::encode_event(&Transition::gone(
                    TransitionKind::Deleted,
                    operation.clone(),
                    now,
                ))?],
                ..Batch::default()
            };
            if operation.in_progress() && !operation.issuer.is_manual() {
                let abandoned_order = key::abandoned_order(&wanted.vault, operation.request_id);
                pending.deadline = self.context.cancelling_until(now);
                batch.puts.push(self.context.records.put(&abandoned_order, None, &pending, Some(due))?);
            }
            let logged = match operation.in_progress() {
                true => self.log.end(&mut batch, pending.intent.as_ref(), Ended::Abandoned).await?,
                false => None,
            };
            let committed = self.context.try_commit(batch).await?;
            self.log.count(logged.filter(|_| committed.is_some()));
            Ok(committed.map(|_| operation))
        })
    }

    /// A page of the operations of a vault, or of all. It may hold fewer than were asked for; only without a token
    /// it is the last one.
    pub async fn list_pending(&self, wanted: Permit<ListPending>) -> Result<PendingPage> {
        let name_prefix = wanted.prefix.to_ascii_lowercase();
        let paging = self.context.paging(List::Pending, scope(&wanted, &name_prefix));
        // The token of the first page travels with the pages, before the position.
        let position = paging.position(&wanted.page_token)?;
        let position = position.as_deref().and_then(|position| position.split_once(' '));
        let resume_token = position.map_or_else(|| self.context.token_before_read(), |(token, _)| token.to_owned());
        let ranges = shown(&self.context, wanted.right(), wanted.vault.as_ref()).await?;
        // One vault: the names are sorted, so the store can find the prefix itself.
        let ranges = if wanted.vault.is_some() { ranges.beginning_with(&name_prefix) } else { ranges };
        let position = position.map(|(_, position)| position.to_owned());
        let mut page = Page::new(ranges, position, wanted.page_size, Bounds::WIDE);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, shown) in found {
                let operation = shown.map(|shown| shown.operation).filter(|operation| {
                    let wanted_status = wanted.statuses.is_empty() || wanted.statuses.contains(&operation.status());
                    wanted_status && operation.certificate.key().starts_with(&name_prefix)
                });
                page.take(key, operation);
            }
        }
        let position = page.position().map(|position| format!("{resume_token} {position}"));
        let next_page_token = paging.token(position.as_deref());
        Ok(PendingPage { operations: page.items, next_page_token, resume_token })
    }
}

/// The operations that a caller may see, of one vault or of all.
pub(in crate::service) async fn shown(
    context: &Context,
    right: &Right,
    vault: Option<&VaultName>,
) -> Result<Ranges<ShownPending>> {
    let (visible, whole) = (right.visible(), key::pendings_of(vault));
    if visible.is_everything() {
        return Ok(Ranges::whole(whole));
    }
    if let Some(vault) = vault {
        return Ok(Ranges::of(whole, &visible.names_in(vault)));
    }
    let vaults: Vec<VaultName> = match visible.vaults() {
        Some(vaults) => vaults.cloned().collect(),
        None => context.vaults.all_names().await?,
    };
    let list = |vault: &VaultName| (key::pendings_of(Some(vault)), visible.names_in(vault));
    Ok(Ranges::of_several(whole, vaults.iter().map(list).collect()))
}

/// What the list was asked for beside the size of its pages.
fn scope(wanted: &ListPending, name_prefix: &str) -> Vec<String> {
    let ListPending { vault, prefix: _, statuses, page_size: _, page_token: _ } = wanted;
    let vault = vault.as_ref().map_or_else(String::new, ToString::to_string);
    let mut statuses: Vec<String> = statuses.iter().map(|status| format!("{status:?}")).collect();
    statuses.sort_unstable();
    statuses.dedup();
    vec![vault, name_prefix.to_owned(), statuses.join(" ")]
}

/// The event of a change.
pub(in crate::service) fn updated(after: &Operation, before: &Operation) -> Result<Vec<u8>> {
    records::encode_event(&Transition {
        kind: TransitionKind::Updated,
        operation: after.clone(),
        previous: Some(before.status()),
        at: after.updated,
    })
}
