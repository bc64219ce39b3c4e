//! Deadlines of unary calls, and slow clients.

use crate::raw::{Call, framed};
use crate::refusal::{self, status_of};
use crate::requests::get;
use crate::server::{Server, soon};
use bytes::Bytes;
use certmint::limits::Limits;
use prost::Message;
use std::time::{Duration, Instant};

const EXCEEDED: &str = "DeadlineExceeded: The deadline of the call passed.
    reason: DEADLINE_EXCEEDED of certmint.v1
    azureCode: GatewayTimeout
    httpStatus: 504";

/// A call whose message does not come.
async fn silent(server: &Server, call: Call) -> Duration {
    let begun = Instant::now();
    let (answer, _message) = call.open(&server.h2().await).await;
    let (parts, _) = soon("the refusal", answer).await.unwrap().into_parts();
    let status = refusal::in_headers(&parts.headers);
    refusal::is(Err::<(), _>(status), EXCEEDED);
    begun.elapsed()
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_with_its_own_code() {
    let server = Server::start().await;
    for (text, least) in [("300m", 300), ("250000u", 250), ("1S", 1000)] {
        let took = silent(&server, Call::to("CertificateService/GetPending").header("grpc-timeout", text)).await;
        let least = Duration::from_millis(least);
        assert!(took >= least, "{text}: {took:?}");
    }
}

#[tokio::test]
async fn a_deadline_of_nothing_is_over_at_once() {
    let server = Server::start().await;
    for method in ["CertificateService/GetPending", "CertificateService/WatchPending"] {
        silent(&server, Call::to(method).header("grpc-timeout", "1n")).await;
    }
}

/// What a client sends and never ends is bounded by the server, streams too.
#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for_for_ever() {
    let server = Server::limited(Limits { request_timeout: Duration::from_millis(300), ..Limits::default() }).await;
    for method in ["CertificateService/GetPending", "CertificateService/WatchPending", "grpc.health.v1.Health/Check"] {
        silent(&server, Call::to(method)).await;
        silent(&server, Call::to(method).header("grpc-timeout", "10S")).await;
    }
    assert_eq!(server.service.watch().streams(), 0);
}

#[tokio::test]
async fn a_message_that_drips_is_not_waited_for_for_ever() {
    let server = Server::limited(Limits { request_timeout: Duration::from_millis(400), ..Limits::default() }).await;
    for method in ["CertificateService/CreateCertificate", "CertificateService/WatchPending"] {
        let (answer, mut stream) = Call::to(method).open(&server.h2().await).await;
        let dripping = tokio::spawn(async move {
            for byte in framed(&[b' '; 1000]) {
                if stream.send_data(Bytes::from(vec![byte]), false).is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let (parts, _) = soon("the refusal", answer).await.unwrap().into_parts();
        refusal::is(Err::<(), _>(refusal::in_headers(&parts.headers)), EXCEEDED);
        dripping.abort();
    }
}

#[tokio::test]
async fn a_watch_may_last_longer_than_a_call() {
    let server = Server::limited(Limits { request_timeout: Duration::from_secs(1), ..Limits::default() }).await;
    let mut stream = crate::watch::stream::Watch::open(&server, crate::requests::watch("web")).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // The limit is that of the creation, too, which a busy machine may not keep.
    let mut client = server.certificates().await;
    let create = async {
        while let Err(status) = client.create_certificate(crate::requests::create("web", "Unknown")).await {
            match refusal::reason(&status).as_str() {
                "PENDING_IN_PROGRESS" => break,
                reason => assert_eq!(reason, "DEADLINE_EXCEEDED", "{status}"),
            }
        }
    };
    soon("the creation", create).await;
    assert_eq!(stream.said(1).await, ["created web r1: in progress"]);
}

#[tokio::test]
async fn a_deadline_that_is_none_is_no_deadline() {
    let server = Server::start().await;
    let client = server.h2().await;
    for text in ["nonsense", "1x", "123456789S", "-1S"] {
        let call = Call::to("CertificateService/GetPending").header("grpc-timeout", text);
        let answer = call.whole_bytes(&client, framed(&get("web").encode_to_vec())).await;
        assert_eq!(refusal::reason(&status_of(&answer)), "PENDING_NOT_FOUND", "{text}");
    }
}

#[tokio::test]
async fn a_request_over_rest_has_a_time_limit_too() {
    let server = Server::limited(Limits { request_timeout: Duration::from_millis(1), ..Limits::default() }).await;
    let body = r#"{"policy":{"key_props":{"kty":"RSA","key_size":4096},"x509_props":{"subject":"CN=a"},"issuer":{"name":"Unknown"}}}"#;
    let reply = server.rest("localhost").send("POST /certificates/web/create", body).await;
    assert_eq!(reply.status, 504, "{}", reply.body);
    assert_eq!(reply.json()["error"]["code"], "GatewayTimeout");
    assert!(reply.body.contains("did not complete within 1ms"), "{}", reply.body);
}
