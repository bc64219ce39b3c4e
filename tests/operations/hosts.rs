//! Hosts, headers and encodings outside development mode, on both APIs; the hosts of the operators' port.

use crate::clients::{CREATE, admin_as, connect_h2, rest, talk, until};
use crate::server::{ALICE, Place, Server};
use bytes::Bytes;
use http::Request;

const REAL: &str = "base_domain = 'cm.test'\nhosts = ['certmint.internal']\n[vaults.named.team-a]\n";
const LIST: &str = "/certificates?api-version=7.4";

/// One request over HTTP/1.1, with these lines of its head beside `Connection: close`.
async fn ask(server: &Server, place: &Place, line: &str, head: &[&str]) -> String {
    let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    talk(server, place, format!("{line} HTTP/1.1\r\nconnection: close\r\n{head}\r\n").as_bytes()).await
}

/// The HTTP status and the gRPC status of a call with these headers.
async fn call(server: &Server, place: &Place, authority: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::post(format!("https://{authority}/certmint.v1.CertificateService/ListCertificates"))
        .header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let sender = connect_h2(server.address, place, &h2::client::Builder::new()).await;
    let mut sender = sender.ready().await.unwrap();
    let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    // A refusal need not read it.
    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
    let (parts, mut body) = answer.await.unwrap().into_parts();
    while body.data().await.is_some() {}
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let code = parts.headers.get("grpc-status").or(trailers.get("grpc-status"));
    (parts.status.as_u16(), code.map_or_else(String::new, |code| code.to_str().unwrap().to_owned()))
}

fn bearer() -> String {
    format!("authorization: Bearer {ALICE}")
}

