//! The start of a stream: a snapshot, a bookmark, then live events.

use super::stream::{Watch, operation, short, watched};
use crate::raw::Call;
use crate::requests::{cancel, create, delete, get, watch};
use crate::server::{Server, soon};
use certmint::proto::v1::*;

/// A server with an operation in progress (`open`), one that ended (`over`), and one in another vault.
async fn server() -> Server {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create("open", "Unknown")).await.unwrap();
    client.create_certificate(create("over", "Self")).await.unwrap();
    let elsewhere = CreateCertificateRequest { vault_name: "v2".into(), ..create("elsewhere", "Unknown") };
    client.create_certificate(elsewhere).await.unwrap();
    watched(&server, WatchPendingRequest { until_terminal: true, ..watch("over") }).await;
    server
}

fn of(snapshot: WatchSnapshot) -> WatchPendingRequest {
    WatchPendingRequest { snapshot: snapshot.into(), ..WatchPendingRequest::default() }
}

#[tokio::test]
async fn the_snapshot_has_no_tokens_and_its_end_has_one() {
    let server = server().await;
    let mut stream = Watch::open(&server, of(WatchSnapshot::All)).await;
    assert_eq!(
        stream.said(3).await,
        ["snapshot open r1: in progress, no token", "snapshot over r2: completed, no token", "caught up"]
    );
}

#[tokio::test]
async fn a_watch_of_a_vault_shows_what_is_in_progress() {
    let server = server().await;
    for snapshot in [WatchSnapshot::Unspecified, WatchSnapshot::InProgress] {
        let mut stream = Watch::open(&server, of(snapshot)).await;
        assert_eq!(stream.said(2).await, ["snapshot open r1: in progress, no token", "caught up"], "{snapshot:?}");
    }
}

#[tokio::test]
async fn a_watch_by_name_or_by_id_shows_what_has_ended_too() {
    let server = server().await;
    let mut stream = Watch::open(&server, watch("over")).await;
    assert_eq!(stream.said(2).await, ["snapshot over r2: completed, no token", "caught up"]);
    let found = server.certificates().await.get_pending(get("over")).await.unwrap().into_inner();
    let request_id = found.operation.unwrap().request_id;
    let by_id = WatchPendingRequest { request_id, ..WatchPendingRequest::default() };
    let mut stream = Watch::open(&server, by_id).await;
    assert_eq!(stream.said(2).await, ["snapshot over r2: completed, no token", "caught up"]);
}

#[tokio::test]
async fn without_a_snapshot_the_bookmark_comes_at_once() {
    let server = server().await;
    let mut stream = Watch::open(&server, of(WatchSnapshot::None)).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    let mut stream = Watch::open(&server, watch("never-made")).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
}

#[tokio::test]
async fn the_snapshot_is_the_full_state() {
    let server = server().await;
    let mut stream = Watch::open(&server, WatchPendingRequest { include_csr: true, ..watch("over") }).await;
    let shown = operation(&stream.next().await).clone();
    let found = server.certificates().await.get_pending(get("over")).await.unwrap().into_inner();
    assert_eq!(shown, found.operation.unwrap());
}

#[tokio::test]
async fn the_signing_request_comes_only_where_it_is_asked_for() {
    let server = server().await;
    for include_csr in [false, true] {
        let request = WatchPendingRequest { include_csr, ..watch("open") };
        let mut stream = Watch::open(&server, request).await;
        assert_eq!(!operation(&stream.next().await).csr.is_empty(), include_csr, "in a snapshot");
        stream.next().await;
        let mut client = server.certificates().await;
        client.delete_pending(delete("open")).await.unwrap();
        assert_eq!(!operation(&stream.next().await).csr.is_empty(), include_csr, "in an event");
        client.create_certificate(create("open", "Unknown")).await.unwrap();
        assert_eq!(!operation(&stream.next().await).csr.is_empty(), include_csr, "in an event");
    }
}

#[tokio::test]
async fn the_headers_come_before_anything_happens() {
    let server = server().await;
    let call = Call::to("CertificateService/WatchPending");
    let mut reading = soon("the headers", call.send(&server.h2().await, &of(WatchSnapshot::None))).await;
    assert_eq!((reading.http, reading.headers["content-type"].to_str().unwrap()), (200, "application/grpc"));
    assert!(!reading.headers.contains_key("grpc-status"));
    let first: WatchPendingResponse = soon("the mark", reading.message()).await.unwrap();
    assert_eq!(short(&first), "caught up");
}

/// The snapshot may be read before or after what happens while the stream opens: either way each
/// state is told once, and the last one is told.
#[tokio::test]
async fn no_state_is_in_both_the_snapshot_and_an_event() {
    let server = server().await;
    let mut client = server.certificates().await;
    let request = WatchPendingRequest { include_csr: true, ..watch("open") };
    let (stream, asked) = tokio::join!(Watch::open(&server, request), client.cancel_pending(cancel("open")));
    asked.unwrap();
    let mut stream = stream;
    let mut revisions = Vec::new();
    while revisions.last() != Some(&3) {
        let message = stream.next().await;
        if short(&message) != "caught up" {
            revisions.push(operation(&message).revision);
        }
    }
    assert!(revisions.is_sorted_by(|earlier, later| earlier < later), "{revisions:?}");
}

/// More of them than a stream takes out of the store at a time, by name and altogether.
#[tokio::test]
async fn a_long_snapshot_is_whole_and_has_each_operation_once() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    let names: Vec<String> = (0..100).map(|number| format!("web-{number:03}")).collect();
    for name in &names {
        client.create_certificate(create(name, "Unknown")).await.unwrap();
    }
    let mut expected: Vec<String> =
        names.iter().map(|name| format!("snapshot {name} r1: in progress, no token")).collect();
    expected.push("caught up".to_owned());
    let by_name = WatchPendingRequest { certificate_names: names, ..WatchPendingRequest::default() };
    for request in [by_name, of(WatchSnapshot::All)] {
        let mut stream = Watch::open(&server, request).await;
        assert_eq!(stream.said(101).await, expected);
    }
}
