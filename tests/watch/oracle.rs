//! The oracle: what every stream must have shown, computed from the log alone.

use crate::watch::model::{Connection, End, Log, Seen, concerns, is_end, kind, shows};
use certmint::domain::pending::{Transition, TransitionKind};
use certmint::domain::{Operation, Reason, RequestId, Status, VaultName};
use certmint::service::watch::{Bookmark, Snapshot};
use certmint::store::Revision;
use std::collections::{HashMap, HashSet};

/// The log is a valid history, and contains everything acknowledged.
pub(crate) fn judge_log(log: &Log, created: &[(VaultName, RequestId)]) {
    let mut alive: HashMap<String, RequestId> = HashMap::new();
    let mut last: HashMap<RequestId, &Transition> = HashMap::new();
    let mut before = 0;
    for (at, transition) in &log.events {
        assert!(*at > before, "the log has {at} after {before}");
        before = *at;
        let operation = &transition.operation;
        let (id, place) = (operation.request_id, format!("{}/{}", operation.vault, operation.certificate.key()));
        if transition.kind == TransitionKind::Created {
            assert_eq!(alive.insert(place, id), None, "created while another one was there: {transition:?}");
            assert_eq!((operation.revision, transition.previous), (1, None));
        } else {
            let previous = last[&id];
            assert!(!is_end(previous), "an event after the end: {transition:?}");
            assert_eq!(operation.revision, previous.operation.revision + 1, "a gap before {transition:?}");
            assert_eq!(transition.previous, Some(previous.operation.status()));
            assert_eq!(alive.get(&place), Some(&id));
            if is_end(transition) {
                alive.remove(&place);
            }
        }
        last.insert(id, transition);
    }
    for (vault, id) in created {
        assert!(last.contains_key(id), "{vault}/{id} was acknowledged and is not in the log");
    }
}

/// Panics with what is wrong with one stream.
pub(crate) fn judge(log: &Log, connection: &Connection) {
    judge_end(log, connection);
    let through = judge_order(log, connection);
    let received: Vec<Revision> = connection.seen.iter().filter_map(event_at).collect();
    let due = |after: Revision| -> Vec<Revision> {
        let expected = |transition: &Transition| admits(connection, transition);
        let through = through.unwrap_or(after);
        log.events.iter().filter(|(at, t)| *at > after && *at <= through && expected(t)).map(|(at, _)| *at).collect()
    };
    match (connection.resumed, kind(&connection.request)) {
        (Some(token), _) => assert_eq!(received, due(token), "{connection:#?}"),
        (None, Snapshot::None) => {
            // It began somewhere while it was opened.
            let due = due(connection.heads.before);
            assert!(due.ends_with(&received), "{received:?} of {due:?}: {connection:#?}");
            let missing = &due[..due.len() - received.len()];
            assert!(missing.iter().all(|at| *at <= connection.heads.opened), "{missing:?}: {connection:#?}");
        }
        (None, kind) => judge_snapshot(log, connection, kind, through),
    }
}

fn event_at(seen: &Seen) -> Option<Revision> {
    match seen {
        Seen::Event { at, .. } => Some(*at),
        Seen::Snapshot(_) | Seen::Bookmark { .. } => None,
    }
}

fn admits(connection: &Connection, transition: &Transition) -> bool {
    concerns(&connection.request, &transition.operation) && shows(&connection.request, &transition.operation)
}

/// Snapshot, events and bookmarks in the order of the contract, events as they are in the log;
/// answers up to where the stream told everything.
fn judge_order(log: &Log, connection: &Connection) -> Option<Revision> {
    let mut through = None;
    let (mut caught_up, mut began, mut closed) = (false, false, false);
    for seen in &connection.seen {
        assert!(!closed, "a message after the closing bookmark: {connection:#?}");
        let at = match seen {
            Seen::Snapshot(_) => {
                assert!(!began && connection.resumed.is_none(), "a snapshot in the middle: {connection:#?}");
                continue;
            }
            Seen::Event { at, transition } => {
                let index = log.events.binary_search_by_key(at, |(at, _)| *at).expect("an event of the log");
                assert_eq!(&log.events[index].1, &**transition, "not as it is in the log");
                assert!(admits(connection, transition), "the filter does not admit {transition:?}: {connection:#?}");
                assert!(through.is_none_or(|through| *at > through), "{at} came late: {connection:#?}");
                Some(*at)
            }
            Seen::Bookmark { kind: Bookmark::CaughtUp, at } => {
                assert!(!caught_up && at.is_some_and(|at| at >= connection.heads.before), "{connection:#?}");
                caught_up = true;
                *at
            }
            Seen::Bookmark { kind: Bookmark::Heartbeat, at } => {
                assert!(caught_up && at.is_some(), "{connection:#?}");
                *at
            }
            Seen::Bookmark { kind: Bookmark::Closing, at } => {
                closed = true;
                assert!(at.is_some() || !began, "a closing bookmark lost its token: {connection:#?}");
                *at
            }
        };
        began = true;
        assert!(at.is_none() || at >= through, "a bookmark went back: {connection:#?}");
        through = at.or(through);
    }
    assert!(through.is_none_or(|through| through <= connection.heads.end), "a token of the future: {connection:#?}");
    through
}

