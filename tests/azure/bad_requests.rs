//! Errors for bad requests, before any use case runs.

use crate::client::{Client, HOST};
use crate::support::service;
use axum::body::Body;
use bytes::Bytes;
use certmint::limits::Limits;
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;
use http::Request;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

const TOKEN: (&str, &str) = ("authorization", "Bearer token");
const CREATE: &str = "POST /certificates/mycert1/create?api-version=7.4";

#[tokio::test]
async fn without_a_token_the_challenge_comes_before_anything_else() {
    let client = Client::start().await;
    for request in [
        "GET /certificates/mycert1/pending?api-version=7.4",
        "POST /certificates/mycert1/create",
        "PUT /certificates/issuers/?api-version=nonsense",
        "BREW /nowhere",
    ] {
        client.raw(request, &[], "{ not json").await.is(r#"
            401
            content-type: application/json; charset=utf-8
            www-authenticate: Bearer authorization="https://v1.localhost:8443/adfs", resource="https://localhost:8443"
            {"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}
        "#);
    }
}

#[tokio::test]
async fn credentials_that_are_no_bearer_token_are_challenged_too() {
    let client = Client::start().await;
    for value in ["Basic eDp5", "Bearer ", "token"] {
        let reply = client.raw(CREATE, &[("authorization", value)], "").await;
        reply.is_refusal(401, "Unauthorized", "AKV10000");
    }
}

#[tokio::test]
async fn the_challenge_names_the_parent_domain_of_a_vault_or_the_host_itself() {
    let client = Client::start().await;
    for (host, resource) in [
        ("v1.localhost:8443", "https://localhost:8443"),
        ("v1.localhost", "https://localhost"),
        ("localhost:8443", "https://localhost:8443"),
        ("127.0.0.1:8443", "https://0.0.1:8443"),
        ("[::1]:8443", "https://[::1]:8443"),
    ] {
        let reply = client.raw(CREATE, &[("host", host)], "").await;
        let expected = format!("Bearer authorization=\"https://{host}/adfs\", resource=\"{resource}\"");
        assert_eq!(reply.header("www-authenticate"), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_challenged_then_refused() {
    let client = Client::start().await;
    let reply = client.raw(CREATE, &[("host", "a b")], "").await;
    assert!(reply.header("www-authenticate").unwrap().contains("resource=\"https://localhost\""));
    client.raw(CREATE, &[("host", "a b"), TOKEN], "").await.is_refusal(400, "BadParameter", "Host");
    client.raw(CREATE, &[("host", "a_b.localhost"), TOKEN], "").await.is_refusal(400, "BadParameter", "vault name");
}

#[tokio::test]
async fn a_missing_api_version_is_refused() {
    let client = Client::start().await;
    for request in
        ["GET /certificates/mycert1/pending", "GET /certificates/mycert1/pending?api-version=", "GET /nowhere"]
    {
        let reply = client.raw(request, &[TOKEN], "").await;
        reply.is_refusal(400, "BadParameter", "api-version is missing. Add ?api-version=2026-04-01");
    }
}

#[tokio::test]
async fn an_unknown_api_version_is_refused_with_the_latest_one() {
    let client = Client::start().await;
    client.raw("GET /certificates/mycert1/pending?api-version=2015-06-01", &[TOKEN], "").await.is(r#"
        400
        content-type: application/json; charset=utf-8
        {"error":{"code":"BadParameter","message":"The specified version (2015-06-01) is not recognized. Consider using the latest supported version (2026-04-01)."}}
    "#);
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let client = Client::start().await;
    for request in ["GET /", "GET /storage/mycert1", "GET /certificates/a/b/c/d"] {
        client.send(request, "").await.is_refusal(404, "NotFound", "nothing at this path");
    }
}

#[tokio::test]
async fn a_wrong_method_is_not_allowed() {
    let client = Client::start().await;
    client.send("PUT /certificates/mycert1/pending", "").await.is(r#"
        405
        allow: GET, PATCH, DELETE
        content-type: application/json; charset=utf-8
        {"error":{"code":"MethodNotAllowed","message":"HTTP PUT not allowed"}}
    "#);
    client.send("POST /certificates//create", "").await.is_refusal(405, "MethodNotAllowed", "HTTP POST not allowed");
    client.send("PUT /certificates/issuers/", "{}").await.is_refusal(405, "MethodNotAllowed", "HTTP PUT not allowed");
}

#[tokio::test]
async fn a_head_has_no_body() {
    let client = Client::start().await;
    let reply = client.raw("HEAD /certificates/mycert1?api-version=7.4", &[TOKEN], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (405, ""));
}

/// A connection that is closed while its client still sends takes the answer with it.
#[tokio::test]
async fn an_unread_body_is_drained() {
    let client = Client::start().await;
    let left = Arc::new(AtomicUsize::new(40));
    let counter = left.clone();
    let parts = futures_util::stream::poll_fn(move |_| {
        let more = counter.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        Poll::Ready(more.then(|| Ok::<_, Infallible>(Bytes::from(vec![b' '; 100_000]))))
    });
    let request = Request::post("/certificates/mycert1/create").header("host", HOST);
    client.call(request.body(Body::from_stream(parts)).unwrap()).await.is_refusal(401, "Unauthorized", "");
    assert_eq!(left.load(SeqCst), 0);
}

#[tokio::test]
async fn bad_names_are_refused() {
    let client = Client::start().await;
    let long = "x".repeat(128);
    for name in ["my_cert", "my.cert", "my%20cert", "a%2Fb", "%C3%A4", "%FF", long.as_str()] {
        let reply = client.send(&format!("POST /certificates/{name}/create"), "{}").await;
        reply.is_refusal(400, "BadParameter", "The request URI contains an invalid name: ");
    }
    for name in ["issuers", "Contacts", "restore"] {
        let reply = client.send(&format!("POST /certificates/{name}/create"), "{}").await;
        reply.is_refusal(400, "BadParameter", "This word is reserved");
    }
    let reply = client.send("PUT /certificates/issuers/my_issuer", r#"{"provider":"Test"}"#).await;
    reply.is_refusal(400, "BadParameter", "invalid name: my_issuer");
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let client = Client::start().await;
    for value in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let reply = client.raw(CREATE, &[TOKEN, ("content-type", value)], "{}").await;
        reply.is_refusal(415, "UnsupportedMediaType", "application/json");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let client = Client::start().await;
    let body = format!("\"{}\"", "x".repeat(1024 * 1024));
    client.raw(CREATE, &[TOKEN], &body).await.is_refusal(413, "RequestBodyTooLarge", "1048576 bytes");
    let parts = vec![Ok::<_, Infallible>(Bytes::from(vec![b' '; 700_000])), Ok(Bytes::from(vec![b' '; 700_000]))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    client.call(request(body)).await.is_refusal(413, "RequestBodyTooLarge", "1048576 bytes");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let limits = Limits { body_read_timeout: Duration::from_millis(50), ..Limits::default() };
    let client = Client::over(service::start_with(limits.into()).await, RestOptions::new(Auth::Development));
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    client.call(request(body)).await.is_refusal(408, "RequestTimeout", "did not arrive");
}

#[tokio::test]
async fn an_unknown_method_override_is_refused() {
    let client = Client::start().await;
    let reply = client.raw(CREATE, &[TOKEN, ("x-http-method", "TRACE")], "{}").await;
    reply.is_refusal(400, "BadParameter", "X-HTTP-Method");
}

/// Clients of Connect read `code` and `message` beside `error`.
#[tokio::test]
async fn a_grpc_method_in_another_protocol_gets_the_supported_ones() {
    let client = Client::start().await;
    for (path, kind) in [
        ("POST /certmint.v1.CertificateService/GetPending", "application/json"),
        ("POST /certmint.v1.CertificateService/GetPending", "application/proto"),
        ("POST /certmint.v1.KeyService/Sign", "application/connect+json"),
        ("GET /certmint.v1.CertificateService/GetPending?connect=v1&encoding=json&message=%7B%7D", "application/json"),
        ("POST /grpc.health.v1.Health/Check", "application/json"),
        ("POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "application/connect+proto"),
    ] {
        let headers = [("content-type", kind), ("connect-protocol-version", "1")];
        let reply = client.raw(path, &headers, "{}").await;
        reply.is_refusal(415, "UnsupportedMediaType", "speaks gRPC (application/grpc, over HTTP/2) and gRPC-Web");
        let body = reply.json();
        assert_eq!((&body["code"], &body["message"]), (&"unimplemented".into(), &body["error"]["message"]));
        assert!(reply.header("accept-post").unwrap().contains("application/grpc-web"));
    }
    for path in ["POST /certmint.v1.CertificateService", "GET /certmint.v1.X/y/z", "GET /certificates/certmint.v1.x"] {
        client.raw(path, &[], "{}").await.is_refusal(401, "Unauthorized", "");
    }
}

fn request(body: Body) -> Request<Body> {
    let uri = CREATE.split_once(' ').unwrap().1;
    Request::post(uri).header("host", HOST).header(TOKEN.0, TOKEN.1).body(body).unwrap()
}
