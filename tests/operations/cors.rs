//! Web pages of other origins: preflight requests, and what pages may read, on both APIs.

use crate::clients::talk;
use crate::server::{ALICE, Place, Server};

const CONSOLE: &str = "[cors]\norigins = ['https://console.example', 'http://localhost:*']\n";
const REST: &str = "/certificates/web/create?api-version=7.4";
const GRPC: &str = "/certmint.v1.CertificateService/ListCertificates";

async fn ask(server: &Server, place: &Place, method: &str, path: &str, head: &[&str], body: &[u8]) -> String {
    let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    talk(server, place, &request).await.to_ascii_lowercase()
}

fn question(origin: &str) -> [&str; 3] {
    [
        origin,
        "access-control-request-method: POST",
        "access-control-request-headers: authorization,content-type,x-grpc-web,x-ms-client-request-id,x-evil",
    ]
}

#[tokio::test]
async fn a_configured_origin_passes_preflight_without_credentials() {
    let place = Place::new(CONSOLE);
    let server = place.start();
    for origin in ["https://console.example", "http://localhost:5173"] {
        for path in [REST, GRPC, "/no/such/path"] {
            let answer = ask(&server, &place, "OPTIONS", path, &question(&format!("origin: {origin}")), b"").await;
            assert!(answer.starts_with("http/1.1 204"), "{path}: {answer}");
            let allowed = format!("access-control-allow-origin: {origin}\r\n");
            assert!(answer.contains(&allowed) && answer.contains("vary: origin"), "{answer}");
            for part in ["access-control-allow-methods: get, head, post, put, patch, delete", "x-ms-client-request-id"]
            {
                assert!(answer.contains(part), "{part}: {answer}");
            }
            for header in ["authorization", "content-type", "x-grpc-web", "grpc-timeout", "x-user-agent"] {
                assert!(answer.contains(header), "{header}: {answer}");
            }
            assert!(
                !answer.contains("x-evil")
                    && !answer.contains("allow-credentials")
                    && !answer.contains("www-authenticate")
            );
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_not() {
    let place = Place::new(CONSOLE);
    let server = place.start();
    for origin in
        ["https://evil.example", "https://console.example.evil.example", "http://console.example", "null", "*"]
    {
        let answer = ask(&server, &place, "OPTIONS", REST, &question(&format!("origin: {origin}")), b"").await;
        assert!(answer.starts_with("http/1.1 401") && !answer.contains("access-control-allow"), "{origin}: {answer}");
        assert!(answer.contains("vary: origin"), "{answer}");
    }
    // Who asks nothing that a browser asks gets what he got before.
    let answer = ask(&server, &place, "OPTIONS", REST, &["origin: https://console.example"], b"").await;
    assert!(answer.starts_with("http/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_page_may_read_the_answers_of_both_apis_and_their_headers() {
    let place = Place::new(CONSOLE);
    let server = place.start();
    let bearer = format!("authorization: Bearer {ALICE}");
    let origin = "origin: https://console.example";
    let exposed =
        ["grpc-status", "grpc-message", "grpc-status-details-bin", "location", "retry-after", "www-authenticate"];
    let web = ["content-type: application/grpc-web+proto", "x-grpc-web: 1"];
    let rest = ask(&server, &place, "GET", "/certificates?api-version=7.4", &[origin, &bearer], b"").await;
    let refused = ask(&server, &place, "GET", "/certificates?api-version=7.4", &[origin], b"").await;
    let call = ask(&server, &place, "POST", GRPC, &[origin, &bearer, web[0], web[1]], &[0; 5]).await;
    let unknown = ask(&server, &place, "POST", GRPC, &[origin, web[0], web[1]], &[0; 5]).await;
    for (answer, status) in [(&rest, "200"), (&refused, "401"), (&call, "200"), (&unknown, "200")] {
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert!(answer.contains("access-control-allow-origin: https://console.example\r\n"), "{answer}");
        assert!(answer.contains("vary: origin"), "{answer}");
        let line = answer.lines().find(|line| line.starts_with("access-control-expose-headers")).unwrap();
        assert!(exposed.iter().all(|name| line.contains(name)) && line.contains("x-ms-request-id"), "{line}");
    }
    let other =
        ask(&server, &place, "GET", "/certificates?api-version=7.4", &["origin: https://e.example", &bearer], b"")
            .await;
    assert!(other.starts_with("http/1.1 200") && !other.contains("access-control"), "{other}");
}

#[tokio::test]
async fn without_a_setting_no_page_may_call() {
    let place = Place::new("");
    let server = place.start();
    let answer = ask(&server, &place, "OPTIONS", REST, &question("origin: http://localhost:5173"), b"").await;
    assert!(answer.starts_with("http/1.1 401") && !answer.contains("access-control"), "{answer}");
}