fn judge_end(log: &Log, connection: &Connection) {
    let Connection { request, heads, seen, end, .. } = connection;
    match end {
        End::Left => {}
        End::Finished => {
            assert!(request.until_terminal, "ended by itself: {connection:#?}");
            for id in operations(seen) {
                let over = log.of(id).rev().find(|(at, _)| *at <= heads.end).is_some_and(|(_, transition)| {
                    is_end(transition) || transition.operation.status() != Status::InProgress
                });
                assert!(over, "{id} had not ended: {connection:#?}");
            }
        }
        End::Failed(error) => match error.reason {
            Reason::PendingNotFound => {
                let known = request.request_id.and_then(|id| log.of(id).next()).map(|(_, transition)| transition);
                let fits = known.is_some_and(|transition| {
                    request.names.is_empty() || request.names.contains(&transition.operation.certificate)
                });
                assert!(seen.is_empty() && !fits, "a known operation was not found: {connection:#?}");
            }
            Reason::ServerDraining if seen.is_empty() => {}
            Reason::ServerDraining | Reason::WatchMaxAge | Reason::DeadlineExceeded => {
                let closing = matches!(seen.last(), Some(Seen::Bookmark { kind: Bookmark::Closing, .. }));
                assert!(closing, "ended without a closing bookmark: {connection:#?}");
                assert!(error.reason != Reason::DeadlineExceeded || request.deadline.is_some(), "{connection:#?}");
            }
            _ => panic!("an end that the contract does not know: {connection:#?}"),
        },
    }
}

fn operations(seen: &[Seen]) -> HashSet<RequestId> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Snapshot(operation) => Some(operation.request_id),
            Seen::Event { transition, .. } => Some(transition.operation.request_id),
            Seen::Bookmark { .. } => None,
        })
        .collect()
}

/// Each operation: the state of the snapshot and every later one, or, where the snapshot had none,
/// every one since its own reason to be absent.
fn judge_snapshot(log: &Log, connection: &Connection, kind: Snapshot, through: Option<Revision>) {
    let mut shown: HashMap<RequestId, &Operation> = HashMap::new();
    for seen in &connection.seen {
        if let Seen::Snapshot(operation) = seen {
            let twice = shown.insert(operation.request_id, operation);
            assert!(twice.is_none(), "twice in one snapshot: {connection:#?}");
            judge_state(log, connection, kind, operation);
        }
    }
    let Some(through) = through else { return }; // the snapshot was not complete
    for id in log.by_operation.keys() {
        let due: Vec<&(Revision, Transition)> =
            log.of(*id).filter(|(at, transition)| *at <= through && admits(connection, transition)).collect();
        let received: Vec<Revision> = connection
            .seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Event { transition, .. } if transition.operation.request_id == *id))
            .filter_map(event_at)
            .collect();
        let revisions: Vec<Revision> = due.iter().map(|(at, _)| *at).collect();
        if let Some(state) = shown.get(id) {
            let later: Vec<Revision> = due
                .iter()
                .filter(|(_, transition)| transition.operation.revision > state.revision)
                .map(|(at, _)| *at)
                .collect();
            assert_eq!(received, later, "after the snapshot of {id}: {connection:#?}");
            continue;
        }
        assert!(revisions.ends_with(&received), "{id}: {received:?} of {revisions:?}: {connection:#?}");
        if let Some((at, missing)) = due[..due.len() - received.len()].last() {
            assert!(
                was_absent(log, connection, kind, *at, missing),
                "{id} is missing from the snapshot, and its events too: {missing:?} at {at}, {connection:#?}"
            );
        }
    }
}

/// A state of a snapshot is one of the log, expected, and was current while the snapshot was read.
fn judge_state(log: &Log, connection: &Connection, kind: Snapshot, operation: &Operation) {
    let expected = concerns(&connection.request, operation) && shows(&connection.request, operation);
    assert!(expected && (kind == Snapshot::All || operation.in_progress()), "not asked for: {connection:#?}");
    let known = log.of(operation.request_id).any(|(_, t)| !is_end(t) && t.operation == *operation);
    assert!(known, "a state that never was: {operation:?}");
    let next = log.of(operation.request_id).find(|(_, t)| t.operation.revision > operation.revision);
    assert!(
        next.is_none_or(|(at, _)| *at > connection.heads.before),
        "an old state of {}: {connection:#?}",
        operation.request_id
    );
}

/// Whether a later state explains why the snapshot did not show the operation.
fn was_absent(log: &Log, connection: &Connection, kind: Snapshot, at: Revision, missing: &Transition) -> bool {
    let heads = connection.heads;
    let since = log.of(missing.operation.request_id).filter(|(at, transition)| {
        *at <= heads.caught_up && transition.operation.revision >= missing.operation.revision
    });
    let mut since = since.map(|(_, transition)| transition);
    let over = |transition: &Transition| kind == Snapshot::InProgress && !transition.operation.in_progress();
    let hidden = |transition: &Transition| !shows(&connection.request, &transition.operation);
    if at <= heads.opened {
        since.any(|transition| is_end(transition) || over(transition) || hidden(transition))
    } else {
        // The log had to tell it, unless the snapshot was read in a later state that is filtered out.
        since.any(|transition| !is_end(transition) && !over(transition) && hidden(transition))
    }
}
