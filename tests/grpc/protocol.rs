//! Invalid calls, and the HTTP/2 settings of the server.

use crate::raw::{Call, flagged, framed};
use crate::refusal::{self, status_of};
use crate::requests::{create, get};
use crate::server::{Server, soon};
use bytes::{Bytes, BytesMut};
use certmint::limits::Limits;
use certmint::proto::v1::*;
use h2::client::SendRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UNARY: &str = "CertificateService/GetPending";
const STREAM: &str = "CertificateService/WatchPending";

async fn refused(client: &SendRequest<Bytes>, call: Call, body: Bytes, expected: &str) {
    let answer = soon("the refusal", call.whole_bytes(client, body)).await;
    assert_eq!((answer.http, answer.messages.len()), (200, 0), "{answer:?}");
    refusal::is(Err::<(), _>(status_of(&answer)), expected);
}

const UNDECODABLE: &str = "InvalidArgument: The message is not a valid protobuf message of this method.
    reason: BAD_PARAMETER of certmint.v1
    azureCode: BadParameter
    httpStatus: 400";

#[tokio::test]
async fn what_is_no_protobuf_is_a_bad_parameter() {
    let server = Server::start().await;
    let client = server.h2().await;
    for method in [UNARY, STREAM, "CertificateAdminService/SetIssuer", "grpc.health.v1.Health/Check"] {
        for nonsense in [&b"\xff\xff\xff"[..], b"{\"certificate_name\":\"web\"}", b"\x0a\x05ab", b"\x0a\x01\xff"] {
            refused(&client, Call::to(method), framed(nonsense), UNDECODABLE).await;
        }
    }
}

/// Groups can be nested without end; the decoder has a limit, and the thread a stack.
#[tokio::test]
async fn a_deeply_nested_message_is_harmless() {
    let server = Server::start().await;
    let nested = b"\x9b\x06".repeat(400_000);
    refused(&server.h2().await, Call::to(UNARY), framed(&nested), UNDECODABLE).await;
}

#[tokio::test]
async fn unknown_fields_are_accepted() {
    let server = Server::start().await;
    let mut message = create("web", "Unknown").encode_to_vec();
    message.extend(b"\xf8\x3f\x01");
    let call = Call::to("CertificateService/CreateCertificate");
    let answer = call.whole_bytes(&server.h2().await, framed(&message)).await;
    assert_eq!(answer.message::<CreateCertificateResponse>().operation.unwrap().certificate_name, "web");
}

#[tokio::test]
async fn a_message_over_the_limit_is_named_as_one() {
    let server = Server::limited(Limits { request_body_bytes: 1000, ..Limits::default() }).await;
    let client = server.h2().await;
    for method in [UNARY, STREAM] {
        refused(
            &client,
            Call::to(method),
            framed(&[0; 1001]),
            "ResourceExhausted: decoded message length too large: found 1001 bytes, the limit is: 1000 bytes
             reason: MESSAGE_TOO_LARGE of certmint.v1
             azureCode: RequestBodyTooLarge
             httpStatus: 413",
        )
        .await;
    }
    let announced = Bytes::from_static(b"\0\xff\xff\xff\xff");
    let answer = Call::to(UNARY).whole_bytes(&client, announced).await;
    assert_eq!(refusal::reason(&status_of(&answer)), "MESSAGE_TOO_LARGE", "nobody waits for 4 GiB");
}

