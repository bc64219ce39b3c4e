//! Slow, broken or malicious peers.

use crate::support::{HANG, Server, ask, calm, text};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longer than a busy machine needs for a handshake.
const LIMIT: Duration = Duration::from_secs(4);

/// Sends `bytes` one by one, again and again, until the peer closes; how long that took from before the stream was there.
async fn drip<T: AsyncRead + AsyncWrite>(begun: Instant, stream: T, bytes: &[u8]) -> Duration {
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        if bytes.is_empty() {
            std::future::pending().await
        }
        for byte in bytes.iter().cycle() {
            if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                break;
            }
            // So slow that none of them has sent all of it by the limit.
            tokio::time::sleep(LIMIT / 25).await;
        }
    };
    let reading = async {
        let mut sink = [0; 1024];
        while matches!(read.read(&mut sink).await, Ok(n) if n > 0) {}
    };
    let bounded = tokio::time::timeout(HANG, async {
        tokio::select! { () = writing => {}, () = reading => {} }
    });
    bounded.await.expect("the connection was not cut");
    begun.elapsed()
}

/// Waits for the peer to close.
async fn wait(begun: Instant, stream: impl AsyncRead + AsyncWrite) -> Duration {
    drip(begun, stream, b"").await
}

fn in_time(what: &str, took: Duration) {
    assert!(took >= LIMIT.mul_f32(0.9) && took < HANG, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_peers_are_cut_at_every_stage() {
    let limits = certmint::transport::listener::ListenerOptions {
        handshake_timeout: LIMIT,
        header_timeout: LIMIT,
        keepalive_interval: LIMIT,
        keepalive_timeout: LIMIT,
        ..calm()
    };
    let server = Server::start(limits).await;
    let begun = Instant::now();
    let head = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nx-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    // A HEADERS frame of 4,000 octets that never ends.
    let headers = b"\x00\x0f\xa0\x01\x04\x00\x00\x00\x01";
    let mut two = server.tls(&["h2"]).await.unwrap();
    two.write_all(preface).await.unwrap();
    two.write_all(headers).await.unwrap();
    let mut half = server.tcp().await;
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).await.unwrap();

    let silent_tcp = async { in_time("a silent TCP connection", wait(begun, server.tcp().await).await) };
    let half_tls = async { in_time("half a TLS handshake", wait(begun, half).await) };
    let hello = async {
        in_time(
            "a dripping ClientHello",
            drip(begun, server.tcp().await, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7]).await,
        )
    };
    let silent_one = async {
        in_time("silence after the handshake, HTTP/1", wait(begun, server.tls(&["http/1.1"]).await.unwrap()).await)
    };
    let silent_two =
        async { in_time("silence after the handshake, HTTP/2", wait(begun, server.tls(&["h2"]).await.unwrap()).await) };
    let silent_any =
        async { in_time("silence after the handshake, no ALPN", wait(begun, server.tls(&[]).await.unwrap()).await) };
    let drip_one =
        async { in_time("a dripping head", drip(begun, server.tls(&["http/1.1"]).await.unwrap(), head).await) };
    let drip_two =
        async { in_time("a dripping preface", drip(begun, server.tls(&["h2"]).await.unwrap(), preface).await) };
    let drip_any =
        async { in_time("a dripping head, no ALPN", drip(begun, server.tls(&[]).await.unwrap(), head).await) };
    let drip_headers = async { in_time("a dripping HEADERS frame", drip(begun, two, b"a").await) };
    tokio::join!(
        silent_tcp,
        half_tls,
        hello,
        silent_one,
        silent_two,
        silent_any,
        drip_one,
        drip_two,
        drip_any,
        drip_headers
    );
    server.until(|stats| stats.open == 0).await;
    assert_eq!(text(server.http2().await.send_request(ask("/hello")).await.unwrap()).await, "HTTP/2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_nothing_is_cut() {
    let options =
        certmint::transport::listener::ListenerOptions { write_timeout: Duration::from_millis(500), ..calm() };
    let server = Server::start(options).await;
    let mut tls = server.tls(&["http/1.1"]).await.unwrap();
    // Requests without end on one connection, whose answers nobody reads.
    let request = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    let flood = async { while tls.write_all(&request).await.is_ok() && tls.flush().await.is_ok() {} };
    tokio::time::timeout(HANG, flood).await.expect("the connection was not cut");
    server.until(|stats| stats.open == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_harmless_and_plain_http_gets_an_explanation() {
    let server = Server::start(calm()).await;
    let zeros = vec![0; 100_000];
    let huge_record = [0x16, 3, 1, 0xff, 0xff].repeat(10_000);
    let wrong_version = b"\x16\x09\x09\x00\x05hello".to_vec();
    let ssh = b"\x00\x01SSH-2.0-x\r\n".to_vec();
    for garbage in [zeros, huge_record, wrong_version, ssh] {
        let mut tcp = server.tcp().await;
        // A reset while we still send is a fine answer.
        let _ = tcp.write_all(&garbage).await;
        let mut sink = Vec::new();
        let _ = tokio::time::timeout(HANG, tcp.read_to_end(&mut sink)).await.expect("not closed");
    }
    let mut plain = server.tcp().await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 400];
    let read = plain.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("Use https://"), "{answer}");
    let mut tls = server.tls(&["h2"]).await.unwrap();
    tls.write_all(&[0xff; 5000]).await.unwrap();
    let _ = tokio::time::timeout(HANG, tls.read_to_end(&mut Vec::new())).await.expect("not closed");

    server.until(|stats| stats.handshakes_failed == 5 && stats.open == 0).await;
    assert_eq!(text(server.http1().await.send_request(ask("/hello")).await.unwrap()).await, "HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused_on_both_protocols() {
    let server = Server::start(calm()).await;
    let with = |bytes: usize| {
        let mut request = ask("/hello");
        request.headers_mut().insert("x-large", "a".repeat(bytes).parse().unwrap());
        request
    };
    assert_eq!(server.http1().await.send_request(with(12_000)).await.unwrap().status(), 200);
    assert_eq!(server.http2().await.send_request(with(12_000)).await.unwrap().status(), 200);
    assert_eq!(server.http1().await.send_request(with(20_000)).await.unwrap().status(), 431);
    // The client knows the limit from SETTINGS, or the server answers.
    let mut two = server.http2().await;
    assert_eq!(two.send_request(ask("/hello")).await.unwrap().status(), 200);
    assert!(two.send_request(with(20_000)).await.map_or(true, |answer| answer.status() == 431));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_its_request_alone() {
    let server = Server::start(calm()).await;
    let mut two = server.http2().await;
    assert!(two.send_request(ask("/panic")).await.is_err());
    assert_eq!(text(two.send_request(ask("/hello")).await.unwrap()).await, "HTTP/2.0");
    assert!(server.http1().await.send_request(ask("/panic")).await.is_err());
    assert_eq!(text(server.http1().await.send_request(ask("/hello")).await.unwrap()).await, "HTTP/1.1");
    drop(two);
    server.until(|stats| stats.open == 0).await;
}

/// Reads HTTP/2 frames until one of this type; its payload (RFC 9113 section 4.1).
async fn frame(stream: &mut (impl AsyncRead + Unpin), expected: u8) -> Vec<u8> {
    let read = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == expected {
                return payload;
            }
        }
    };
    tokio::time::timeout(HANG, read).await.expect("no such frame")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_stand_in_the_settings_and_a_rapid_reset_ends_the_connection() {
    let server = Server::start(calm()).await;
    let mut two = server.tls(&["h2"]).await.unwrap();
    two.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    let settings = frame(&mut two, 4).await;
    let setting = |id: u8| {
        let found = settings.chunks(6).find(|setting| setting[..2] == [0, id]);
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    assert_eq!((setting(3), setting(6)), (Some(1024), Some(16 * 1024)), "streams, size of the header list");

    let mut resets = Vec::new();
    for stream in (1..1000_u32).step_by(2).map(u32::to_be_bytes) {
        // GET https /, complete; then RST_STREAM with CANCEL.
        resets.extend_from_slice(&[0, 0, 3, 1, 5]);
        resets.extend_from_slice(&stream);
        resets.extend_from_slice(&[0x82, 0x87, 0x84]);
        resets.extend_from_slice(&[0, 0, 4, 3, 0]);
        resets.extend_from_slice(&stream);
        resets.extend_from_slice(&[0, 0, 0, 8]);
    }
    two.write_all(&resets).await.unwrap();
    let goaway = frame(&mut two, 7).await;
    assert_eq!(goaway[4..8], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
    server.until(|stats| stats.open == 0).await;
}
