//! What agents report over gRPC, and what is listed of it.

use crate::refusal;
use crate::requests::create;
use crate::server::Server;
use certmint::proto::v1::installation_service_client::InstallationServiceClient;
use certmint::proto::v1::*;
use tonic::transport::Channel;

impl Server {
    async fn installations(&self) -> InstallationServiceClient<Channel> {
        InstallationServiceClient::new(self.channel().await)
    }

    /// A new version.
    async fn made(&self, name: &str) -> String {
        let mut client = self.certificates().await;
        let answer = client.create_certificate(create(name, "Self")).await.unwrap().into_inner();
        let request = WatchPendingRequest {
            certificate_names: vec![name.into()],
            resume_token: answer.resume_token,
            until_terminal: true,
            ..Default::default()
        };
        let mut stream = client.watch_pending(request).await.unwrap().into_inner();
        while stream.message().await.unwrap().is_some() {}
        let wanted = GetCertificateRequest { certificate_name: name.into(), ..Default::default() };
        client.get_certificate(wanted).await.unwrap().into_inner().certificate.unwrap().certificate_version
    }

    async fn listed(&self, size: i32, token: &str) -> ListInstallationsResponse {
        let wanted = ListInstallationsRequest {
            certificate_name: "web".into(),
            page_size: size,
            page_token: token.into(),
            ..Default::default()
        };
        self.installations().await.list_installations(wanted).await.unwrap().into_inner()
    }
}

fn report(host: &str, version: &str) -> ReportInstallationRequest {
    ReportInstallationRequest {
        certificate_name: "WEB".into(),
        host: host.into(),
        certificate_version: version.into(),
        state: InstallationState::Installed.into(),
        since_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_last_report_of_each_host_is_listed_with_whether_it_is_the_newest_version() {
    let server = Server::start().await;
    let mut client = server.installations().await;
    let first = server.made("web").await;
    for host in ["web-2", "web-1", "db"] {
        let answer = client.report_installation(report(host, &first)).await.unwrap().into_inner();
        assert!(answer.installation.unwrap().newest);
    }
    let second = server.made("web").await;
    let failed = ReportInstallationRequest {
        state: InstallationState::ReloadFailed.into(),
        message: "systemctl: exit status: 1".into(),
        ..report("Web-1", &second)
    };
    client.report_installation(failed).await.unwrap();
    let page = server.listed(2, "").await;
    let next = server.listed(2, &page.next_page_token).await;
    assert!(next.next_page_token.is_empty());
    let all: Vec<Installation> = page.installations.into_iter().chain(next.installations).collect();
    let said: Vec<(&str, &str, bool, InstallationState)> =
        all.iter().map(|it| (it.host.as_str(), it.certificate_version.as_str(), it.newest, it.state())).collect();
    use InstallationState::{Installed, ReloadFailed};
    assert_eq!(
        said,
        [
            ("db", first.as_str(), false, Installed),
            ("Web-1", second.as_str(), true, ReloadFailed),
            ("web-2", first.as_str(), false, Installed),
        ]
    );
    assert_eq!(all[1].message, "systemctl: exit status: 1");
    assert_eq!((all[0].since_time.unwrap().seconds, all[0].vault_name.as_str()), (1_700_000_000, "default"));
    assert!(!all[0].principal.is_empty() && all[0].report_time.is_some());
}

#[tokio::test]
async fn a_report_that_cannot_be_is_refused() {
    let server = Server::start().await;
    let mut client = server.installations().await;
    let version = server.made("web").await;
    let good = || report("web-1", &version);
    for (request, reason, part) in [
        (ReportInstallationRequest { host: "a b".into(), ..good() }, "BAD_PARAMETER", "host"),
        (ReportInstallationRequest { state: 0, ..good() }, "BAD_PARAMETER", "state"),
        (ReportInstallationRequest { state: 9, ..good() }, "BAD_PARAMETER", "state"),
        (ReportInstallationRequest { message: "x".repeat(501), ..good() }, "BAD_PARAMETER", "message"),
        (ReportInstallationRequest { message: "a\u{7}".into(), ..good() }, "BAD_PARAMETER", "message"),
        (report("web-1", "x"), "BAD_PARAMETER", "certificate_version"),
        (report("web-1", &"0".repeat(32)), "CERTIFICATE_NOT_FOUND", "web"),
        (ReportInstallationRequest { certificate_name: "no".into(), ..good() }, "CERTIFICATE_NOT_FOUND", "no"),
    ] {
        let status = client.report_installation(request.clone()).await.unwrap_err();
        let said = format!("{status:?}");
        assert!(refusal::common(&status).0 == reason && said.to_lowercase().contains(part), "{request:?}: {said}");
    }
    let unknown = ListInstallationsRequest { certificate_name: "no".into(), ..Default::default() };
    let status = client.list_installations(unknown).await.unwrap_err();
    assert_eq!(refusal::common(&status).0, "CERTIFICATE_NOT_FOUND");
    assert!(server.listed(0, "").await.installations.is_empty());
}
