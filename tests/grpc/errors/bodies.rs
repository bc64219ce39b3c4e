//! Malformed, oversized and missing bodies and messages.

use super::Play;
use super::outcome::Tried;
use crate::raw::{Call, flagged, framed};
use crate::refusal;
use crate::requests::create;
use crate::rest::Reply;
use crate::server::{Server, soon};
use bytes::Bytes;
use certmint::limits::Limits;
use certmint::proto::v1::*;
use prost::Message;
use std::time::Duration;

const TOKEN: (&str, &str) = ("authorization", "Bearer t");
const CREATE: &str = "POST /certificates/mycert1/create";

pub(super) const CASES: &[(&str, Play)] = &[
    ("not JSON; not protobuf", |server| Box::pin(not_json(server))),
    ("a member of the wrong type; a number that the enum does not have", |server| Box::pin(wrong_type(server))),
    ("an array in the place of an object", |server| Box::pin(array(server))),
    ("unknown members, nulls, empty objects; unknown fields", |server| Box::pin(borne(server))),
    ("a member twice in one object, known or not", |server| Box::pin(duplicate(server))),
    ("another content type", |server| Box::pin(content_type(server))),
    ("a gRPC method in another content type, as the Connect protocol has it", |server| Box::pin(no_call(server))),
    ("a gRPC call without a whole message", |server| Box::pin(no_message(server))),
    ("a compressed message", |server| Box::pin(compressed(server))),
    ("a body or a message over the limit", |server| Box::pin(too_large(server))),
    ("a body or a message that does not arrive", |_| Box::pin(too_slow())),
    ("several things at once", |server| Box::pin(several(server))),
];

async fn not_json(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for body in ["hello", "{\n\"policy\": {,}\n}", "{\"policy\":", "{} {}", "[1]"] {
        tried.rest(&server.rest("localhost").send(CREATE, body).await);
    }
    let client = server.h2().await;
    for message in [&b"hello"[..], b"{\"certificate_name\":\"web\"}", b"\xff\xff\xff\xff"] {
        let call = Call::to("CertificateService/CreateCertificate");
        tried.raw(&call.whole_bytes(&client, framed(message)).await);
    }
    tried
}

