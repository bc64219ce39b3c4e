//! Ends of streams that a random run reaches too rarely, one test each.

use crate::permit::{ask, permit};
use crate::watch::harness::{Life, set_issuers};
use crate::watch::writer::request;
use certmint::domain::{CertificateName, Operation, Reason, Result, Status, Timestamp, VaultName};
use certmint::keys::{MasterKeys, Sealer};
use certmint::service::PendingRef;
use certmint::service::watch::{Bookmark, Snapshot, Subscriber, WatchItem, WatchLimits, WatchRequest, WatchStream};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

/// A server with its folder.
struct Server {
    life: Life,
    _folder: tempfile::TempDir,
}

async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let limits = WatchLimits { page: 4, ring: 4, ..WatchLimits::default() };
    let life = Life::begin(&folder.path().join("certmint.db"), &sealer, limits).await;
    set_issuers(&life.service).await;
    Server { life, _folder: folder }
}

impl Server {
    async fn create(&self, name: &str, issuer: &str) -> (Operation, String) {
        let name = CertificateName::parse(name).unwrap();
        let created =
            ask!(self.life.service, creations.create(request(VaultName::default_vault(), name, issuer))).unwrap();
        (created.operation, created.resume_token)
    }

    async fn open(&self, request: WatchRequest, closing: &CancellationToken) -> Result<WatchStream> {
        let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
        let request = permit(&self.life.service, request).await;
        self.life.service.watch().open(request, &who, closing.clone()).await
    }

    /// Everything that a stream says until it ends, and how it ended.
    async fn watch(&self, request: WatchRequest, closing: &CancellationToken) -> (Vec<WatchItem>, Option<Reason>) {
        match self.open(request, closing).await {
            Ok(mut stream) => rest(&mut stream).await,
            Err(error) => (Vec::new(), Some(error.reason)),
        }
    }
}

