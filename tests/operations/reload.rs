//! Tokens and certificate that change while the server runs.

use crate::clients::{create, get, grpc, reason, until, watch};
use crate::server::{ALICE, BOB, Place};
use certmint::proto::v1::watch_pending_response::Payload;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use tonic::Code;

const PATH: &str = "/certificates/issuers?api-version=7.4";
const SOON: Duration = Duration::from_secs(120);

#[tokio::test]
async fn streams_of_a_removed_token_end_and_those_of_others_go_on() {
    let place = Place::new("");
    let server = place.start();
    let (mut alice, mut bob) = (grpc(&server, &place, Some(ALICE)).await, grpc(&server, &place, Some(BOB)).await);
    let (mut of_alice, _) = watch(&mut alice, "").await.unwrap();
    let (mut of_bob, _) = watch(&mut bob, "").await.unwrap();
    let events = tokio::spawn({
        let path = "/certificates/web/pending/watch?api-version=7.4".to_owned();
        let (address, ca) = (server.address, place.file("tls.crt"));
        async move { crate::clients::event_stream(address, &ca, ALICE, &path).await }
    });
    until("three streams are open", async || {
        crate::clients::admin(&server, "/metrics").await.1.contains("certmint_watch_streams 3\n")
    })
    .await;

    // No signal: the change is found by looking.
    place.write_tokens(&[("bob", BOB)]);
    let changed = Instant::now();
    let end = tokio::time::timeout(SOON, of_alice.message()).await.expect("the stream ends").unwrap_err();
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unauthenticated, "CREDENTIALS_EXPIRED"));
    assert!(changed.elapsed() < Duration::from_secs(60), "{:?}", changed.elapsed());
    let told = tokio::time::timeout(SOON, events).await.unwrap().unwrap();
    assert!(told.contains("event: error") && told.contains("no longer accepted"), "{told}");

    let refused = alice.create_certificate(create("web")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 401"));
    bob.create_certificate(create("web")).await.unwrap();
    let event = tokio::time::timeout(SOON, of_bob.message()).await.unwrap().unwrap().unwrap();
    assert!(matches!(event.payload, Some(Payload::Event(_))), "{event:?}");
}

#[tokio::test]
async fn a_broken_tokens_file_changes_nothing_and_is_logged() {
    let place = Place::new("");
    let server = place.start();
    std::fs::write(place.file("tokens"), "alice oops\n").unwrap();
    server.signal(Signal::HUP);
    until("the log tells", async || server.log().contains("cannot be used; the previous content stays")).await;
    assert!(get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 200"));
    place.write_tokens(&[("carol", "carols-token")]);
    server.signal(Signal::HUP);
    until("carol is let in", async || {
        get(&server, &place, Some("carols-token"), PATH).await.starts_with("HTTP/1.1 200")
    })
    .await;
    assert!(get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections() {
    let place = Place::new("");
    let server = place.start();
    let shown = async || crate::clients::shown_certificate(server.address).await;
    let first = shown().await;
    place.write_certificate();
    until("the new certificate", async || shown().await != first).await;
    // The client of the tests trusts the new file alone.
    assert!(get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_refused_and_the_others_are_read_on() {
    let place = Place::new("");
    let mut server = place.start();
    let shown = async || crate::clients::shown_certificate(server.address).await;
    let first = shown().await;
    let pipe = |name: &str| {
        std::fs::remove_file(place.file(name)).unwrap();
        assert!(
            std::process::Command::new("mkfifo").args(["-m", "600"]).arg(place.file(name)).status().unwrap().success()
        );
    };
    pipe("tokens");
    server.signal(Signal::HUP);
    until("the log tells", async || server.log().contains("it is not a regular file")).await;
    assert!(get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 200"), "the last content stays");
    place.write_certificate();
    until("the new certificate", async || shown().await != first).await;
    place.write_tokens(&[("bob", BOB)]);
    until("alice is not let in", async || get(&server, &place, Some(ALICE), PATH).await.starts_with("HTTP/1.1 401"))
        .await;
    pipe("tls.key");
    server.signal(Signal::HUP);
    until("the log tells", async || server.log().matches("it is not a regular file").count() > 1).await;
    server.signal(Signal::TERM);
    server.signal(Signal::TERM);
    assert!(server.ended().await.is_some());
}

#[tokio::test]
async fn a_server_does_not_start_on_pipes() {
    for name in ["tokens", "tls.crt", "tls.key"] {
        let place = Place::new("");
        std::fs::remove_file(place.file(name)).unwrap();
        assert!(
            std::process::Command::new("mkfifo").args(["-m", "600"]).arg(place.file(name)).status().unwrap().success()
        );
        let message = place.refused();
        assert!(message.contains("it is not a regular file"), "{name}: {message}");
    }
}
