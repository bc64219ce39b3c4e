//! HTTP/1.1 and HTTP/2 on one port, and what handlers know of the connection.

use crate::support::{Server, ask, calm, text};
use http::Version;
use std::collections::HashSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alpn_chooses_the_protocol_on_one_port() {
    let server = Server::start(calm()).await;
    let offered: [(&[&str], _); 4] =
        [(&["h2", "http/1.1"], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&["h2"], Some("h2")), (&[], None)];
    for (offer, expected) in offered {
        let chosen = server.tls(offer).await.unwrap().get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen.as_deref(), expected.map(str::as_bytes));
    }
    let one = server.http1().await.send_request(ask("/hello")).await.unwrap();
    assert_eq!((one.version(), text(one).await.as_str()), (Version::HTTP_11, "HTTP/1.1"));
    let two = server.http2().await.send_request(ask("/hello")).await.unwrap();
    assert_eq!((two.version(), text(two).await.as_str()), (Version::HTTP_2, "HTTP/2.0"));
    assert!(server.tls(&["spdy/3"]).await.is_err(), "a protocol that is not there is refused (RFC 7301 section 3.2)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_alpn_the_first_bytes_choose() {
    let server = Server::start(calm()).await;
    let mut tls = server.tls(&[]).await.unwrap();
    tls.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("HTTP/1.1"), "{answer}");

    let io = hyper_util::rt::TokioIo::new(server.tls(&[]).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(text(sender.send_request(ask("/hello")).await.unwrap()).await, "HTTP/2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_knows_its_connection_and_its_peer() {
    let server = Server::start(calm()).await;
    let tls = server.tls(&["h2"]).await.unwrap();
    let own = tls.get_ref().0.local_addr().unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(tls);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let first = text(sender.send_request(ask("/connection")).await.unwrap()).await;
    assert_eq!(first, format!("1 {own}"));
    assert_eq!(text(sender.send_request(ask("/connection")).await.unwrap()).await, first);
    let other = text(server.http1().await.send_request(ask("/connection")).await.unwrap()).await;
    assert!(other.starts_with("2 127.0.0.1:"), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_host_below_localhost_has_a_certificate_of_its_own() {
    let server = Server::start(calm()).await;
    let tls = server.tls_as("team-a.localhost", &["h2"]).await.unwrap();
    let leaf = tls.get_ref().1.peer_certificates().unwrap()[0].clone();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(format!("{names:?}"), "[DNSName(\"team-a.localhost\")]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_rotate_by_age_and_no_request_fails() {
    let options = certmint::transport::listener::ListenerOptions { max_age: Duration::from_millis(150), ..calm() };
    let server = Server::start(options).await;
    let mut client = bare_h2(&server).await;
    let (mut connections, mut answers) = (HashSet::new(), Vec::<u64>::new());
    while answers.len() < 60 {
        match ask_count(&mut client).await {
            Ok(answer) => {
                let (connection, handled) = answer.split_once(' ').unwrap();
                connections.insert(connection.to_owned());
                answers.push(handled.parse().unwrap());
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            // Not sent, or above the last stream of the GOAWAY: any client may ask again (RFC 9113 section 6.8). That
            // the server has indeed not handled it shows in the numbers below.
            Err(error) if error.is_go_away() && error.is_remote() => client = bare_h2(&server).await,
            Err(error) => panic!("a request has failed: {error:?}"),
        }
    }
    assert_eq!(answers, (1..=60).collect::<Vec<_>>(), "each request is handled once");
    assert!(connections.len() >= 4, "{connections:?}");
    server.until(|stats| stats.aged >= 4).await;
    assert_eq!(server.stats.read().cut, 0);
}

async fn ask_count(client: &mut h2::client::SendRequest<bytes::Bytes>) -> Result<String, h2::Error> {
    *client = client.clone().ready().await?;
    let request = http::Request::get("https://localhost/count").body(()).unwrap();
    let mut body = client.send_request(request, true)?.0.await?.into_body();
    let mut text = Vec::new();
    while let Some(part) = body.data().await {
        text.extend_from_slice(&part?);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// Below hyper's client, which does not say whether a request that met a GOAWAY was sent.
async fn bare_h2(server: &Server) -> h2::client::SendRequest<bytes::Bytes> {
    let (sender, connection) = h2::client::handshake(server.tls(&["h2"]).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_on_an_aged_connection_closes_and_an_unread_one_is_cut_after_the_grace() {
    let options = certmint::transport::listener::ListenerOptions {
        // Both longer than a busy machine needs to send the requests, and to end the one that ends.
        max_age: Duration::from_secs(3),
        age_grace: Duration::from_secs(3),
        ..calm()
    };
    let server = Server::start(options).await;
    let (mut watch, mut endless) = (server.http2().await, server.http2().await);
    let watch = watch.send_request(ask("/watch")).await.unwrap();
    let endless = endless.send_request(ask("/endless")).await.unwrap();
    assert!(text(watch).await.ends_with("tick aged"));
    let ended = http_body_util::BodyExt::collect(endless.into_body()).await;
    assert!(ended.is_err(), "an endless stream has no good end");
    server.until(|stats| (stats.aged, stats.cut, stats.open) == (2, 1, 0)).await;
}
