//! How streams end, and their heartbeats.

use super::stream::{Watch, short, shorts, watched};
use crate::raw::Call;
use crate::refusal::{self, status_of};
use crate::requests::{ID, cancel, create, create_as, delete, watch};
use crate::server::{HANG, Server, Setup, quick, soon};
use certmint::proto::v1::*;
use certmint::service::ServiceOptions;
use certmint::service::watch::WatchLimits;
use certmint::transport::listener::ListenerOptions;
use std::time::{Duration, Instant};

fn options(watch: WatchLimits) -> ServiceOptions {
    ServiceOptions { watch, ..ServiceOptions::default() }
}

fn until_terminal(name: &str) -> WatchPendingRequest {
    WatchPendingRequest { until_terminal: true, ..watch(name) }
}

#[tokio::test]
async fn a_watch_until_the_end_is_ok_when_the_operation_has_ended() {
    let server = Server::start().await;
    server.certificates().await.create_certificate(create("web", "Unknown")).await.unwrap();
    let mut stream = Watch::open(&server, until_terminal("web")).await;
    assert_eq!(stream.said(2).await, ["snapshot web r1: in progress, no token", "caught up"]);
    server.certificates().await.cancel_pending(cancel("web")).await.unwrap();
    let (told, end) = stream.rest().await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(
        shorts(&told),
        ["updated web r2: in progress, then in progress", "updated web r3: in progress, then cancelled"]
    );
}

#[tokio::test]
async fn a_watch_until_the_end_of_what_has_ended_or_is_deleted_ends_at_once() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Self", ID)).await.unwrap();
    watched(&server, until_terminal("web")).await;
    let said = shorts(&watched(&server, until_terminal("web")).await);
    assert_eq!(said, ["snapshot web r2: completed, no token", "caught up"]);
    client.delete_pending(delete("web")).await.unwrap();
    let by_id = WatchPendingRequest { request_id: ID.into(), until_terminal: true, ..WatchPendingRequest::default() };
    assert_eq!(shorts(&watched(&server, by_id).await), ["caught up"]);
}

#[tokio::test]
async fn a_watch_until_the_end_waits_for_an_operation_that_is_still_to_come() {
    let server = Server::start().await;
    let mut stream = Watch::open(&server, until_terminal("web")).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    server.certificates().await.create_certificate(create("web", "Self")).await.unwrap();
    let (told, end) = stream.rest().await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(shorts(&told), ["created web r1: in progress", "updated web r2: in progress, then completed"]);
}

#[tokio::test]
async fn a_heartbeat_comes_when_nothing_matches_and_its_token_is_the_present() {
    let beats = WatchLimits {
        heartbeat: Duration::from_millis(400),
        heartbeat_least: Duration::from_millis(10),
        ..WatchLimits::default()
    };
    let server = Server::with(Setup { options: options(beats), ..Setup::default() }).await;
    let mut stream = Watch::open(&server, watch("web")).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    server.certificates().await.create_certificate(create("other", "Self")).await.unwrap();
    watched(&server, until_terminal("other")).await;
    // The first beats may be from before; then comes one whose token has all of it behind it.
    let mut attempts = 0;
    loop {
        let beat = stream.next().await;
        assert_eq!(short(&beat), "heartbeat");
        let everything = WatchPendingRequest { resume_token: beat.resume_token, ..WatchPendingRequest::default() };
        if Watch::open(&server, everything).await.said(1).await == ["caught up"] {
            break;
        }
        attempts += 1;
        assert!(attempts < 10, "the token of the heartbeat stands still");
    }

    // A server whose own heartbeats are too rare to occur in the test.
    let rare =
        WatchLimits { heartbeat: HANG * 60, heartbeat_least: Duration::from_millis(10), ..WatchLimits::default() };
    let server = Server::with(Setup { options: options(rare), ..Setup::default() }).await;
    let interval = Some(prost_types::Duration { seconds: 0, nanos: 30_000_000 });
    let mut quick = Watch::open(&server, WatchPendingRequest { heartbeat_interval: interval, ..watch("web") }).await;
    assert_eq!(quick.said(1).await, ["caught up"]);
    assert_eq!(quick.said(4).await, ["heartbeat"; 4], "the client chooses");
}

