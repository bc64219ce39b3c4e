//! Errors for operations in the wrong state.

use super::Play;
use super::outcome::Tried;
use crate::ca::{Ca, x5c};
use crate::requests::{cancel, create, merge, test_issuer, watch};
use crate::server::Server;
use crate::watch::stream::watched;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::*;
use futures_util::future::join_all;

const CANCEL: &str = r#"{"cancellation_requested":true}"#;
const BODY: &str = r#"{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=a"}}}"#;

pub(super) const CASES: &[(&str, Play)] = &[
    ("a create while one is in progress", |server| Box::pin(second_create(server))),
    ("creates at the same instant", |server| Box::pin(race(server))),
    ("a merge while an issuer is at work", |server| Box::pin(forbidden_merge(server))),
    ("a cancellation, or a merge, of what has ended", |server| Box::pin(ended(server))),
    ("a cancellation with nothing", |server| Box::pin(no_cancellation(server))),
    ("too many keys at once", |server| Box::pin(many_keys(server))),
];

async fn second_create(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    client.create_certificate(create("mycert1", "Unknown")).await.unwrap();
    for name in ["mycert1", "MYCERT1"] {
        tried.rest(&server.rest("localhost").send(&format!("POST /certificates/{name}/create"), BODY).await);
        tried.grpc(client.create_certificate(create(name, "Self")).await);
    }
    tried
}

async fn race(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let rest = server.rest("localhost");
    for reply in join_all((0..8).map(|_| rest.send("POST /certificates/by-rest/create", BODY))).await {
        tried.rest(&reply);
    }
    let client = server.certificates().await;
    let creates = (0..8).map(|_| {
        let mut client = client.clone();
        async move { client.create_certificate(create("by-grpc", "Unknown")).await }
    });
    for answer in join_all(creates).await {
        tried.grpc(answer);
    }
    tried
}

async fn forbidden_merge(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    server.issuers().await.set_issuer(test_issuer("slow", "hold")).await.unwrap();
    let created = client.create_certificate(create("mycert1", "slow")).await.unwrap().into_inner();
    let leaf = Ca::new().sign(&STANDARD.encode(created.operation.unwrap().csr), 30);
    tried.rest(&server.rest("localhost").send("POST /certificates/mycert1/pending/merge", x5c(&[&leaf])).await);
    tried.grpc(client.merge_certificate(merge("mycert1", &[&leaf])).await);
    tried
}

async fn ended(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    let created = client.create_certificate(create("mycert1", "Self")).await.unwrap().into_inner();
    let leaf = Ca::new().sign(&STANDARD.encode(created.operation.unwrap().csr), 30);
    watched(server, WatchPendingRequest { until_terminal: true, ..watch("mycert1") }).await;
    let rest = server.rest("localhost");
    tried.rest(&rest.send("PATCH /certificates/mycert1/pending", CANCEL).await);
    tried.rest(&rest.send("POST /certificates/mycert1/pending/merge", x5c(&[&leaf])).await);
    tried.grpc(client.cancel_pending(cancel("mycert1")).await);
    tried.grpc(client.merge_certificate(merge("mycert1", &[&leaf])).await);
    tried
}

async fn no_cancellation(server: &Server) -> Tried {
    let mut tried = Tried::default();
    server.certificates().await.create_certificate(create("mycert1", "Unknown")).await.unwrap();
    for body in ["{}", "", r#"{"cancellation_requested":null}"#] {
        tried.rest(&server.rest("localhost").send("PATCH /certificates/mycert1/pending", body).await);
    }
    tried
}

/// The server of these tests makes two RSA keys at once and lets one wait: of a dozen most are told to
/// retry, and that error is the subject of the row.
async fn many_keys(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let rest = server.rest("localhost");
    let body = r#"{"policy":{"key_props":{"kty":"RSA","key_size":3072},"x509_props":{"subject":"CN=a"}}}"#;
    let uris = (0..12).map(|number| format!("POST /certificates/by-rest-{number}/create"));
    let replies = join_all(uris.map(async |uri| rest.send(&uri, body).await)).await;
    for reply in replies.iter().filter(|reply| reply.status != 202) {
        assert!(reply.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        tried.rest(reply);
    }
    let client = server.certificates().await;
    let creates = (0..12).map(|number| {
        let mut request = create(&format!("by-grpc-{number}"), "Unknown");
        let key = KeyProperties { key_type: KeyType::Rsa.into(), key_size: 2048, ..KeyProperties::default() };
        request.policy.as_mut().unwrap().key_properties = Some(key);
        let mut client = client.clone();
        async move { client.create_certificate(request).await }
    });
    let answers = join_all(creates).await;
    answers.into_iter().filter(Result::is_err).for_each(|answer| tried.grpc(answer));
    tried
}
