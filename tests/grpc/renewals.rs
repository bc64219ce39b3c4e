//! Renewals over gRPC, and the same over REST.

use crate::refusal;
use crate::requests::{certificate, create, get};
use crate::server::{Server, soon};
use certmint::proto::v1::renewal_service_client::RenewalServiceClient;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::*;
use serde_json::Value;
use tonic::transport::Channel;

impl Server {
    async fn renewals(&self) -> RenewalServiceClient<Channel> {
        RenewalServiceClient::new(self.channel().await)
    }

    /// Waits until the operation of a name has ended.
    async fn ended(&self, name: &str) {
        let request = WatchPendingRequest {
            certificate_names: vec![name.into()],
            snapshot: WatchSnapshot::All.into(),
            until_terminal: true,
            ..Default::default()
        };
        let mut stream = self.certificates().await.watch_pending(request).await.unwrap().into_inner();
        soon("the end of an operation", async { while stream.message().await.unwrap().is_some() {} }).await;
    }

    async fn issued(&self, name: &str) -> Certificate {
        let mut request = create(name, "Self");
        request.tags = [("team".to_owned(), "shop".to_owned())].into();
        self.certificates().await.create_certificate(request).await.unwrap();
        self.ended(name).await;
        self.newest(name).await
    }

    async fn newest(&self, name: &str) -> Certificate {
        self.certificates().await.get_certificate(certificate(name)).await.unwrap().into_inner().certificate.unwrap()
    }
}

fn renew(name: &str) -> RenewCertificateRequest {
    RenewCertificateRequest { certificate_name: name.into(), batch: "all".into(), ..Default::default() }
}

#[tokio::test]
async fn a_renewal_is_an_operation_that_says_so_to_watchers_and_over_both_apis() {
    let server = Server::start().await;
    let first = server.issued("web").await;
    let answer = server.renewals().await.renew_certificate(renew("web")).await.unwrap().into_inner();
    let operation = answer.operation.unwrap();
    assert_eq!((operation.trigger(), operation.batch.as_str()), (RenewalTrigger::Manual, "all"));
    assert_eq!(operation.replaced_version, first.certificate_version);
    // Everything after the creation comes after the token.
    let request = WatchPendingRequest {
        certificate_names: vec!["web".into()],
        resume_token: answer.resume_token,
        until_terminal: true,
        ..Default::default()
    };
    let mut stream = server.certificates().await.watch_pending(request).await.unwrap().into_inner();
    let mut last = None;
    let heard = async {
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(Payload::Event(event)) = message.payload {
                last = event.operation;
            }
        }
    };
    soon("the completion", heard).await;
    let last = last.unwrap();
    assert_eq!(
        (last.status(), last.trigger(), last.batch.as_str()),
        (PendingStatus::Completed, RenewalTrigger::Manual, "all")
    );
    let second = server.newest("web").await;
    assert_ne!(second.certificate_version, first.certificate_version);
    assert_eq!(second.tags, first.tags);
    // The same over REST: the operation that was, and a renewal.
    let rest = server.rest("localhost");
    let pending: Value = serde_json::from_str(&rest.send("GET /certificates/web/pending", "").await.body).unwrap();
    assert_eq!((&pending["trigger"], &pending["batch"]), (&"manual".into(), &"all".into()));
    let reply = rest.send("POST /certificates/web/renew", r#"{"batch":"again"}"#).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert!(reply.headers["location"].to_str().unwrap().contains("/certificates/web/pending?"), "{reply:?}");
    let begun: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&begun["status"], &begun["batch"]), (&"inProgress".into(), &"again".into()));
    server.ended("web").await;
    let third = server.newest("web").await;
    assert_ne!(third.certificate_version, second.certificate_version);
    // Without a body, too; and a plain creation says nothing of the kind.
    assert_eq!(rest.send("POST /certificates/web/renew", "").await.status, 202);
    server.ended("web").await;
    server.certificates().await.create_certificate(create("web", "Self")).await.unwrap();
    let plain: Value = serde_json::from_str(&rest.send("GET /certificates/web/pending", "").await.body).unwrap();
    assert!(plain.get("trigger").is_none() && plain.get("batch").is_none(), "{plain}");
    let plain = server.certificates().await.get_pending(get("web")).await.unwrap().into_inner().operation.unwrap();
    assert_eq!((plain.trigger(), plain.replaced_version.as_str()), (RenewalTrigger::Unspecified, ""));
}

#[tokio::test]
async fn both_apis_refuse_alike() {
    let server = Server::start().await;
    let rest = server.rest("localhost");
    server.certificates().await.create_certificate(create("open", "Unknown")).await.unwrap();
    let long = "x".repeat(65);
    server.issued("web").await;
    for (name, batch, status, reason) in [
        ("none", "", 404, "CERTIFICATE_NOT_FOUND"),
        ("open", "", 404, "CERTIFICATE_NOT_FOUND"),
        ("bad_name", "", 400, "BAD_PARAMETER"),
        ("web", long.as_str(), 400, "BAD_PARAMETER"),
    ] {
        let request =
            RenewCertificateRequest { certificate_name: name.into(), batch: batch.into(), ..Default::default() };
        let refused = server.renewals().await.renew_certificate(request).await.unwrap_err();
        assert_eq!(refusal::common(&refused).0, reason, "{name}");
        let reply = rest.send(&format!("POST /certificates/{name}/renew"), format!(r#"{{"batch":"{batch}"}}"#)).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["error"]["message"], refused.message(), "{name}");
    }
    assert_eq!(rest.send("GET /certificates/web/renew", "").await.status, 405);
}

#[tokio::test]
async fn renewals_are_listed_paused_and_resumed() {
    let server = Server::start().await;
    let web = server.issued("web").await;
    server.certificates().await.create_certificate(create("open", "Unknown")).await.unwrap();
    let mut client = server.renewals().await;
    let listed = client.list_renewals(ListRenewalsRequest::default()).await.unwrap().into_inner();
    let [renewal] = listed.renewals.as_slice() else { panic!("{listed:?}") };
    assert_eq!((renewal.certificate_name.as_str(), renewal.state()), ("web", RenewalState::Planned));
    assert_eq!((renewal.trigger(), renewal.reason.as_str()), (RenewalTrigger::Lifetime, "80 % of its life."));
    assert_eq!(renewal.certificate_version, web.certificate_version);
    let attributes = web.attributes.unwrap();
    let (from, until) = (attributes.not_before.unwrap().seconds, attributes.expires.unwrap().seconds);
    let at = (renewal.next_try_time.as_ref().unwrap().seconds - from) * 100 / (until - from);
    assert!((79..=81).contains(&at), "{at} %");
    let pause = PauseRenewalRequest { certificate_name: "web".into(), reason: "moves".into(), ..Default::default() };
    let paused = client.pause_renewal(pause).await.unwrap().into_inner().renewal.unwrap();
    assert_eq!((paused.state(), paused.reason.as_str()), (RenewalState::Paused, "Its renewals are paused: moves"));
    assert_eq!(paused.next_try_time, None);
    let resume = ResumeRenewalRequest { certificate_name: "web".into(), ..Default::default() };
    let resumed = client.resume_renewal(resume).await.unwrap().into_inner().renewal.unwrap();
    assert_eq!((resumed.state(), &resumed.next_try_time), (RenewalState::Planned, &renewal.next_try_time));
    for token in ["x", "AAAA"] {
        let wrong = ListRenewalsRequest { page_token: token.into(), ..Default::default() };
        assert_eq!(refusal::common(&client.list_renewals(wrong).await.unwrap_err()).0, "BAD_PARAMETER");
    }
}
