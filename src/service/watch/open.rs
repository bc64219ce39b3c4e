//! Following the log, and opening the streams of it.

use super::Subscriber;
use super::filter::{Filter, Snapshot, WatchRequest};
use super::ring::LogEvent;
use super::stream::{Session, WatchStream, unless_history_lost};
use super::timers::{Timers, draining};
use super::token::expired;
use crate::domain::{Error, Reason, Result};
use crate::service::access::Permit;
use crate::service::context::Context;
use crate::service::records::key;
use crate::store::Revision;
use std::collections::HashSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Follows the log, and opens streams.
#[derive(Clone)]
pub struct Watch {
    pub(super) context: Arc<Context>,
}

impl Watch {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Watch {
    /// Follows the log until `shutdown`; every process runs one.
    pub async fn tail(&self, shutdown: CancellationToken) {
        let observe = |event: &LogEvent| self.count(event);
        self.context.hub.tail(&*self.context.store, self.context.options.watch.page, &observe, shutdown).await;
    }

    /// How many watch streams are open.
    pub fn streams(&self) -> usize {
        self.context.hub.streams()
    }

    /// Opens a stream. `closing` ends it with a closing bookmark, to be resumed elsewhere.
    pub async fn open(
        &self,
        request: Permit<WatchRequest>,
        who: &Subscriber,
        closing: CancellationToken,
    ) -> Result<WatchStream> {
        let (mut request, _) = request.into_parts();
        request.check()?;
        if closing.is_cancelled() {
            return Err(draining());
        }
        if let (Some(id), Some(vault)) = (request.request_id, &request.vault) {
            // The operation's name finds it in the index.
            let known = self.context.load(&key::request(vault, id)).await?;
            let name = known.map(|(_, known)| known.certificate);
            match name.filter(|name| request.names.is_empty() || request.names.contains(name)) {
                Some(name) => request.names = vec![name],
                None => {
                    return Err(Error::new(
                        Reason::PendingNotFound,
                        format!("There is no pending operation with the request_id {id}."),
                    )
                    .with(crate::domain::Detail::Resource { kind: "pending", name: id.to_string() }));
                }
            }
        }
        // A name that is given twice is still one certificate.
        let mut once = HashSet::new();
        request.names.retain(|name| once.insert(name.key()));
        // In the index before the head is read: nothing that is committed from here on is missed.
        let slot = self.context.hub.enter(who, &request, self.context.limits())?;
        let known = *self.context.store.head().borrow();
        let resumed = !request.resume_token.is_empty();
        let (cursor, head) = if resumed { self.resume(&request.resume_token, known).await? } else { (known, known) };
        let snapshot = if resumed { Snapshot::None } else { request.snapshot() };
        let timers = Timers::new(&request, &self.context.options.watch, slot.id, closing);
        let session = Session::new(self.context.clone(), Filter::new(&request), slot, &request, cursor);
        Ok(session.stream(Box::new(request), snapshot, head, timers))
    }

    /// The position of a token that the log still reaches back to, and the present of the log. What this process
    /// has `known` of it may lag behind what another replica has acknowledged.
    async fn resume(&self, token: &str, known: Revision) -> Result<(Revision, Revision)> {
        let revision = self.context.hub.read_token(token)?;
        let page = self.context.store.events(revision, 1).await.map_err(unless_history_lost)?;
        let head = page.head.max(known);
        if revision < page.trimmed || revision > head {
            return Err(expired());
        }
        Ok((revision, head))
    }
}
