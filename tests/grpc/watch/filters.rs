//! Filters of a stream. They are combined with "and".

use super::stream::{Watch, short, watched};
use crate::requests::{cancel, create, create_as, watch};
use crate::server::Server;
use certmint::proto::v1::*;

/// What a watch with this filter says of a fixed story, without the mark. The story's last event is
/// of `last`, in every vault that the filter can name.
async fn told(filter: WatchPendingRequest) -> Vec<String> {
    let server = Server::start().await;
    let request = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..filter };
    let mut stream = Watch::open(&server, request.clone()).await;
    let resume_token = stream.next().await.resume_token;
    let mut client = server.certificates().await;
    for name in ["web-1", "Web-2", "mail"] {
        client.create_certificate(create(name, "Unknown")).await.unwrap();
    }
    client
        .create_certificate(CreateCertificateRequest { vault_name: "v2".into(), ..create("web-1", "Unknown") })
        .await
        .unwrap();
    client.cancel_pending(cancel("mail")).await.unwrap();
    watched(&server, WatchPendingRequest { until_terminal: true, ..watch("mail") }).await;
    // A replay ends with a mark, and the live stream has to say the same.
    let mut replay = Watch::open(&server, WatchPendingRequest { resume_token, ..request }).await;
    let mut replayed = Vec::new();
    loop {
        let said = short(&replay.next().await);
        if said == "caught up" {
            break;
        }
        replayed.push(said);
    }
    assert_eq!(stream.said(replayed.len()).await, replayed);
    replayed
}

fn filter() -> WatchPendingRequest {
    WatchPendingRequest::default()
}

const MAIL: [&str; 3] = [
    "created mail r1: in progress",
    "updated mail r2: in progress, then in progress",
    "updated mail r3: in progress, then cancelled",
];

#[tokio::test]
async fn without_a_filter_only_the_vault_of_the_host_is_shown() {
    let said = told(filter()).await;
    assert_eq!(said[..2], ["created web-1 r1: in progress", "created Web-2 r1: in progress"]);
    assert_eq!(said[2..], MAIL);
}

#[tokio::test]
async fn names_compare_without_case() {
    let names = vec!["WEB-2".to_owned(), "mail".to_owned(), "Mail".to_owned()];
    let said = told(WatchPendingRequest { certificate_names: names, ..filter() }).await;
    assert_eq!(said[0], "created Web-2 r1: in progress");
    assert_eq!(said[1..], MAIL);
}

#[tokio::test]
async fn a_prefix_compares_without_case() {
    let said = told(WatchPendingRequest { certificate_name_prefix: "wEb".into(), ..filter() }).await;
    assert_eq!(said, ["created web-1 r1: in progress", "created Web-2 r1: in progress"]);
}

#[tokio::test]
async fn statuses_are_those_after_the_transition() {
    let statuses = vec![PendingStatus::Cancelled.into(), PendingStatus::Failed.into()];
    let said = told(WatchPendingRequest { statuses, ..filter() }).await;
    assert_eq!(said, ["updated mail r3: in progress, then cancelled"]);
}

#[tokio::test]
async fn all_vaults_can_be_watched_at_once() {
    let said =
        told(WatchPendingRequest { vault_name: "-".into(), certificate_name_prefix: "web-1".into(), ..filter() });
    assert_eq!(said.await, ["created web-1 r1: in progress"; 2]);
}

#[tokio::test]
async fn another_vault_can_be_watched() {
    let said = told(WatchPendingRequest { vault_name: "V2".into(), ..filter() }).await;
    assert_eq!(said, ["created web-1 r1: in progress"]);
}

#[tokio::test]
async fn filters_that_contradict_each_other_tell_nothing() {
    let request = WatchPendingRequest {
        certificate_names: vec!["mail".into()],
        certificate_name_prefix: "web".into(),
        ..filter()
    };
    assert_eq!(told(request).await, <[String; 0]>::default());
}

#[tokio::test]
async fn an_id_is_one_operation_and_not_the_next_of_that_name() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    client.create_certificate(create_as("web", "Self", crate::requests::ID)).await.unwrap();
    let by_id = WatchPendingRequest { request_id: crate::requests::ID.into(), ..filter() };
    let first = WatchPendingRequest { until_terminal: true, ..by_id.clone() };
    watched(&server, first).await;
    let mut stream = Watch::open(&server, by_id).await;
    stream.said(2).await;
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    assert_eq!(stream.said(1).await, ["overwritten web r3: completed, then completed"]);
    client.cancel_pending(cancel("web")).await.unwrap();
    server.stop.cancel();
    let (told, _) = stream.rest().await;
    assert_eq!(super::stream::shorts(&told), ["closing"]);
}

#[tokio::test]
async fn the_authority_of_the_call_names_the_vault_too() {
    let server = Server::start().await;
    let mut client = certificate_service_client::CertificateServiceClient::new(server.channel_to("v2.localhost").await);
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    let mut stream = client.watch_pending(filter()).await.unwrap().into_inner();
    let shown = stream.message().await.unwrap().unwrap();
    let operation = super::stream::operation(&shown);
    assert_eq!(operation.vault_name, "v2");
    assert_eq!(operation.id, format!("https://v2.localhost:{}/certificates/web/pending", server.port));
}
