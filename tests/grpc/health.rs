//! `grpc.health.v1`: for each service, and during shutdown.

use crate::refusal;
use crate::server::{HANG, Server, Setup, quick, soon};
use certmint::transport::listener::ListenerOptions;
use prost::Message;
use prost_types::FileDescriptorSet;
use std::time::Duration;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The server as a whole, and each service of the contract.
fn services() -> Vec<String> {
    let set = FileDescriptorSet::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "certmint.v1").flat_map(|file| &file.service);
    let names: Vec<String> = ours.map(|service| format!("certmint.v1.{}", service.name())).collect();
    assert!(names.len() > 6, "{names:?}");
    [vec![String::new()], names].concat()
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn every_service_is_serving_and_the_server_as_a_whole() {
    let server = Server::start().await;
    let mut client = HealthClient::new(server.channel().await);
    for service in services() {
        let answer = client.check(of(&service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let server = Server::start().await;
    let mut client = HealthClient::new(server.channel().await);
    assert_eq!(client.check(of("certmint.v1.Nonsense")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.watch(of("certmint.v1.Nonsense")).await.unwrap_err().code(), Code::NotFound);
}

/// Watchers of health are notified at shutdown, and do not delay it.
#[tokio::test]
async fn at_shutdown_watchers_are_notified_and_it_is_quick() {
    let server = Server::with(Setup { listener: quick(), ..Setup::default() }).await;
    let mut streams = Vec::new();
    for service in services() {
        let mut stream = HealthClient::new(server.channel().await).watch(of(&service)).await.unwrap().into_inner();
        let first = soon("the present status", stream.message()).await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        streams.push(stream);
    }
    let reading = async {
        for mut stream in streams {
            let last: HealthCheckResponse = soon("the last status", stream.message()).await.unwrap().unwrap();
            assert_eq!(last.status(), ServingStatus::NotServing);
            let end = soon("the end", stream.message()).await.unwrap_err();
            assert_eq!(refusal::reason(&end), "SERVER_DRAINING");
        }
    };
    let (took, ()) = tokio::join!(server.end(), reading);
    assert!(took < HANG, "{took:?}");
}

#[tokio::test]
async fn a_watch_of_health_lets_its_connection_rotate() {
    let listener = ListenerOptions { max_age: Duration::from_secs(3), ..quick() };
    let server = Server::with(Setup { listener, ..Setup::default() }).await;
    let mut stream = HealthClient::new(server.channel().await).watch(of("")).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let end = soon("the end", stream.message()).await.unwrap_err();
    assert_eq!(refusal::reason(&end), "SERVER_DRAINING");
    server.until("the connection is gone", |server| server.stats.read().open == 0).await;
    assert_eq!(server.stats.read().cut, 0, "it ended by itself");
}

#[tokio::test]
async fn the_deadline_of_the_call_holds_for_a_watch_of_health() {
    let server = Server::start().await;
    let call = crate::raw::Call::to("grpc.health.v1.Health/Watch").header("grpc-timeout", "3S");
    let answer = soon("the deadline", call.whole(&server.h2().await, &of(""))).await;
    assert_eq!(answer.messages.len(), 1);
    assert_eq!(refusal::reason(&refusal::status_of(&answer)), "DEADLINE_EXCEEDED");
}