#[tokio::test]
async fn a_stop_of_the_server_closes_streams_so_that_they_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_file(folder.path(), ServiceOptions::default()).await;
    server.certificates().await.create_certificate(create("web", "Unknown")).await.unwrap();
    let mut stream = Watch::open(&server, watch("web")).await;
    stream.said(2).await;
    let ((told, end), took) = tokio::join!(stream.rest(), server.end());
    assert!(took < HANG, "streams end at once: {took:?}");
    assert_eq!(shorts(&told), ["closing"]);
    refusal::is(
        end.map_or(Ok(()), Err),
        "Unavailable: The server is closing this stream. Open it again and resume with the last token.
         reason: SERVER_DRAINING of certmint.v1
         azureCode: ServiceUnavailable
         httpStatus: 503
         retry after: 500 ms
         pushback: 500",
    );
    let server = Server::on_file(folder.path(), ServiceOptions::default()).await;
    let token = told[0].resume_token.clone();
    let mut stream = Watch::open(&server, WatchPendingRequest { resume_token: token, ..watch("web") }).await;
    server.certificates().await.delete_pending(delete("web")).await.unwrap();
    let said: Vec<String> = stream.said(2).await.into_iter().filter(|line| line != "caught up").collect();
    assert_eq!(said, ["deleted web r2: in progress, then in progress"]);
}

#[tokio::test]
async fn a_hundred_streams_end_in_time_at_a_stop() {
    let server = Server::with(Setup { listener: quick(), ..Setup::default() }).await;
    let client = server.h2().await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let call = Call::to("CertificateService/WatchPending");
        streams.push(call.send(&client, &WatchPendingRequest::default()).await);
    }
    let reading = tokio::spawn(async move {
        for stream in streams {
            let answer = stream.rest().await;
            assert_eq!(refusal::reason(&status_of(&answer)), "SERVER_DRAINING");
            let last: WatchPendingResponse = prost::Message::decode(answer.messages.last().unwrap().clone()).unwrap();
            assert_eq!(short(&last), "closing");
        }
    });
    let took = server.end().await;
    assert!(took < HANG, "{took:?}");
    reading.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_old_enough_is_closed() {
    let age = WatchLimits { max_age: Duration::from_secs(3), ..WatchLimits::default() };
    let server = Server::with(Setup { options: options(age), ..Setup::default() }).await;
    let (told, end) = Watch::open(&server, watch("web")).await.rest().await;
    assert_eq!(shorts(&told), ["caught up", "closing"]);
    refusal::is(
        end.map_or(Ok(()), Err),
        "Unavailable: The stream reached its maximum age. Open it again and resume with the last token.
         reason: WATCH_MAX_AGE of certmint.v1
         azureCode: ServiceUnavailable
         httpStatus: 503
         retry after: 100 ms
         pushback: 100",
    );
}

/// The rotation of connections closes a stream as shutdown does, but the server continues.
#[tokio::test]
async fn a_stream_on_a_connection_that_is_old_enough_is_closed() {
    let listener = ListenerOptions { max_age: Duration::from_secs(3), ..quick() };
    let server = Server::with(Setup { listener, ..Setup::default() }).await;
    let (told, end) = Watch::open(&server, watch("web")).await.rest().await;
    assert_eq!(shorts(&told), ["caught up", "closing"]);
    assert_eq!(refusal::reason(&end.unwrap()), "SERVER_DRAINING");
    Watch::open(&server, watch("web")).await;
}

#[tokio::test]
async fn the_deadline_of_the_call_holds_for_the_stream() {
    let server = Server::start().await;
    let call = Call::to("CertificateService/WatchPending").header("grpc-timeout", "3S");
    let begun = Instant::now();
    let answer = soon("the deadline", call.whole(&server.h2().await, &watch("web"))).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    let told: Vec<WatchPendingResponse> =
        answer.messages.iter().map(|message| prost::Message::decode(message.clone()).unwrap()).collect();
    assert_eq!(shorts(&told), ["caught up", "closing"]);
    refusal::is(
        Err::<(), _>(status_of(&answer)),
        "DeadlineExceeded: The deadline of the call passed. Open the stream again without one, and resume with the last token.
         reason: DEADLINE_EXCEEDED of certmint.v1
         azureCode: GatewayTimeout
         httpStatus: 504",
    );
}

#[tokio::test]
async fn a_deadline_holds_while_events_come_without_a_pause() {
    let server = Server::start().await;
    let writer = {
        let mut client = server.certificates().await;
        tokio::spawn(async move {
            for number in 0.. {
                let name = format!("web-{number}");
                if client.create_certificate(create(&name, "Unknown")).await.is_err() {
                    break;
                }
            }
        })
    };
    let call = Call::to("CertificateService/WatchPending").header("grpc-timeout", "4S");
    let answer = soon("the deadline", call.whole(&server.h2().await, &WatchPendingRequest::default())).await;
    writer.abort();
    assert!(answer.messages.len() > 3, "{} messages", answer.messages.len());
    assert_eq!(refusal::reason(&status_of(&answer)), "DEADLINE_EXCEEDED");
}
