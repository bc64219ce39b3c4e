//! Streams: their start, and their limits.

use super::Play;
use super::outcome::Tried;
use crate::requests::{create, watch};
use crate::server::Server;
use crate::watch::stream::Watch;
use certmint::limits::Limits;
use certmint::proto::v1::*;

const URI: &str = "GET /certificates/mycert1/pending/watch?api-version=7.4";
const TOKEN: (&str, &str) = ("authorization", "Bearer t");

pub(super) const CASES: &[(&str, Play)] = &[
    ("an invalid resume token", |server| Box::pin(no_token(server))),
    ("a resume token of another log", |server| Box::pin(foreign_token(server))),
    ("too many streams", |server| Box::pin(too_many(server))),
];

/// So few streams that a test can hold them all.
pub(super) fn limits() -> Limits {
    Limits { watch_streams_per_principal: 3, key_queue: 1, ..Limits::default() }
}

async fn resumed(server: &Server, tried: &mut Tried, token: &str) {
    let headers = [TOKEN, ("last-event-id", token)];
    tried.rest(&server.rest("localhost").raw(URI, &headers, "").await);
    let request = WatchPendingRequest { resume_token: token.into(), ..watch("mycert1") };
    tried.grpc(Watch::try_open(server, request).await);
}

async fn no_token(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for token in ["nonsense", "AAAA", "!"] {
        resumed(server, &mut tried, token).await;
    }
    tried
}

async fn foreign_token(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let other = Server::start().await;
    let created = other.certificates().await.create_certificate(create("mycert1", "Unknown")).await.unwrap();
    resumed(server, &mut tried, &created.into_inner().resume_token).await;
    tried
}

async fn too_many(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Watch::open(server, watch("mycert1")).await);
    }
    tried.rest(&server.rest("localhost").raw(URI, &[TOKEN], "").await);
    tried.grpc(Watch::try_open(server, watch("mycert1")).await);
    tried
}
