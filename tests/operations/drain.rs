//! The order of shutdown: not ready, then closed, then ended.

use crate::clients::{admin, channel, grpc, reason, until, watch};
use crate::server::{ALICE, Place};
use futures_util::future::join_all;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const NOT_SERVING: i32 = 2;

#[tokio::test]
async fn readiness_and_health_turn_before_the_port_closes() {
    let place = Place::new("[shutdown]\ndelay = '1h'");
    let mut server = place.start();
    until("ready", async || admin(&server, "/readyz").await.0.contains("200")).await;
    server.signal(Signal::TERM);
    until("not ready", async || admin(&server, "/readyz").await.0.contains("503")).await;
    let (_, body) = admin(&server, "/readyz").await;
    assert!(body.starts_with(r#"{"ready":false,"reasons":[{"reason":"draining""#), "{body}");
    assert!(admin(&server, "/livez").await.0.contains("200"));
    // New connections are still taken, for balancers that have not noticed yet.
    let health = HealthClient::new(channel(&server, &place).await).check(HealthCheckRequest::default()).await;
    assert_eq!(health.unwrap().into_inner().status, NOT_SERVING);
    // So are streams.
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    watch(&mut client, "").await.unwrap();
    server.signal(Signal::TERM);
    server.ended().await;
}

#[tokio::test]
async fn after_the_delay_streams_are_asked_to_go() {
    let place = Place::new("[shutdown]\ndelay = '1s'");
    let mut server = place.start();
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    let (mut stream, _) = watch(&mut client, "").await.unwrap();
    let stopped = Instant::now();
    server.signal(Signal::TERM);
    let closing = stream.message().await.unwrap().unwrap();
    assert!(!closing.resume_token.is_empty());
    let end = stream.message().await.unwrap_err();
    assert_eq!(reason(&end), "SERVER_DRAINING");
    assert!(stopped.elapsed() >= Duration::from_secs(1), "{:?}", stopped.elapsed());
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let place = Place::new("[shutdown]\ndelay = '1h'");
    let mut server = place.start();
    server.signal(Signal::TERM);
    until("draining", async || admin(&server, "/readyz").await.1.contains("draining")).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_closed_one_after_the_other_while_the_others_go_on() {
    const SPREAD: Duration = Duration::from_secs(12);
    let place = Place::new("[shutdown]\ndelay = '1ms'\nspread = '12s'");
    let mut server = place.start();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut client = grpc(&server, &place, Some(ALICE)).await;
        for _ in 0..20 {
            streams.push(watch(&mut client, "").await.unwrap().0);
        }
    }
    let stopped = Instant::now();
    server.signal(Signal::TERM);
    let ends = join_all(streams.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let closing = stream.message().await.unwrap().unwrap();
            let end = stream.message().await.unwrap_err();
            assert!(!closing.resume_token.is_empty());
            assert_eq!(reason(&end), "SERVER_DRAINING");
            stopped.elapsed()
        })
    }));
    let mut ended: Vec<Duration> = ends.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(server.ended().await, Some(0));
    ended.sort();
    // Half of them later than a third of the time; none was cut, each had its last word.
    assert!(ended[40] > SPREAD / 3, "{ended:?}");
    for half in ended.chunks(40) {
        assert!(half[39] - half[0] > SPREAD / 16, "half of them went at once: {ended:?}");
    }
}
