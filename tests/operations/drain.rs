//! The stop in its order: not ready, then closed, then gone.

use crate::clients::{admin, channel, grpc, reason, until, watch};
use crate::server::{ALICE, Place};
use futures_util::future::join_all;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const NOT_SERVING: i32 = 2;

#[tokio::test]
async fn readiness_and_health_turn_before_the_port_closes_and_streams_are_asked_to_go() {
    let place = Place::new("[shutdown]\ndelay = '4s'");
    let mut server = place.start();
    until("ready", Duration::from_secs(5), async || admin(&server, "/readyz").await.0.contains("200")).await;
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    let (mut stream, _) = watch(&mut client, "").await.unwrap();

    let stopped = Instant::now();
    server.signal(Signal::TERM);
    until("not ready", Duration::from_secs(1), async || admin(&server, "/readyz").await.0.contains("503")).await;
    let (_, body) = admin(&server, "/readyz").await;
    assert!(body.starts_with(r#"{"ready":false,"reasons":[{"reason":"draining""#), "{body}");
    assert!(admin(&server, "/livez").await.0.contains("200"));
    // New connections are still taken, for balancers that have not noticed yet.
    let health = HealthClient::new(channel(&server, &place).await).check(HealthCheckRequest::default()).await;
    assert_eq!(health.unwrap().into_inner().status, NOT_SERVING);
    assert!(stopped.elapsed() < Duration::from_secs(4), "the machine is too slow for this test");

    let closing = stream.message().await.unwrap().unwrap();
    assert!(!closing.resume_token.is_empty());
    let end = stream.message().await.unwrap_err();
    assert_eq!(reason(&end), "SERVER_DRAINING");
    assert!(stopped.elapsed() >= Duration::from_secs(4), "{:?}", stopped.elapsed());
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let place = Place::new("[shutdown]\ndelay = '1h'");
    let mut server = place.start();
    server.signal(Signal::TERM);
    until("draining", Duration::from_secs(5), async || admin(&server, "/readyz").await.1.contains("draining")).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_closed_one_after_the_other_while_the_others_go_on() {
    const SPREAD: Duration = Duration::from_secs(4);
    let place = Place::new("[shutdown]\ndelay = '1ms'\nspread = '4s'");
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
    let all = stopped.elapsed();
    ended.sort();
    // Half of them later than a third of the time, and none of them cut: the drain is 15 s.
    assert!(ended[0] < SPREAD / 2 && ended[40] > SPREAD / 3 && all < SPREAD * 2, "{ended:?}, and all after {all:?}");
    for quarter in ended.chunks(20) {
        assert!(quarter[19] - quarter[0] > SPREAD / 16, "a quarter of them went at once: {ended:?}");
    }
}
