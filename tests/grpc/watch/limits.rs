//! Limits on streams, and the error above them.

use super::stream::short;
use crate::raw::{Call, Reading};
use crate::refusal::{self, status_of};
use crate::requests::{create, get, watch};
use crate::server::{Server, soon};
use bytes::Bytes;
use certmint::limits::Limits;
use certmint::proto::v1::*;
use futures_util::future::join_all;
use h2::client::SendRequest;

fn call() -> Call {
    Call::to("CertificateService/WatchPending")
}

/// Opens a stream that is let in.
async fn opened(client: &SendRequest<Bytes>) -> Reading {
    let mut reading = soon("a stream", call().send(client, &watch("quiet"))).await;
    let first: WatchPendingResponse = soon("its mark", reading.message()).await.expect("the stream was refused");
    assert_eq!(short(&first), "caught up");
    reading
}

/// HTTP/2 allows 1,024 streams and lets a client wait for more without a word; ours comes before it.
#[tokio::test]
async fn the_limit_of_a_connection_is_told_before_http_2_makes_the_client_wait() {
    let server = Server::start().await;
    let client = server.h2().await;
    let held = join_all((0..256).map(|_| opened(&client))).await;
    for _ in 0..20 {
        let refused = soon("the refusal", call().whole(&client, &watch("web"))).await;
        refusal::is(
            Err::<(), _>(status_of(&refused)),
            "ResourceExhausted: Too many watch streams: at most 256 streams of this connection. Watch many operations on one stream.
             reason: WATCH_LIMIT_EXCEEDED of certmint.v1
             azureCode: Throttled
             httpStatus: 429
             quota: streams of this connection: at most 256 streams of this connection
             retry after: 30000 ms
             pushback: 30000",
        );
    }
    // A call that is no stream is answered on the same connection.
    let answer = soon("a call", Call::to("CertificateService/GetPending").whole(&client, &get("web"))).await;
    assert_eq!(refusal::reason(&status_of(&answer)), "PENDING_NOT_FOUND");
    // And a stream that ends makes room for another.
    drop(held);
    server.until("the streams are given back", |server| server.service.watch().streams() == 0).await;
    opened(&client).await;
}

#[tokio::test]
async fn the_limits_of_a_caller_and_of_the_server_are_reported() {
    for (limits, subject) in [
        (Limits { watch_streams_per_principal: 3, ..Limits::default() }, "streams of this caller"),
        (Limits { watch_streams: 3, ..Limits::default() }, "streams of this server"),
    ] {
        let server = Server::limited(limits).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(opened(&server.h2().await).await);
        }
        let refused = soon("the refusal", call().whole(&server.h2().await, &watch("web"))).await;
        let shown = refusal::shown(&status_of(&refused));
        assert!(shown.contains(&format!("quota: {subject}: at most 3 {subject}\n")), "{shown}");
    }
}

/// One client, 40 connections with 250 streams each: 1,000 are accepted, 9,000 get the error, and
/// everybody else is served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_of_one_client_do_not_harm_others() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(server.h2().await);
    }
    let (mut held, mut refused) = (Vec::new(), 0);
    for client in &clients {
        let readings = join_all((0..250).map(async |_| soon("an answer", call().send(client, &watch("web"))).await));
        for reading in readings.await {
            if reading.headers.contains_key("grpc-status") {
                let answer = reading.rest().await;
                assert_eq!(refusal::reason(&status_of(&answer)), "WATCH_LIMIT_EXCEEDED");
                refused += 1;
            } else {
                held.push(reading);
            }
        }
    }
    assert_eq!((held.len(), refused, server.service.watch().streams()), (1000, 9000, 1000));
    let mut other = server.certificates().await;
    other.create_certificate(create("web", "Unknown")).await.unwrap();
    for mut reading in held.drain(..) {
        let mut next = async || soon("a message", reading.message::<WatchPendingResponse>()).await.unwrap();
        assert_eq!(short(&next().await), "caught up");
        assert_eq!(short(&next().await), "created web r1: in progress");
    }
    drop(clients);
    server.until("the streams are given back", |server| server.service.watch().streams() == 0).await;
    opened(&server.h2().await).await;
}
