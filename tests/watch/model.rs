//! What a watcher writes down, and the log as it is in the store.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::domain::pending::{Transition, TransitionKind};
use certmint::domain::{Error, Operation, RequestId};
use certmint::service::watch::{Bookmark, Snapshot, WatchRequest};
use certmint::store::{Revision, Store};
use std::collections::HashMap;

/// One message, with the position that its token stands for.
#[derive(Debug)]
pub(crate) enum Seen {
    Snapshot(Box<Operation>),
    Event {
        at: Revision,
        transition: Box<Transition>,
    },
    /// `None`: a bookmark without a token.
    Bookmark {
        kind: Bookmark,
        at: Option<Revision>,
    },
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The watcher went away, or the server broke off.
    Left,
    Finished,
    Failed(Error),
}

/// One stream from its opening to its end.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) request: WatchRequest,
    /// The position that it resumed from.
    pub(crate) resumed: Option<Revision>,
    pub(crate) heads: Heads,
    pub(crate) seen: Vec<Seen>,
    pub(crate) end: End,
}

/// The head of the log at four moments of a stream; the first two are what the doorbell said, as
/// the stream itself begins by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) before: Revision,
    pub(crate) opened: Revision,
    /// At the end where it never caught up.
    pub(crate) caught_up: Revision,
    pub(crate) end: Revision,
}

/// Every event, and the events of each operation.
pub(crate) struct Log {
    pub(crate) events: Vec<(Revision, Transition)>,
    pub(crate) by_operation: HashMap<RequestId, Vec<usize>>,
}

impl Log {
    pub(crate) async fn read(store: &dyn Store) -> Self {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let page = store.events(after, 1000).await.unwrap();
            assert_eq!(page.trimmed, 0, "this run keeps its whole log");
            let Some(last) = page.events.last() else { break };
            after = last.revision;
            for event in &page.events {
                let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
                let transition: Transition = serde_json::from_value(body["value"].clone()).unwrap();
                events.push((event.revision, transition));
            }
        }
        let mut by_operation: HashMap<RequestId, Vec<usize>> = HashMap::new();
        for (index, (_, transition)) in events.iter().enumerate() {
            by_operation.entry(transition.operation.request_id).or_default().push(index);
        }
        Self { events, by_operation }
    }

    /// The events of an operation, oldest first.
    pub(crate) fn of(&self, operation: RequestId) -> impl DoubleEndedIterator<Item = &(Revision, Transition)> {
        self.by_operation.get(&operation).into_iter().flatten().map(|index| &self.events[*index])
    }
}

/// The position inside a token. Clients must not look; a test of the tokens has to.
pub(crate) fn position(token: &str) -> Revision {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    Revision::from_be_bytes(bytes[1..9].try_into().unwrap())
}

/// The filters of a request but for `statuses`, written a second time.
pub(crate) fn concerns(request: &WatchRequest, operation: &Operation) -> bool {
    let name = operation.certificate.as_str().to_lowercase();
    let listed = |names: &[certmint::domain::CertificateName]| {
        names.iter().any(|expected| expected.as_str().to_lowercase() == name)
    };
    request.vault.as_ref().is_none_or(|vault| vault.as_str() == operation.vault.as_str())
        && (request.names.is_empty() || listed(&request.names))
        && name.starts_with(&request.prefix.to_lowercase())
        && request.request_id.is_none_or(|id| id.to_string() == operation.request_id.to_string())
}

pub(crate) fn shows(request: &WatchRequest, operation: &Operation) -> bool {
    request.statuses.is_empty() || request.statuses.contains(&operation.status())
}

pub(crate) fn is_end(transition: &Transition) -> bool {
    matches!(transition.kind, TransitionKind::Deleted | TransitionKind::Overwritten)
}

/// Which snapshot the request has: the rule of the contract, written a second time.
pub(crate) fn kind(request: &WatchRequest) -> Snapshot {
    let narrow = !request.names.is_empty() || request.request_id.is_some();
    request.snapshot.unwrap_or(if narrow { Snapshot::All } else { Snapshot::InProgress })
}
