//! A client that does not read: it loses nothing, and the server buffers nothing for it.

use super::stream::short;
use crate::raw::Call;
use crate::requests::{create, delete};
use crate::server::{Server, Setup, soon};
use certmint::keys::MasterKeys;
use certmint::proto::v1::*;
use certmint::service::ServiceOptions;
use certmint::service::watch::WatchLimits;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use std::process::Command;
use std::sync::Arc;

/// A ring of a few events: a slow stream must be served from the store.
fn options() -> ServiceOptions {
    ServiceOptions { watch: WatchLimits { ring: 50, ..WatchLimits::default() }, ..ServiceOptions::default() }
}

/// A client whose streams take this many bytes before it has to read.
fn window(bytes: u32) -> h2::client::Builder {
    let mut builder = Server::wide();
    builder.initial_window_size(bytes);
    builder
}

async fn make_events(server: &Server, operations: usize) {
    let mut client = server.certificates().await;
    for number in 0..operations {
        client.create_certificate(create(&format!("web-{number}"), "Unknown")).await.unwrap();
        client.delete_pending(delete(&format!("web-{number}"))).await.unwrap();
    }
}

fn story(operations: usize) -> Vec<String> {
    let events = (0..operations).flat_map(|number| {
        [
            format!("created web-{number} r1: in progress"),
            format!("deleted web-{number} r2: in progress, then in progress"),
        ]
    });
    std::iter::once("caught up".to_owned()).chain(events).collect()
}

#[tokio::test]
async fn a_client_that_reads_late_gets_everything_in_order() {
    let server = Server::with(Setup { options: options(), ..Setup::default() }).await;
    let client = server.h2_with(window(2000)).await;
    let call = Call::to("CertificateService/WatchPending");
    let mut reading = call.send(&client, &WatchPendingRequest::default()).await;
    make_events(&server, 200).await;
    let mut said = Vec::new();
    for _ in 0..401 {
        let message: WatchPendingResponse = soon("a message", reading.message()).await.unwrap();
        said.push(short(&message));
    }
    assert_eq!(said, story(200));
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_up_no_other_connection() {
    let server = Server::with(Setup { options: options(), ..Setup::default() }).await;
    let stalled = server.h2_with(window(100)).await;
    let call = Call::to("CertificateService/WatchPending");
    let _unread = call.send(&stalled, &WatchPendingRequest::default()).await;
    let mut watch = super::stream::Watch::open(&server, WatchPendingRequest::default()).await;
    make_events(&server, 100).await;
    assert_eq!(watch.said(201).await, story(100));
}

/// In a process of its own, whose memory nothing else moves.
#[test]
fn streams_that_are_not_read_cost_the_server_nothing_for_each_event() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "watch::slow::child_with_streams_that_nobody_reads", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let figure = |name: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("{name} in {said}")).parse::<u64>().unwrap()
    };
    let (queued, grown) = (figure("queued="), figure("grown="));
    // What a queue for each stream would have held: some 100 MB.
    assert!(queued > 60_000_000, "{queued} bytes would not show");
    assert!(grown < queued / 5, "grew by {grown} bytes where queues would take {queued}");
}

#[tokio::test]
#[ignore = "the child of the test above"]
async fn child_with_streams_that_nobody_reads() {
    const STREAMS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("certmint.db"), SqliteOptions::default()).unwrap();
    let setup = Setup {
        store: Some(Arc::new(store)),
        keys: Some(MasterKeys::random()),
        options: options(),
        ..Setup::default()
    };
    let server = Server::with(setup).await;
    let client = server.h2_with(window(1000)).await;
    let call = Call::to("CertificateService/WatchPending");
    let request = WatchPendingRequest { include_csr: true, ..WatchPendingRequest::default() };
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(call.send(&client, &request).await);
    }
    // The first events fill the windows, and what was to be allocated once is.
    make_events(&server, 20).await;
    let before = resident();
    make_events(&server, 300).await;
    let grown = resident().saturating_sub(before);

    let (mut size, mut seen) = (0, Vec::new());
    for _ in 0..641 {
        let message: WatchPendingResponse = soon("a message", streams[0].message()).await.unwrap();
        size += prost::Message::encoded_len(&message);
        seen.push(short(&message));
    }
    assert_eq!(seen[1..41], story(20)[1..]);
    assert_eq!(seen[41..], story(300)[1..]);
    println!("queued={}", size * STREAMS);
    println!("grown={grown}");
}

/// Memory of this process, in bytes (proc(5), statm: the second field, in pages).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
