//! The way over for installations that worked without grants: nothing is refused, and it is counted what would be.

use crate::kit::{ADMIN, Server, Shared, policy};
use certmint::proto::v1;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::service::Mode;

#[tokio::test]
async fn what_would_be_refused_is_done_and_counted() {
    let server = Server::with(Mode::Report, "", Shared::default()).await;
    server.must(ADMIN, "POST /certificates/web/create", &policy("Unknown")).await;
    assert_eq!(server.service.access().denials(), (0, 0));
    server.must("nobody", "POST /certificates/api/create", &policy("Unknown")).await;
    assert_eq!(server.send("nobody", "GET /certificates?includePending=true", "").await.names(), ["api", "web"]);
    let (denied, would_deny) = server.service.access().denials();
    assert!(denied == 0 && would_deny >= 2, "{denied} {would_deny}");
}

#[tokio::test]
async fn grants_that_are_being_written_hide_nothing_yet() {
    let grant = r#"
        [[grant]]
        principal = "token:shop"
        role = "certmint Requester"
        vault = "default"
        names = ["web"]
        rules = { dns = ["shop.example"] }
    "#;
    let server = Server::with(Mode::Report, grant, Shared::default()).await;
    server.must("shop", "POST /certificates/web/create", &policy("Unknown")).await;
    assert_eq!(server.service.access().denials(), (0, 1), "a rule would refuse the name");
    server.must(ADMIN, "POST /certificates/api/create", &policy("Unknown")).await;
    assert_eq!(server.send("shop", "GET /certificates?includePending=true", "").await.names(), ["api", "web"]);
    let mut stream =
        server.client("shop").watch_pending(v1::WatchPendingRequest::default()).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(Payload::Event(event)) = stream.message().await.unwrap().unwrap().payload {
        names.push(event.operation.unwrap().certificate_name);
    }
    assert_eq!(names, ["api", "web"]);
}
