//! gRPC-Web, as a browser or a proxy sends it: binary and text, unary and stream, over HTTP/1.1 and
//! HTTP/2.

use crate::raw::{Call, framed, unframed};
use crate::refusal;
use crate::requests::{create, get, watch};
use crate::server::{Server, soon};
use crate::watch::stream::shorts;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes, BytesMut};
use certmint::proto::v1::*;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

/// Messages and trailers of an answer.
type Answer = (Vec<Bytes>, HeaderMap);

async fn ask(server: &Server, version: &str, kind: &str, method: &str, message: &impl Message) -> Answer {
    let body = framed(&message.encode_to_vec());
    let body = if kind == TEXT { STANDARD.encode(body).into() } else { body };
    let (status, headers, body) = send(server, version, kind, method, body).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, answered_as(kind)));
    if headers.contains_key("grpc-status") {
        return (Vec::new(), headers);
    }
    read(if kind == TEXT { decoded(&body) } else { body })
}

/// The kinds of answers; the second has no subtype in the request either.
fn answered_as(kind: &str) -> &str {
    if kind == TEXT { "application/grpc-web-text+proto" } else { BINARY }
}

async fn send(server: &Server, version: &str, kind: &str, method: &str, body: Bytes) -> (u16, HeaderMap, Bytes) {
    let uri = format!("https://localhost/certmint.v1.CertificateService/{method}");
    let request = Request::post(uri).header("host", "localhost").header("content-type", kind).header("accept", kind);
    let request = request.header("x-grpc-web", "1").body(Full::new(body)).unwrap();
    let io = TokioIo::new(server.tls(&[version]).await);
    let response = if version == "h2" {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (parts, body) = response.into_parts();
    let body = soon("the whole answer", body.collect()).await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, body)
}

/// Base64 in pieces, each with a padding of its own (gRPC-Web, "Protocol differences").
fn decoded(text: &[u8]) -> Bytes {
    let mut whole = Vec::new();
    for piece in text.chunks(4) {
        whole.extend(STANDARD.decode(piece).unwrap_or_else(|error| panic!("{error}: {text:?}")));
    }
    whole.into()
}

/// The last frame has the high bit in its first byte, and the trailers as text.
fn read(body: Bytes) -> Answer {
    let mut body = BytesMut::from(body);
    let mut messages = Vec::new();
    while body[0] == 0 {
        messages.push(unframed(&mut body).unwrap());
    }
    assert_eq!(body[0], 0x80);
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    body.advance(5);
    assert_eq!(body.len(), length, "nothing follows the trailers");
    let text = std::str::from_utf8(&body).unwrap();
    let trailers = text.lines().map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap())
    });
    (messages, trailers.collect())
}

async fn everywhere(check: impl AsyncFn(&Server, &str, &str)) {
    for version in ["http/1.1", "h2"] {
        for kind in [BINARY, TEXT] {
            check(&Server::start().await, version, kind).await;
        }
    }
}

#[tokio::test]
async fn a_call_is_answered() {
    everywhere(async |server, version, kind| {
        let (messages, trailers) = ask(server, version, kind, "CreateCertificate", &create("web", "Unknown")).await;
        assert_eq!(trailers["grpc-status"], "0", "{version} {kind}");
        let answer = CreateCertificateResponse::decode(messages[0].clone()).unwrap();
        assert_eq!(answer.operation.unwrap().status(), PendingStatus::InProgress);
        assert!(!answer.resume_token.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_answered_to_its_end() {
    everywhere(async |server, version, kind| {
        server.certificates().await.create_certificate(create("web", "Self")).await.unwrap();
        let request = WatchPendingRequest { until_terminal: true, ..watch("web") };
        // The operation may have ended before the stream begins, or end in it.
        let (messages, trailers) = ask(server, version, kind, "WatchPending", &request).await;
        assert_eq!(trailers["grpc-status"], "0", "{version} {kind}");
        let told: Vec<WatchPendingResponse> =
            messages.into_iter().map(|message| WatchPendingResponse::decode(message).unwrap()).collect();
        let said = shorts(&told);
        assert!(said.iter().any(|line| line.starts_with("caught up")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("web r2: ") && line.contains("completed")), "{said:?}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_all_its_details() {
    everywhere(async |server, version, kind| {
        let (messages, trailers) = ask(server, version, kind, "GetPending", &get("web")).await;
        assert_eq!(messages.len(), 0);
        let status = refusal::in_headers(&trailers);
        refusal::is(
            Err::<(), _>(status),
            "NotFound: Pending certificate not found: web
             reason: PENDING_NOT_FOUND of certmint.v1
             azureCode: PendingCertificateNotFound
             httpStatus: 404
             resource: pending web",
        );
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_refused_with_all_details_too() {
    everywhere(async |server, version, kind| {
        let request = WatchPendingRequest { resume_token: "nonsense".into(), ..watch("web") };
        let (_, trailers) = ask(server, version, kind, "WatchPending", &request).await;
        let status = refusal::in_headers(&trailers);
        assert_eq!(refusal::reason(&status), "BAD_PARAMETER");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_base64_is_refused() {
    let server = Server::start().await;
    for body in ["!!!!", "AAAA!", "AA"] {
        let (status, headers, _) = send(&server, "http/1.1", TEXT, "GetPending", body.into()).await;
        assert_eq!(status, 200, "{body}");
        let status = refusal::in_headers(&headers);
        assert_eq!(refusal::reason(&status), "BAD_PARAMETER", "{body}: {status:?}");
    }
}

#[tokio::test]
async fn another_method_than_post_is_refused() {
    let server = Server::start().await;
    let uri = "GET /certmint.v1.CertificateService/GetPending";
    let reply = server.rest("localhost").raw(uri, &[("content-type", BINARY)], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (405, "A gRPC-Web call is a POST.\n"));
}

/// The same call with and without the layer of gRPC-Web says the same.
#[tokio::test]
async fn a_browser_and_a_grpc_client_get_the_same_message() {
    let server = Server::start().await;
    server.certificates().await.create_certificate(create("web", "Unknown")).await.unwrap();
    let by_grpc = Call::to("CertificateService/GetPending").whole(&server.h2().await, &get("web")).await;
    let (by_web, _) = ask(&server, "http/1.1", BINARY, "GetPending", &get("web")).await;
    let decoded = |bytes: &Bytes| GetPendingResponse::decode(bytes.clone()).unwrap();
    assert_eq!(decoded(&by_grpc.messages[0]), decoded(&by_web[0]));
}
