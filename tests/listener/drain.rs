//! Shutdown: requests complete if they can, within bounded time.

use crate::support::{HANG, Server, ask, calm, text};
use certmint::transport::listener::ListenerOptions;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PREFACE_AND_SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_is_bounded_with_endless_streams_and_silent_peers() {
    // Nothing but the drain may end these connections.
    let patient = ListenerOptions { drain: Duration::from_millis(800), hard_stop: HANG * 2, ..calm() };
    let server = Server::start(patient).await;
    let (mut two, mut one) = (server.http2().await, server.http1().await);
    let mut endless_two = two.send_request(ask("/endless")).await.unwrap();
    let mut endless_one = one.send_request(ask("/endless")).await.unwrap();
    assert!(endless_two.body_mut().frame().await.unwrap().is_ok());
    assert!(endless_one.body_mut().frame().await.unwrap().is_ok());
    let silent_tcp = server.tcp().await;
    let mut half_tls = server.tcp().await;
    half_tls.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    let mut silent_tls = server.tls(&["h2"]).await.unwrap();
    // Speaks once and never acknowledges the ping of the GOAWAY.
    let mut silent_two = server.tls(&["h2"]).await.unwrap();
    silent_two.write_all(PREFACE_AND_SETTINGS).await.unwrap();
    silent_two.flush().await.unwrap();
    // Its own SETTINGS say that the server has shaken hands.
    for stream in [&mut silent_tls, &mut silent_two] {
        tokio::time::timeout(HANG, stream.read_u8()).await.expect("no SETTINGS").unwrap();
    }
    server.until(|stats| stats.open == 6).await;
    let (address, stats) = (server.address, server.stats.clone());
    let took = server.stop().await;
    assert!(took >= Duration::from_millis(700) && took < HANG, "{took:?}");
    assert_eq!((stats.read().open, stats.read().cut), (0, 4), "the two that had not shaken hands were not served");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
    assert!(endless_two.into_body().collect().await.is_err());
    assert!(endless_one.into_body().collect().await.is_err());
    drop((silent_tcp, half_tls, silent_tls, silent_two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_listen_end_at_once_with_their_last_word() {
    let server = Server::start(calm()).await;
    let (mut one, mut two) = (server.http1().await, server.http2().await);
    let mut bodies = [one.send_request(ask("/watch")).await.unwrap(), two.send_request(ask("/watch")).await.unwrap()];
    for body in &mut bodies {
        body.body_mut().frame().await.unwrap().unwrap();
    }
    let stats = server.stats.clone();
    let reading = tokio::spawn(async move {
        for body in bodies {
            assert!(text(body).await.ends_with("draining"));
        }
    });
    let took = server.stop().await;
    assert!(took < HANG, "only the drain ended it: {took:?}");
    reading.await.unwrap();
    assert_eq!(stats.read().cut, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_answered_and_idle_connections_close() {
    let server = Server::start(calm()).await;
    let _idle = (server.http1().await, server.http2().await);
    let (mut one, mut two) = (server.http1().await, server.http2().await);
    let slow = [
        tokio::spawn(async move { one.send_request(ask("/slow/300")).await.unwrap() }),
        tokio::spawn(async move { two.send_request(ask("/slow/300")).await.unwrap() }),
    ];
    server.requests.begun(2).await;
    let took = server.stop().await;
    assert!(took < HANG, "only the drain ended it: {took:?}");
    for answer in slow {
        assert_eq!(text(answer.await.unwrap()).await, "slow but there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_never_yields_holds_the_stop_until_the_hard_one_only() {
    let (drain, hard_stop) = (Duration::from_millis(800), Duration::from_millis(1600));
    let server = Server::start(ListenerOptions { drain, hard_stop, ..calm() }).await;
    let mut two = server.http2().await;
    let blocked = tokio::spawn(async move { two.send_request(ask("/block")).await });
    let requests = server.requests.clone();
    requests.begun(1).await;
    // The handler ends after the stop only.
    let took = server.stop().await;
    assert!(took >= Duration::from_millis(1500) && took < HANG, "{took:?}");
    requests.release();
    assert!(blocked.await.unwrap().is_err());
}