#[tokio::test]
async fn hosts_that_are_not_ours_are_refused_and_the_challenge_does_not_repeat_them() {
    let place = Place::new(REAL);
    let server = place.start();
    let line = format!("GET {LIST}");
    for host in ["cm.test", "cm.test:8443", "team-a.cm.test", "127.0.0.1:8443", "[::1]", "certmint.internal"] {
        let answer = ask(&server, &place, &line, &[&format!("host: {host}"), &bearer()]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    for host in ["x.team-a.cm.test", "team-a..cm.test", ".cm.test", "evil.example", "localhost", "cm.test.evil.example"]
    {
        let answer = ask(&server, &place, &line, &[&format!("host: {host}"), &bearer()]).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BadParameter"), "{host}: {answer}");
        assert!(answer.contains("VAULT.cm.test") && !answer.contains(&format!("\"{host}")), "{host}: {answer}");
        let answer = ask(&server, &place, &line, &[&format!("host: {host}")]).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{host}: {answer}");
        let challenge = "Bearer authorization=\"https://cm.test/adfs\", resource=\"https://cm.test\"";
        assert!(answer.contains(challenge), "{host}: {answer}");
    }
    let token = format!("Bearer {ALICE}");
    let good = [("authorization", token.as_str())];
    assert_eq!(call(&server, &place, "team-a.cm.test", &good).await, (200, "0".to_owned()));
    for host in ["x.team-a.cm.test", "evil.example", "localhost"] {
        assert_eq!(call(&server, &place, host, &good).await, (200, "3".to_owned()), "{host}");
    }
}

#[tokio::test]
async fn a_repeated_header_is_refused_on_both_apis() {
    let place = Place::new("");
    let server = place.start();
    let (line, bearer) = (format!("GET {LIST}"), bearer());
    for second in [bearer.as_str(), "authorization: Bearer wrong", "Authorization: Basic eDp5"] {
        for pair in [[&bearer, second], [second, &bearer]] {
            let answer = ask(&server, &place, &line, &["host: localhost", pair[0], pair[1]]).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.contains("more than one authorization header"), "{answer}");
        }
    }
    for name in ["x-ms-client-request-id", "content-type", "x-http-method", "last-event-id", "origin"] {
        let (one, two) = (format!("{name}: a"), format!("{name}: b"));
        let answer = ask(&server, &place, &line, &["host: localhost", &bearer, &one, &two]).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains(&format!("more than one {name} header")), "{answer}");
    }
    for query in ["api-version=7.4&api-version=7.5", "api-version=7.4&maxresults=1&MAXRESULTS=2"] {
        let answer = ask(&server, &place, &format!("GET /certificates?{query}"), &["host: localhost", &bearer]).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("more than once"), "{answer}");
    }
    let token = format!("Bearer {ALICE}");
    let good = ("authorization", token.as_str());
    for second in [good, ("authorization", "Bearer wrong")] {
        assert_eq!(call(&server, &place, "localhost", &[good, second]).await, (200, "3".to_owned()));
    }
    for name in ["grpc-timeout", "grpc-encoding"] {
        let headers = [good, (name, "1S"), (name, "2S")];
        assert_eq!(call(&server, &place, "localhost", &headers).await, (200, "3".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_on_both_apis_and_the_identity_is_not() {
    let place = Place::new("");
    let server = place.start();
    let length = format!("content-length: {}", CREATE.len());
    for (encoding, status) in [("gzip", "415"), ("identity, br", "415"), ("identity", "202")] {
        let head = format!(
            "POST /certificates/web/create?api-version=7.4 HTTP/1.1\r\nconnection: close\r\nhost: localhost\r\n{}\r\n\
             content-type: application/json\r\ncontent-encoding: {encoding}\r\n{length}\r\n\r\n{CREATE}",
            bearer()
        );
        let answer = talk(&server, &place, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{encoding}: {answer}");
    }
    let token = format!("Bearer {ALICE}");
    let headers = [("authorization", token.as_str()), ("content-encoding", "gzip")];
    assert_eq!(call(&server, &place, "localhost", &headers).await, (415, "12".to_owned()));
    let headers = [("authorization", token.as_str()), ("content-encoding", "identity")];
    assert_eq!(call(&server, &place, "localhost", &headers).await, (200, "0".to_owned()));
}

#[tokio::test]
async fn the_operators_port_is_not_read_under_a_name_of_others() {
    let place = Place::new("base_domain = 'cm.test'");
    let server = place.start();
    // The address is announced a moment before the server is ready.
    until("the server is ready", async || admin_as(&server, "localhost", "/readyz").await.starts_with("HTTP/1.1 200"))
        .await;
    for path in ["/metrics", "/livez", "/readyz", "/openapi.json"] {
        for host in ["evil.example", "evil.example:9443", "127.0.0.1.evil.example"] {
            let answer = admin_as(&server, host, path).await;
            assert!(answer.starts_with("HTTP/1.1 421") && !answer.contains("certmint_ready"), "{host}: {answer}");
        }
        for host in ["127.0.0.1", "localhost:1", "[::1]:9443", "cm.test"] {
            let answer = admin_as(&server, host, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_request_over_rest_has_a_time() {
    let place = Place::new("[limits]\nrequest_timeout = '300ms'\nbody_read_timeout = '1h'\n");
    let server = place.start();
    // The body never ends.
    let head = format!(
        "POST /certificates/web/create?api-version=7.4 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{",
        bearer()
    );
    let answer = talk(&server, &place, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("GatewayTimeout"), "{answer}");
    // A busy machine may take longer for this one, too; not for all.
    crate::clients::until("others are answered", async || {
        rest(&server, &place, Some(ALICE), "GET", LIST, "").await.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn key_files_of_a_killed_start_are_gone_after_the_next() {
    let place = Place::new("");
    let left = place.file("data").join(".master-keys-0123456789abcdef");
    std::fs::create_dir_all(place.file("data")).unwrap();
    std::fs::write(&left, "old AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let _server = place.start();
    assert!(!left.exists());
    assert!(place.file("data").join("master.key").exists());
}
