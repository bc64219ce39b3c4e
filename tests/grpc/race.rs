//! Callers of both APIs at the same instant.

use crate::refusal;
use crate::requests::{create, create_as, delete};
use crate::server::{Server, soon};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use uuid::Uuid;

const BODY: &str = r#"{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=a"}}}"#;

/// Fifty rounds: four callers of each API create the same certificate, on connections that are open
/// already, and one of the eight wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_creates_at_the_same_instant_one_wins_whatever_the_api() {
    let server = Server::start().await;
    let client = server.certificates().await;
    let mut rest = Vec::new();
    for _ in 0..4 {
        let io = TokioIo::new(server.tls(&["http/1.1"]).await);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        rest.push(sender);
    }
    let mut winners = [0, 0];
    for round in 0..50 {
        let by_grpc = (0..4).map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                match client.create_certificate(create("web", "Unknown")).await {
                    Ok(_) => true,
                    Err(status) => {
                        assert_eq!(refusal::reason(&status), "PENDING_IN_PROGRESS");
                        false
                    }
                }
            })
        });
        let by_grpc = by_grpc.collect::<Vec<_>>();
        let by_rest = rest.drain(..).map(|mut sender| {
            tokio::spawn(async move {
                let request = http::Request::post("/certificates/web/create?api-version=7.4");
                let request = request.header("host", "localhost").header("authorization", "Bearer t");
                let response = sender.send_request(request.body(Full::<Bytes>::from(BODY)).unwrap()).await.unwrap();
                let status = response.status().as_u16();
                response.into_body().collect().await.unwrap();
                assert!(matches!(status, 202 | 409), "{status}");
                (sender, status == 202)
            })
        });
        let by_rest = join_all(by_rest.collect::<Vec<_>>()).await;
        let mut won = [0, 0];
        for task in by_rest {
            let (sender, first) = task.unwrap();
            rest.push(sender);
            won[0] += usize::from(first);
        }
        for task in join_all(by_grpc).await {
            won[1] += usize::from(task.unwrap());
        }
        assert_eq!(won[0] + won[1], 1, "round {round}");
        winners = [winners[0] + won[0], winners[1] + won[1]];
        let mut client = client.clone();
        soon("the deletion", client.delete_pending(delete("web"))).await.unwrap();
    }
    assert_eq!(winners.iter().sum::<usize>(), 50);
}

/// A client that repeats itself before the first answer has come gets one operation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_at_the_same_instant_are_one_operation() {
    let server = Server::start().await;
    let client = server.certificates().await;
    for round in 0..20 {
        let id = Uuid::new_v4().to_string();
        let repeats = (0..6).map(|_| {
            let (mut client, request) = (client.clone(), create_as(&format!("web-{round}"), "Unknown", &id));
            tokio::spawn(async move { client.create_certificate(request).await.unwrap().into_inner() })
        });
        let repeats = repeats.collect::<Vec<_>>();
        let mut answers = Vec::new();
        for task in repeats {
            answers.push(task.await.unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}");
    }
}
