//! A client that watches with random filters, is slow at times, goes away, and resumes.

use crate::permit::permit;
use crate::watch::dice::Dice;
use crate::watch::harness::VAULTS;
use crate::watch::model::{Connection, End, Heads, Seen, position};
use crate::watch::random_run::Shared;
use crate::watch::writer::NAMES;
use certmint::domain::{CertificateName, Status, VaultName};
use certmint::service::watch::{Bookmark, Snapshot, Subscriber, WatchItem, WatchRequest};
use certmint::store::{Revision, Store};
use futures_util::StreamExt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longer than any heartbeat of the run: a stream that says nothing for so long is stuck.
const SILENCE: Duration = Duration::from_secs(120);

/// Watches until the run is over, and writes down what it sees.
pub(crate) async fn run(shared: Shared, mut dice: Dice, number: usize) {
    let mut request = any_request(&shared, &mut dice);
    let mut token = String::new();
    while !shared.over.is_cancelled() {
        request.resume_token.clone_from(&token);
        let Some(connection) = connect(&shared, &request, &mut dice, number, &mut token).await else { continue };
        let finished = matches!(connection.end, End::Finished);
        shared.connections.lock().unwrap().push(connection);
        if finished || token.is_empty() || dice.percent(40) {
            request = any_request(&shared, &mut dice);
        }
        // Another filter may go on from the same token; a new start forgets it.
        if dice.percent(50) {
            token.clear();
        }
    }
}

async fn connect(
    shared: &Shared,
    request: &WatchRequest,
    dice: &mut Dice,
    number: usize,
    token: &mut String,
) -> Option<Connection> {
    let (service, store, closing, cut) = {
        let life = shared.life.read().await;
        let life = life.as_ref()?;
        (life.service.clone(), Arc::downgrade(&life.store), life.closing.clone(), life.cut.clone())
    };
    let doorbell = store.upgrade()?.head();
    let resumed = (!request.resume_token.is_empty()).then(|| position(&request.resume_token));
    let before = *doorbell.borrow();
    let who = Subscriber { principal: format!("watcher-{number}"), connection: number as u64 };
    let opened = service.watch().open(permit(&service, request.clone()).await, &who, closing).await;
    let now = *doorbell.borrow();
    let heads = Heads { before, opened: now, caught_up: now, end: now };
    let mut connection = Connection { request: request.clone(), resumed, heads, seen: Vec::new(), end: End::Left };
    match opened {
        Ok(stream) => listen(stream, &mut connection, &store, &cut, dice, token).await,
        Err(error) => connection.end = End::Failed(error),
    }
    Some(connection)
}

async fn listen(
    mut stream: certmint::service::watch::WatchStream,
    connection: &mut Connection,
    store: &Weak<dyn Store>,
    cut: &CancellationToken,
    dice: &mut Dice,
    token: &mut String,
) {
    let stays = if dice.percent(40) { usize::MAX } else { dice.below(40) };
    let slow = dice.percent(50);
    let mut caught_up = false;
    while connection.seen.len() < stays {
        let item = tokio::select! {
            () = cut.cancelled() => break,
            item = tokio::time::timeout(SILENCE, stream.next()) => item.expect("the stream is silent"),
        };
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(error)) => {
                connection.end = End::Failed(error);
                break;
            }
            None => {
                connection.end = End::Finished;
                break;
            }
        };
        if matches!(item, WatchItem::Bookmark { kind: Bookmark::CaughtUp, .. }) {
            caught_up = true;
            connection.heads.caught_up = head(store).await;
        }
        connection.seen.push(match item {
            WatchItem::Snapshot(operation) => Seen::Snapshot(operation),
            WatchItem::Event(event) => {
                token.clone_from(&event.resume_token);
                assert_eq!(position(token), event.revision, "the token of an event is its own position");
                Seen::Event { at: event.revision, transition: Box::new(event.transition.clone()) }
            }
            WatchItem::Bookmark { kind, resume_token } => {
                token.clone_from(&resume_token);
                Seen::Bookmark { kind, at: (!resume_token.is_empty()).then(|| position(&resume_token)) }
            }
        });
        // Slow where it is dangerous: in the middle of a snapshot, and after a bookmark.
        let pause = match connection.seen.last() {
            Some(Seen::Snapshot(_)) => 5,
            Some(Seen::Bookmark { .. }) => 80,
            _ => 20,
        };
        if slow && dice.percent(50) {
            tokio::time::sleep(Duration::from_millis(dice.below(pause) as u64)).await;
        }
    }
    connection.heads.end = head(store).await;
    if !caught_up {
        connection.heads.caught_up = connection.heads.end;
    }
}

/// What readers can see by now, which may be more than the doorbell said; everything where the
/// server is gone.
async fn head(store: &Weak<dyn Store>) -> Revision {
    let Some(store) = store.upgrade() else { return Revision::MAX };
    store.events(0, 1).await.map_or(Revision::MAX, |page| page.head)
}

fn any_request(shared: &Shared, dice: &mut Dice) -> WatchRequest {
    let names = |dice: &mut Dice| {
        let mut names = Vec::new();
        for _ in 0..1 + dice.below(3) {
            names.push(CertificateName::parse(dice.one_of(&NAMES)).unwrap());
        }
        names
    };
    let statuses = [Status::InProgress, Status::Completed, Status::Cancelled, Status::Failed];
    let created = shared.created.lock().unwrap();
    let known = (dice.percent(25) && !created.is_empty()).then(|| dice.one_of(&created));
    drop(created);
    let vault = match &known {
        Some((vault, _)) => Some(vault.clone()),
        None if dice.percent(25) => None,
        None => Some(VaultName::parse(dice.one_of(&VAULTS)).unwrap()),
    };
    let names = if dice.percent(35) && known.is_none() { names(dice) } else { Vec::new() };
    WatchRequest {
        vault,
        until_terminal: (known.is_some() || !names.is_empty()) && dice.percent(40),
        names,
        prefix: dice.one_of(&["", "", "", "web", "API-", "web-3", "nobody"]).to_owned(),
        request_id: known.map(|(_, id)| id),
        statuses: if dice.percent(60) {
            Vec::new()
        } else {
            (0..1 + dice.below(2)).map(|_| dice.one_of(&statuses)).collect()
        },
        resume_token: String::new(),
        snapshot: dice.one_of(&[None, Some(Snapshot::None), Some(Snapshot::InProgress), Some(Snapshot::All)]),
        heartbeat: dice.percent(50).then(|| Duration::from_millis(dice.below(60) as u64)),
        deadline: dice.percent(15).then(|| Duration::from_millis(dice.below(400) as u64)),
    }
}