async fn duplicate(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for body in [
        format!(r#"{{"tags":{{}},"unknown":[{}0],"tags":{{}}}}"#, "0,".repeat(10_000)),
        r#"{"unknown":{"a":1,"a":1}}"#.to_owned(),
    ] {
        tried.rest(&server.rest("localhost").send(CREATE, body).await);
    }
    tried
}

async fn wrong_type(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let secret = "hunter2";
    for body in [
        format!(r#"{{"policy":{{"key_props":{{"key_size":"{secret}"}}}}}}"#),
        format!(r#"{{"tags":{{"a":["{secret}"]}}}}"#),
    ] {
        let reply = server.rest("localhost").send(CREATE, body).await;
        assert!(!reply.body.contains(secret), "{}", reply.body);
        tried.rest(&reply);
    }
    let mut client = server.certificates().await;
    let with = |change: fn(&mut CertificatePolicy)| {
        let mut request = create("mycert1", "Unknown");
        request.policy.as_mut().map(change);
        request
    };
    for request in [
        with(|policy| policy.key_properties.as_mut().unwrap().key_type = 99),
        with(|policy| policy.key_properties.as_mut().unwrap().curve = -1),
        with(|policy| policy.x509_properties.as_mut().unwrap().key_usages = vec![1, 0]),
    ] {
        tried.grpc(client.create_certificate(request).await);
    }
    tried.grpc(client.watch_pending(WatchPendingRequest { snapshot: 9, ..WatchPendingRequest::default() }).await);
    tried
}

async fn borne(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let body = r#"{"unknown":{"a":[1]},"tags":null,"attributes":{},"preserveCertOrder":null,
        "policy":{"key_props":{"kty":"EC","key_size":null},"secret_props":{},"lifetime_actions":null,
        "x509_props":{"subject":"CN=a","sans":null,"future":true},"issuer":{}}}"#;
    tried.rest(&server.rest("v1.localhost").send(CREATE, body).await);
    let mut message = create("mycert1", "Unknown").encode_to_vec();
    message.extend(b"\xf8\x3f\x01\xfa\x3f\x02ab");
    let call = Call::to("CertificateService/CreateCertificate");
    tried.raw(&call.whole_bytes(&server.h2().await, framed(&message)).await);
    tried
}

async fn content_type(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let headers = [TOKEN, ("content-type", kind)];
        let uri = format!("{CREATE}?api-version=7.4");
        tried.rest(&server.rest("localhost").raw(&uri, &headers, "{}").await);
    }
    tried
}

async fn array(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for body in ["[]", r#"[{"x509_props":{"subject":"CN=a"}}]"#, r#"{"policy":["CN=a"]}"#] {
        tried.rest(&server.rest("localhost").send(CREATE, body).await);
    }
    tried
}

async fn no_call(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for kind in ["application/json", "application/proto", "application/connect+json", "application/x-protobuf"] {
        let uri = "POST /certmint.v1.CertificateService/GetPending";
        tried.rest(&server.rest("localhost").raw(uri, &[("content-type", kind)], framed(b"")).await);
    }
    tried
}

async fn no_message(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let client = server.h2().await;
    for body in [&b""[..], b"\0\0", b"\0\0\0\0\x05ab", b"\x07\0\0\0\0"] {
        for method in ["GetPending", "WatchPending"] {
            let call = Call::to(&format!("CertificateService/{method}"));
            tried.raw(&call.whole_bytes(&client, Bytes::from_static(body)).await);
        }
    }
    tried
}

async fn compressed(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let client = server.h2().await;
    for method in ["GetPending", "WatchPending"] {
        let call = Call::to(&format!("CertificateService/{method}")).header("grpc-encoding", "gzip");
        tried.raw(&call.whole_bytes(&client, flagged(1, b"\x1f\x8b")).await);
    }
    tried
}

async fn too_large(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let body = format!("\"{}\"", "x".repeat(1024 * 1024));
    tried.rest(&server.rest("localhost").send(CREATE, body).await);
    let client = server.h2().await;
    for method in ["CreateCertificate", "MergeCertificate", "WatchPending"] {
        let call = Call::to(&format!("CertificateService/{method}"));
        tried.raw(&call.whole_bytes(&client, framed(&vec![b' '; 1024 * 1024 + 1])).await);
    }
    tried
}

async fn too_slow() -> Tried {
    let (body_read_timeout, request_timeout) = (Duration::from_millis(200), Duration::from_secs(3));
    let server = Server::limited(Limits { body_read_timeout, request_timeout, ..Limits::default() }).await;
    let client = server.h2().await;
    let mut tried = Tried::default();
    let uri = "https://localhost/certificates/mycert1/create?api-version=7.4";
    let request = http::Request::post(uri).header(TOKEN.0, TOKEN.1).body(()).unwrap();
    let (answer, _silent) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
    let (parts, mut body) = soon("the refusal", answer).await.unwrap().into_parts();
    let body = body.data().await.unwrap().unwrap();
    let body = String::from_utf8(body.into()).unwrap();
    tried.rest(&Reply { status: parts.status.as_u16(), headers: parts.headers, body });
    for method in ["CreateCertificate", "WatchPending"] {
        let (answer, _silent) = Call::to(&format!("CertificateService/{method}")).open(&client).await;
        let headers = soon("the refusal", answer).await.unwrap().into_parts().0.headers;
        tried.grpc(Err::<(), _>(refusal::in_headers(&headers)));
    }
    tried
}

async fn several(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let body = r#"{"policy":{"key_props":{"key_size":7},"x509_props":{"subject":"CN=a","validity_months":-1}}}"#;
    tried.rest(&server.rest("localhost").send(CREATE, body).await);
    let mut request = create("mycert1", "Unknown");
    let policy = request.policy.as_mut().unwrap();
    policy.key_properties = Some(KeyProperties { key_size: 7, ..KeyProperties::default() });
    policy.x509_properties.as_mut().unwrap().validity_months = -1;
    let refused = server.certificates().await.create_certificate(request).await.unwrap_err();
    let fields: Vec<String> = tonic_types::StatusExt::get_details_bad_request(&refused)
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    assert_eq!(fields, ["policy.key_properties.key_size", "policy.x509_properties.validity_months"]);
    tried.grpc(Err::<(), _>(refused));
    tried
}
