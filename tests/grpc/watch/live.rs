//! Events of a stream: every transition, in order, in full.

use super::stream::{Watch, operation, shorts, watched};
use crate::ca::Ca;
use crate::requests::{cancel, create, delete, get, merge, test_issuer, watch};
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::*;

/// Watches `web` from before there is anything.
async fn begin(server: &Server) -> Watch {
    let mut stream = Watch::open(server, watch("web")).await;
    assert_eq!(stream.said(1).await, ["caught up"]);
    stream
}

#[tokio::test]
async fn a_certificate_that_signs_itself_is_created_then_completed() {
    let server = Server::start().await;
    let mut stream = begin(&server).await;
    server.certificates().await.create_certificate(create("web", "Self")).await.unwrap();
    assert_eq!(stream.said(2).await, ["created web r1: in progress", "updated web r2: in progress, then completed"]);
}

#[tokio::test]
async fn an_event_has_the_whole_operation() {
    let server = Server::start().await;
    let mut stream = Watch::open(&server, WatchPendingRequest { include_csr: true, ..watch("web") }).await;
    stream.next().await;
    let mut client = server.certificates().await;
    let created = client.create_certificate(create("web", "Self")).await.unwrap().into_inner();
    assert_eq!(operation(&stream.next().await), &created.operation.unwrap());
    let completed = operation(&stream.next().await).clone();
    let found = client.get_pending(get("web")).await.unwrap().into_inner();
    assert_eq!(completed, found.operation.unwrap());
}

#[tokio::test]
async fn a_cancellation_is_asked_for_then_granted() {
    let server = Server::start().await;
    let mut stream = begin(&server).await;
    let mut client = server.certificates().await;
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    client.cancel_pending(cancel("web")).await.unwrap();
    stream.next().await;
    let asked = stream.next().await;
    assert!(operation(&asked).cancellation_requested);
    assert_eq!(shorts(&[asked]), ["updated web r2: in progress, then in progress"]);
    assert_eq!(stream.said(1).await, ["updated web r3: in progress, then cancelled"]);
}

#[tokio::test]
async fn status_messages_and_failures_of_an_issuer_are_shown() {
    let server = Server::start().await;
    server.issuers().await.set_issuer(test_issuer("failing", "fail")).await.unwrap();
    let mut stream = begin(&server).await;
    server.certificates().await.create_certificate(create("web", "failing")).await.unwrap();
    stream.next().await;
    let failed = stream.next().await;
    assert_eq!(shorts(std::slice::from_ref(&failed)), ["updated web r2: in progress, then failed"]);
    let error = operation(&failed).error.clone().unwrap();
    assert_eq!(error.code, "Certificate issuer error");
    assert_eq!(error.message, "The test issuer failed, as its account id says.");
}

#[tokio::test]
async fn a_merge_completes() {
    let server = Server::start().await;
    let mut stream = begin(&server).await;
    let mut client = server.certificates().await;
    let created = client.create_certificate(create("web", "Unknown")).await.unwrap().into_inner().operation.unwrap();
    let leaf = Ca::new().sign(&STANDARD.encode(&created.csr), 30);
    let merged = client.merge_certificate(merge("web", &[&leaf])).await.unwrap().into_inner().certificate.unwrap();
    stream.next().await;
    let completed = stream.next().await;
    assert_eq!(operation(&completed).certificate_version, merged.certificate_version);
    assert_eq!(shorts(&[completed]), ["updated web r2: in progress, then completed"]);
}

#[tokio::test]
async fn a_deletion_and_a_replacement_tell_the_last_state() {
    let server = Server::start().await;
    let mut stream = begin(&server).await;
    let mut client = server.certificates().await;
    client.create_certificate(create("web", "Self")).await.unwrap();
    stream.said(2).await;
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    assert_eq!(stream.said(2).await, ["overwritten web r3: completed, then completed", "created web r1: in progress"]);
    client.delete_pending(delete("web")).await.unwrap();
    assert_eq!(stream.said(1).await, ["deleted web r2: in progress, then in progress"]);
}

#[tokio::test]
async fn nothing_falls_between_an_answer_and_the_watch_from_its_token() {
    let server = Server::start().await;
    let mut client = server.certificates().await;
    // Each is over before the watch begins, or while it begins, or after.
    for number in 0..20_u64 {
        let name = format!("web-{number}");
        let created = client.create_certificate(create(&name, "Self")).await.unwrap().into_inner();
        tokio::time::sleep(std::time::Duration::from_millis(number % 5)).await;
        let request = WatchPendingRequest { resume_token: created.resume_token, until_terminal: true, ..watch(&name) };
        let said = shorts(&watched(&server, request).await);
        let events: Vec<&String> = said.iter().filter(|line| *line != "caught up").collect();
        assert_eq!(events, [&format!("updated {name} r2: in progress, then completed")], "{said:?}");
    }
}

#[tokio::test]
async fn a_stream_gets_hundreds_of_events_in_order() {
    let server = Server::start().await;
    let mut stream = Watch::open(&server, WatchPendingRequest::default()).await;
    stream.next().await;
    let mut client = server.certificates().await;
    for number in 0..150 {
        client.create_certificate(create(&format!("web-{number}"), "Unknown")).await.unwrap();
        client.delete_pending(delete(&format!("web-{number}"))).await.unwrap();
    }
    let expected = (0..150).flat_map(|number| {
        [
            format!("created web-{number} r1: in progress"),
            format!("deleted web-{number} r2: in progress, then in progress"),
        ]
    });
    assert_eq!(stream.said(300).await, expected.collect::<Vec<_>>());
}