#[tokio::test]
async fn a_call_without_a_whole_message_is_a_bad_parameter() {
    let server = Server::start().await;
    let client = server.h2().await;
    for body in [&b""[..], b"\0\0", b"\0\0\0\0\x05ab", b"\x07\0\0\0\0"] {
        for method in [UNARY, STREAM] {
            let answer = soon("the refusal", Call::to(method).whole_bytes(&client, Bytes::from_static(body))).await;
            let status = status_of(&answer);
            assert_eq!(refusal::reason(&status), "BAD_PARAMETER", "{method} {body:?}: {status:?}");
            assert!(status.message().starts_with("This is not a valid gRPC call. "), "{status:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_method_or_service_is_not_supported() {
    let server = Server::start().await;
    let client = server.h2().await;
    for method in ["CertificateService/Nonsense", "Nonsense/GetPending", "other.v1.Service/Method"] {
        let path = if method.starts_with("other") { format!("/{method}") } else { format!("/certmint.v1.{method}") };
        let expected = format!(
            "Unimplemented: This server has no method {path}. Reflection lists those it has.
             reason: NOT_SUPPORTED of certmint.v1
             azureCode: NotSupported
             httpStatus: 501"
        );
        refused(&client, Call::to(method), framed(b""), &expected).await;
    }
}

#[tokio::test]
async fn compression_is_refused_with_what_is_taken() {
    let server = Server::start().await;
    let client = server.h2().await;
    for method in [UNARY, STREAM] {
        let call = Call::to(method).header("grpc-encoding", "gzip");
        let answer = call.whole_bytes(&client, flagged(1, b"\x1f\x8b")).await;
        refusal::is(
            Err::<(), _>(status_of(&answer)),
            "Unimplemented: Content is compressed with `gzip` which isn't supported
             reason: NOT_SUPPORTED of certmint.v1
             azureCode: NotSupported
             httpStatus: 501",
        );
        assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
    }
    // What a client could take, the server need not send.
    let call = Call::to(UNARY).header("grpc-accept-encoding", "gzip,identity").header("grpc-encoding", "identity");
    let answer = call.whole(&client, &get("web")).await;
    assert_eq!(refusal::reason(&status_of(&answer)), "PENDING_NOT_FOUND");
}

#[tokio::test]
async fn another_content_type_gets_the_protocols_of_a_method() {
    let server = Server::start().await;
    let client = server.h2().await;
    for kind in [
        "application/json",
        "application/proto",
        "application/connect+json",
        "application/connect+proto",
        "",
        "text/plain",
        "application/x-protobuf",
    ] {
        let call = Call::to(UNARY).header("content-type", kind).header("connect-protocol-version", "1");
        for call in [call.clone(), call.header("authorization", "Bearer t")] {
            let answer = call.send_bytes(&client, framed(b"")).await.unwrap();
            assert_eq!(answer.http, 415, "{kind}");
            assert!(!answer.headers.contains_key("www-authenticate"));
            assert!(answer.headers["accept-post"].to_str().unwrap().starts_with("application/grpc, "), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_content_type_with_a_format_or_parameters_is_a_call() {
    let server = Server::start().await;
    let client = server.h2().await;
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let answer = Call::to(UNARY).header("content-type", kind).whole(&client, &get("web")).await;
        assert_eq!(refusal::reason(&status_of(&answer)), "PENDING_NOT_FOUND", "{kind}");
    }
}

#[tokio::test]
async fn a_host_that_is_no_vault_is_a_bad_parameter() {
    let server = Server::start().await;
    let call = Call::to(UNARY).authority("a_b.localhost");
    refused(
        &server.h2().await,
        call,
        framed(b""),
        "InvalidArgument: The vault name is invalid. It has 1 to 63 of the characters 0-9, a-z and -, and neither begins nor ends with -.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400",
    )
    .await;
}

#[tokio::test]
async fn grpc_over_http_1_is_told_what_to_do() {
    let server = Server::start().await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let uri = format!("POST /certmint.v1.{UNARY}");
    let reply = server.rest("localhost").raw(&uri, &headers, framed(b"")).await;
    assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (400, "text/plain; charset=utf-8"));
    assert_eq!(
        reply.body,
        "gRPC needs HTTP/2. Over HTTP/1.1 use gRPC-Web (Content-Type: application/grpc-web+proto).\n"
    );
}

/// RFC 9113 section 6.5.2: what the server's first frame says.
#[tokio::test]
async fn the_settings_are_those_of_the_configuration() {
    let server = Server::start().await;
    let mut tls = server.tls(&["h2"]).await;
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    tls.flush().await.unwrap();
    let mut head = [0; 9];
    tls.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0], "a SETTINGS frame on stream 0");
    let mut body = BytesMut::zeroed(usize::from(u16::from_be_bytes([head[1], head[2]])));
    tls.read_exact(&mut body).await.unwrap();
    let settings: Vec<(u16, u32)> = body
        .chunks(6)
        .map(|pair| {
            let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
            (u16::from_be_bytes([pair[0], pair[1]]), value)
        })
        .collect();
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const MAX_HEADER_LIST_SIZE: u16 = 6;
    assert!(settings.contains(&(MAX_CONCURRENT_STREAMS, 1024)), "{settings:?}");
    assert!(settings.contains(&(MAX_HEADER_LIST_SIZE, 16 * 1024)), "{settings:?}");
}
