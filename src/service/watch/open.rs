//! Following the log, and opening the streams of it.

use super::Subscriber;
use super::filter::{Filter, Snapshot, WatchRequest};
use super::ring::LogEvent;
use super::sight::Sight;
use super::stream::{Opening, Session, WatchStream, unless_history_lost};
use super::timers::{Timers, draining};
use super::token::expired;
use crate::domain::{CertificateName, Error, Reason, Result, Timestamp};
use crate::service::access::{Mode, Permit, Right, Rights};
use crate::service::context::Context;
use crate::service::pending::shown;
use crate::service::records::key;
use crate::store::Revision;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The end of a grant is looked for this often at least: the clock may be set.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

fn until(now: Timestamp, end: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(end.0.saturating_sub(now.0)).unwrap_or_default())
}

/// Follows the log, and opens streams.
#[derive(Clone)]
pub struct Watch {
    pub(super) context: Arc<Context>,
    rights: Arc<Rights>,
}

impl Watch {
    pub(in crate::service) fn new(context: Arc<Context>, rights: Arc<Rights>) -> Self {
        Self { context, rights }
    }
}

impl Watch {
    /// Follows the log until `shutdown`; every process runs one.
    pub async fn tail(&self, shutdown: CancellationToken) {
        let observe = |event: &LogEvent| self.count(event);
        let log =
            self.context.hub.tail(&*self.context.store, self.context.options.watch.page, &observe, shutdown.clone());
        tokio::join!(log, self.follow_rights(shutdown));
    }

    /// Wakes the streams when rights change, so that those that show too much end at once; also when a grant is over
    /// by itself.
    async fn follow_rights(&self, shutdown: CancellationToken) {
        if self.rights.mode() == Mode::Open {
            return;
        }
        let mut number = self.rights.number();
        // Ends up to here were told of. A change of the table does not move it: a grant may end while that is told.
        let mut told = self.context.now();
        loop {
            let now = self.context.now();
            // The clock may have been set back.
            told = told.min(now);
            let ends = self.rights.next_end(told).map_or(CLOCK_CHECK, |end| until(now, end).min(CLOCK_CHECK));
            tokio::select! {
                _ = number.changed() => self.context.hub.wake_all(),
                () = tokio::time::sleep(ends) => {
                    let now = self.context.now();
                    if self.rights.next_end(told).is_some_and(|end| end <= now) {
                        self.rights.touch();
                    }
                    told = now;
                }
                () = shutdown.cancelled() => return,
            }
        }
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
        request.check()?;
        let right = request.right().clone();
        let (mut request, caller) = request.into_parts();
        if closing.is_cancelled() {
            return Err(draining());
        }
        if let (Some(id), Some(vault)) = (request.request_id, &request.vault) {
            // The operation's name finds it in the index.
            let known = self.context.load(&key::request(vault, id)).await?;
            let name = known.map(|(_, known)| known.certificate);
            let visible = right.visible();
            let named = |name: &CertificateName| request.names.is_empty() || request.names.contains(name);
            match name.filter(|name| named(name) && visible.shows(vault, name.as_str())) {
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
        let sight = match &right {
            Right::Everything | Right::WouldDeny { .. } => None,
            Right::Grants(granted) => Some(Sight::new(&self.rights, &caller, granted, &request)),
        };
        let filter = Filter::new(&request, sight);
        let session = Session::new(self.context.clone(), filter, slot, &request, cursor);
        let ranges = shown(&self.context, &right, request.vault.as_ref()).await?;
        // One vault: the names are sorted, so the store can find the prefix itself.
        let one_vault = request.vault.is_some();
        let ranges = if one_vault { ranges.beginning_with(&request.prefix.to_ascii_lowercase()) } else { ranges };
        Ok(session.stream(Box::new(Opening { request, ranges }), snapshot, head, timers))
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
