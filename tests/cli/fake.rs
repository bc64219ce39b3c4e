//! A fake server of the contract over TLS with scripted responses, which records its requests.

use crate::service::Service;
use certmint::proto::v1::access_service_server::AccessServiceServer;
use certmint::proto::v1::audit_service_server::AuditServiceServer;
use certmint::proto::v1::certificate_admin_service_server::CertificateAdminServiceServer;
use certmint::proto::v1::certificate_authority_service_server::CertificateAuthorityServiceServer;
use certmint::proto::v1::certificate_service_server::CertificateServiceServer;
use certmint::proto::v1::key_service_server::KeyServiceServer;
use certmint::proto::v1::master_key_service_server::MasterKeyServiceServer;
use certmint::proto::v1::renewal_service_server::RenewalServiceServer;
use certmint::proto::v1::secret_service_server::SecretServiceServer;
use certmint::proto::v1::vault_service_server::VaultServiceServer;
use certmint::proto::v1::*;
use prost_types::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) type Item = Result<WatchPendingResponse, Status>;
pub(crate) const REQUEST_ID: &str = "0123456789abcdef0123456789abcdef";

/// What was asked, and what to answer.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) created: Vec<CreateCertificateRequest>,
    pub(crate) renewed: Vec<RenewCertificateRequest>,
    /// What ListPending answers instead of its two pages.
    pub(crate) listed: Vec<PendingOperation>,
    pub(crate) merged: Vec<MergeCertificateRequest>,
    pub(crate) imported: Vec<ImportCertificateRequest>,
    pub(crate) set: Vec<Issuer>,
    pub(crate) updated: Vec<UpdateIssuerRequest>,
    /// Of every issuer but `old`, whose server knows none.
    pub(crate) profiles: BTreeMap<String, IssuerProfile>,
    pub(crate) default_profile: String,
    pub(crate) watched: Vec<WatchPendingRequest>,
    pub(crate) granted: Vec<CreateGrantRequest>,
    pub(crate) roles: Vec<SetRoleRequest>,
    pub(crate) checked: Vec<CheckAccessRequest>,
    pub(crate) grants_listed: Vec<ListGrantsRequest>,
    pub(crate) tokens: Vec<Option<String>>,
    /// Operations asked for by GetPending and DeletePending.
    pub(crate) reads: usize,
    pub(crate) deletions: usize,
    /// One for each stream; the last item decides how it ends. Without one the stream stays open.
    pub(crate) streams: VecDeque<Vec<Item>>,
    /// Answers of GetPending before the usual one.
    pub(crate) refusals: VecDeque<Status>,
    /// What is said of the master keys, in order; the last one is said again and again.
    pub(crate) master_keys: VecDeque<MasterKeys>,
    pub(crate) resealed: Vec<ResealRequest>,
    /// How far the clock of the server is off, in seconds.
    pub(crate) clock_skew: i64,
}