/// What a stream shows until it has caught up.
async fn shown(stream: &mut WatchStream) -> Vec<WatchItem> {
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(HANG, stream.next()).await.expect("the stream is silent").expect("it goes on") {
            Ok(item) if is_bookmark(&item, Bookmark::CaughtUp) => return seen,
            Ok(item) => seen.push(item),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Everything that is left of a stream, and how it ended.
async fn rest(stream: &mut WatchStream) -> (Vec<WatchItem>, Option<Reason>) {
    let mut seen = Vec::new();
    loop {
        match tokio::time::timeout(HANG, stream.next()).await.expect("the stream does not end") {
            Some(Ok(item)) => seen.push(item),
            Some(Err(error)) => return (seen, Some(error.reason)),
            None => return (seen, None),
        }
    }
}

fn expected(name: &str) -> PendingRef {
    let name = CertificateName::parse(name).unwrap();
    PendingRef { vault: VaultName::default_vault(), name, request_id: None }
}

fn all() -> WatchRequest {
    WatchRequest { vault: Some(VaultName::default_vault()), ..WatchRequest::default() }
}

fn named(name: &str) -> WatchRequest {
    WatchRequest { names: vec![CertificateName::parse(name).unwrap()], until_terminal: true, ..all() }
}

fn is_bookmark(item: &WatchItem, expected: Bookmark) -> bool {
    matches!(item, WatchItem::Bookmark { kind, .. } if *kind == expected)
}

#[tokio::test]
async fn a_watch_until_the_end_that_resumes_after_the_end_is_over_at_once() {
    let server = server().await;
    let (_, resume_token) = server.create("web", "Self").await;
    // The token of the end itself: that of a read may be of the moment before.
    let (seen, _) = server.watch(WatchRequest { resume_token, ..named("web") }, &CancellationToken::new()).await;
    let tokens = seen.into_iter().filter_map(|item| match item {
        WatchItem::Event(event) => Some(event.resume_token.clone()),
        WatchItem::Snapshot(_) | WatchItem::Bookmark { .. } => None,
    });
    let resume_token = tokens.last().unwrap();
    let (seen, end) = server.watch(WatchRequest { resume_token, ..named("web") }, &CancellationToken::new()).await;
    assert_eq!(end, None);
    assert!(matches!(&seen[..], [caught_up] if is_bookmark(caught_up, Bookmark::CaughtUp)), "{seen:?}");
}

#[tokio::test]
async fn a_watch_until_the_end_that_resumes_before_the_end_sees_it() {
    let server = server().await;
    let (_, resume_token) = server.create("web", "Self").await;
    let (seen, end) = server.watch(WatchRequest { resume_token, ..named("web") }, &CancellationToken::new()).await;
    assert_eq!(end, None);
    let statuses: Vec<Status> = seen
        .iter()
        .filter_map(|item| match item {
            WatchItem::Event(event) => Some(event.transition.operation.status()),
            WatchItem::Snapshot(_) | WatchItem::Bookmark { .. } => None,
        })
        .collect();
    assert_eq!(statuses, [Status::Completed]);
}

#[tokio::test]
async fn a_watch_until_the_end_of_an_operation_that_is_gone_is_over_at_once() {
    let server = server().await;
    let (operation, _) = server.create("web", "Unknown").await;
    ask!(server.life.service, pending.delete_pending(expected("web"))).unwrap();
    let by_id = WatchRequest { request_id: Some(operation.request_id), until_terminal: true, ..all() };
    for snapshot in [Snapshot::None, Snapshot::InProgress, Snapshot::All] {
        let request = WatchRequest { snapshot: Some(snapshot), ..by_id.clone() };
        assert_eq!(server.watch(request, &CancellationToken::new()).await.1, None, "{snapshot:?}");
    }
}

#[tokio::test]
async fn without_a_snapshot_a_watch_until_the_end_waits_for_what_is_open() {
    let server = server().await;
    let (operation, _) = server.create("web", "hold").await;
    let request = WatchRequest {
        request_id: Some(operation.request_id),
        snapshot: Some(Snapshot::None),
        until_terminal: true,
        ..all()
    };
    let mut stream = server.open(request, &CancellationToken::new()).await.unwrap();
    assert!(
        !shown(&mut stream).await.iter().any(|item| matches!(item, WatchItem::Snapshot(_))),
        "it was asked for none"
    );
    ask!(server.life.service, pending.cancel(expected("web"))).unwrap();
    let (seen, end) = rest(&mut stream).await;
    assert_eq!(end, None);
    assert!(
        matches!(seen.last(), Some(WatchItem::Event(event)) if event.transition.operation.status() == Status::Cancelled),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_stop_interrupts_a_long_replay_and_its_token_goes_on_where_it_ended() {
    let server = server().await;
    let (_, resume_token) = server.create("web", "Unknown").await;
    for _ in 0..20 {
        ask!(server.life.service, pending.delete_pending(expected("web"))).unwrap();
        server.create("web", "Unknown").await;
    }
    let closing = CancellationToken::new();
    let request = WatchRequest { resume_token, ..all() };
    let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
    let mut stream = server
        .life
        .service
        .watch()
        .open(permit(&server.life.service, request).await, &who, closing.clone())
        .await
        .unwrap();
    assert!(matches!(stream.next().await, Some(Ok(WatchItem::Event(_)))));
    closing.cancel();
    let (mut events, mut token) = (1, String::new());
    let reason = loop {
        match stream.next().await.expect("an end with a reason") {
            Ok(WatchItem::Bookmark { kind: Bookmark::Closing, resume_token }) => token = resume_token,
            Ok(WatchItem::Event(_)) => events += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error.reason,
        }
    };
    assert_eq!(reason, Reason::ServerDraining);
    assert!(events < 40, "the whole log was told after the stop");
    let request = WatchRequest { resume_token: token, ..all() };
    let mut resumed = server.open(request, &CancellationToken::new()).await.unwrap();
    let seen = shown(&mut resumed).await;
    let rest = seen.iter().filter(|item| matches!(item, WatchItem::Event(_))).count();
    assert_eq!(events + rest, 40);
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_snapshot_gives_no_token() {
    let server = server().await;
    for number in 0..12 {
        server.create(&format!("web-{number:02}"), "Unknown").await;
    }
    let closing = CancellationToken::new();
    let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
    let mut stream = server
        .life
        .service
        .watch()
        .open(permit(&server.life.service, all()).await, &who, closing.clone())
        .await
        .unwrap();
    assert!(matches!(stream.next().await, Some(Ok(WatchItem::Snapshot(_)))));
    closing.cancel();
    let rest: Vec<_> = stream.collect().await;
    let [.., Ok(WatchItem::Bookmark { kind: Bookmark::Closing, resume_token }), Err(end)] = &rest[..] else {
        panic!("{rest:?}")
    };
    assert_eq!((resume_token.as_str(), end.reason), ("", Reason::ServerDraining));
    assert!(rest.len() < 12, "{rest:?}");
}

#[tokio::test]
async fn a_name_that_is_given_twice_is_shown_once() {
    let server = server().await;
    server.create("web", "Unknown").await;
    let names = ["web", "WEB", "web"].map(|name| CertificateName::parse(name).unwrap()).to_vec();
    let mut stream = server.open(WatchRequest { names, ..all() }, &CancellationToken::new()).await.unwrap();
    let seen = shown(&mut stream).await;
    assert_eq!(seen.iter().filter(|item| matches!(item, WatchItem::Snapshot(_))).count(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_token_below_the_log_that_is_kept_is_expired() {
    let server = server().await;
    let (_, resume_token) = server.create("a", "Unknown").await;
    server.create("b", "Unknown").await;
    server.create("c", "Unknown").await;
    let later = Timestamp(i64::MAX);
    assert!(server.life.store.trim(later, 1, 100).await.unwrap() >= 2);
    let (_, end) = server.watch(WatchRequest { resume_token, ..all() }, &CancellationToken::new()).await;
    assert_eq!(end, Some(Reason::ResumeTokenExpired));
}

#[tokio::test]
async fn a_token_of_another_server_is_expired() {
    let (one, other) = (server().await, server().await);
    let (_, resume_token) = one.create("a", "Unknown").await;
    let (_, end) = other.watch(WatchRequest { resume_token, ..all() }, &CancellationToken::new()).await;
    assert_eq!(end, Some(Reason::ResumeTokenExpired));
}