/// A running server and the folder with its CA.
pub(crate) struct Fake {
    pub(crate) part: Arc<Mutex<Part>>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) csr: Vec<u8>,
    pub(crate) cer: Vec<u8>,
    pub(crate) root: Vec<u8>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let csr = params.serialize_request(&key).unwrap().der().to_vec();
        let leaf = params.signed_by(&key, &ca).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();

        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", socket.local_addr().unwrap().port());
        let part = Arc::new(Mutex::new(Part::default()));
        let (cer, root) = (leaf.der().to_vec(), ca.der().to_vec());
        let service = Service { part: part.clone(), csr: csr.clone(), chain: vec![cer.clone(), root.clone()] };
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(certmint::proto::DESCRIPTOR_SET)
            .build_v1()
            .unwrap();
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<CertificateServiceServer<Service>>().await;
        let identity = Identity::from_pem(leaf.pem(), key.serialize_pem());
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(CertificateServiceServer::new(service.clone()))
            .add_service(CertificateAdminServiceServer::new(service.clone()))
            .add_service(CertificateAuthorityServiceServer::new(service.clone()))
            .add_service(AccessServiceServer::new(service.clone()))
            .add_service(AuditServiceServer::new(service.clone()))
            .add_service(VaultServiceServer::new(service.clone()))
            .add_service(SecretServiceServer::new(service.clone()))
            .add_service(RenewalServiceServer::new(service.clone()))
            .add_service(MasterKeyServiceServer::new(service.clone()))
            .add_service(KeyServiceServer::new(service))
            .add_service(reflection)
            .add_service(health)
            .serve_with_incoming(TcpListenerStream::new(socket));
        tokio::spawn(server);
        Self { part, folder, url, csr, cer, root }
    }

    pub(crate) fn part(&self) -> std::sync::MutexGuard<'_, Part> {
        self.part.lock().unwrap()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Adds a stream that answers a watch.
    pub(crate) fn stream(&self, items: impl IntoIterator<Item = Item>) {
        self.part().streams.push_back(items.into_iter().collect());
    }

    /// The binary, pointed at this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.current_dir(self.folder.path()).env("CERTMINT_SERVER", &self.url).env("CERTMINT_CA", self.ca());
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    pub(crate) async fn run_with_input(&self, arguments: &[&str], input: &'static [u8]) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let waiting = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input).unwrap();
            child.wait_with_output().unwrap()
        });
        Ended::from(waiting.await.unwrap())
    }
}

/// The binary without any setting of the environment.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
    for name in ["CERTMINT_SERVER", "CERTMINT_CA", "CERTMINT_VAULT", "CERTMINT_TOKEN"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) async fn ended(mut command: Command) -> Ended {
    Ended::from(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

/// How the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output as JSON; that it is the only thing on it is part of the promise.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// One JSON object per line.
    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn error(&self) -> serde_json::Value {
        let value: serde_json::Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        value["error"].clone()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn refusal(code: Code, reason: &str, message: &str) -> Status {
    refusal_with(code, reason, message, |_| {})
}

pub(crate) fn refusal_with(code: Code, reason: &str, message: &str, more: impl FnOnce(&mut ErrorDetails)) -> Status {
    let metadata = [("httpStatus".to_owned(), "400".to_owned())];
    let mut details = ErrorDetails::with_error_info(reason, "certmint.v1", metadata);
    more(&mut details);
    Status::with_error_details(code, message, details)
}

pub(crate) fn draining() -> Status {
    refusal_with(Code::Unavailable, "SERVER_DRAINING", "the server is stopping", |details| {
        details.set_retry_info(Some(Duration::from_millis(20)));
    })
}

pub(crate) fn operation(name: &str, status: PendingStatus, revision: i64) -> PendingOperation {
    PendingOperation {
        id: format!("https://localhost/certificates/{name}/pending"),
        vault_name: "default".into(),
        certificate_name: name.into(),
        request_id: REQUEST_ID.into(),
        issuer: Some(IssuerParameters { name: "ca".into(), ..Default::default() }),
        status: status.into(),
        create_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        revision,
        ..Default::default()
    }
}

pub(crate) fn event(kind: PendingEventType, operation: PendingOperation, token: &str) -> Item {
    let event = PendingEvent {
        r#type: kind.into(),
        operation: Some(operation),
        event_time: Some(Timestamp { seconds: 1_700_000_001, nanos: 0 }),
        ..Default::default()
    };
    Ok(WatchPendingResponse {
        resume_token: token.into(),
        payload: Some(watch_pending_response::Payload::Event(event)),
    })
}

pub(crate) fn bookmark(reason: BookmarkReason, token: &str, seconds: i64) -> Item {
    let server_time = Some(Timestamp { seconds, nanos: 0 });
    let bookmark = WatchBookmark { reason: reason.into(), server_time };
    Ok(WatchPendingResponse {
        resume_token: token.into(),
        payload: Some(watch_pending_response::Payload::Bookmark(bookmark)),
    })
}
