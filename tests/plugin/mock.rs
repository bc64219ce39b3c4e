//! A plug-in with a CA behind it, which can be told to misbehave, and ends as by kill -9.

#![expect(clippy::disallowed_types, reason = "a server of gRPC: this is where statuses begin")]

use crate::orders::{Case, Harness, NOW};
use certmint::domain::policy::KeyType;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{IssuerConfig, PolicyInput, Timestamp};
use certmint::issuer::Step;
use certmint::issuer::plugin::{Address, Plugin, PluginOptions, PluginTls};
use certmint::issuer::provider::IssuerInput;
use certmint::proto::plugin::v1 as pb;
use futures_util::stream::{self, BoxStream, StreamExt};
use pb::issuer_plugin_service_server::{IssuerPluginService, IssuerPluginServiceServer};
use pb::progress::Outcome;
use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) const TOKEN: &str = "s3cret-token-of-the-ca";

/// How it answers Advance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    Good,
    /// It asks to be called again in an hour, until somebody approves.
    Waits,
    GarbageChain,
    OtherKey,
    LargeAnswer,
    LargeCheckpoint,
    NoOutcome,
    Hangs,
    Refuses(Code),
    /// It has no cancellation.
    NoCancel,
    /// It says when to come back.
    Limits,
    /// It repeats the token that it was given.
    Leaks,
    /// It speaks a version of the contract that nobody knows.
    Newer,
}

pub(crate) struct Mock {
    pub(crate) manner: Mutex<Manner>,
    /// Order by request id; true once it is cancelled.
    pub(crate) orders: Mutex<BTreeMap<String, bool>>,
    /// Calls of the CA.
    pub(crate) requests: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    pub(crate) approved: AtomicBool,
    /// What was issued, by request id: another signature would be another certificate.
    issued: Mutex<BTreeMap<String, Vec<Vec<u8>>>>,
    hints: broadcast::Sender<pb::WatchResponse>,
    harness: Harness,
    ca: IssuerConfig,
}

impl Mock {
    pub(crate) fn new(manner: Manner) -> Arc<Self> {
        let harness = Harness::new();
        let ca = harness.local_ca(true, KeyType::P256, Some("Plug-in CA"));
        Arc::new(Self {
            manner: Mutex::new(manner),
            orders: Mutex::default(),
            requests: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            approved: AtomicBool::new(false),
            issued: Mutex::default(),
            hints: broadcast::Sender::new(16),
            harness,
            ca,
        })
    }

    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap()
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Somebody approves every order, and whoever watches is told.
    pub(crate) fn approve(&self) {
        self.approved.store(true, Ordering::SeqCst);
        for request_id in self.orders.lock().unwrap().keys() {
            let _ = self.hints.send(pb::WatchResponse { vault_name: "default".into(), request_id: request_id.clone() });
        }
    }

    async fn sign(&self, order: pb::Order) -> Outcome {
        if let Some(chain) = self.issued.lock().unwrap().get(&order.request_id) {
            return Outcome::Issued(pb::Issued { chain_der: chain.clone() });
        }
        let spec = order.spec.unwrap_or_default();
        let sans = SubjectAlternativeNames { dns_names: spec.dns_names, ..Default::default() };
        let input = PolicyInput { subject: Some(spec.subject), sans: Some(sans), ..Default::default() };
        let mut case: Case = self.harness.order(KeyType::P256, input, Some(self.ca.clone()));
        // Otherwise the CSR of the harness is signed, which has a key of its own.
        if self.manner() != Manner::OtherKey {
            case.order.csr = order.csr_der.clone();
        }
        case.order.created = order.created.map_or(NOW, |created| Timestamp::from_seconds(created.seconds));
        match self.harness.advance(&case).await {
            Ok(Step::Issued { chain }) => {
                self.issued.lock().unwrap().insert(order.request_id, chain.clone());
                Outcome::Issued(pb::Issued { chain_der: chain })
            }
            other => Outcome::Failed(pb::Failed {
                class: pb::FailureClass::RequestRejected.into(),
                message: format!("{other:?}"),
                provider_code: "E1".into(),
            }),
        }
    }

    async fn step(&self, order: pb::Order, issuer: &pb::IssuerConfig, at: &[u8]) -> Result<pb::Progress, Status> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        check_token(issuer)?;
        let checkpoint = format!("order {}", order.request_id).into_bytes();
        let pending = |details: &str, seconds| {
            Outcome::Pending(pb::Pending {
                status_details: details.to_owned(),
                next_after: Some(prost_types::Duration { seconds, nanos: 0 }),
                actions: Vec::new(),
            })
        };
        let known = self.orders.lock().unwrap().contains_key(&order.request_id);
        self.orders.lock().unwrap().entry(order.request_id.clone()).or_insert(false);
        let outcome = match self.manner() {
            Manner::Good | Manner::OtherKey | Manner::NoCancel if at.is_empty() && !known => {
                Some(pending("The order is placed.", 0))
            }
            Manner::Good | Manner::OtherKey | Manner::NoCancel if !at.is_empty() && at != checkpoint => {
                return Err(Status::invalid_argument("The checkpoint is none of mine."));
            }
            Manner::Waits if !self.approved.load(Ordering::SeqCst) => Some(pending("Somebody has to approve.", 3600)),
            Manner::Good | Manner::OtherKey | Manner::NoCancel | Manner::Waits => Some(self.sign(order).await),
            Manner::Limits => {
                let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(77)));
                return Err(Status::with_error_details(Code::ResourceExhausted, "Too many orders.", details));
            }
            Manner::GarbageChain => Some(Outcome::Issued(pb::Issued { chain_der: vec![b"no certificate".to_vec()] })),
            Manner::LargeAnswer => Some(pending(&"x".repeat(2 * 1024 * 1024), 1)),
            Manner::LargeCheckpoint => {
                let checkpoint = vec![0; 64 * 1024 + 1];
                return Ok(pb::Progress { checkpoint, outcome: Some(pending("", 0)), ..Default::default() });
            }
            Manner::NoOutcome | Manner::Newer => None,
            Manner::Hangs => std::future::pending().await,
            Manner::Refuses(code) => return Err(Status::new(code, "The CA is not there.\r\nAsk again.")),
            Manner::Leaks => Some(pending(&format!("The CA took {TOKEN} for an answer."), 1)),
        };
        Ok(pb::Progress { checkpoint, provider_ref: "order-1".into(), outcome })
    }
}

fn check_token(issuer: &pb::IssuerConfig) -> Result<(), Status> {
    match issuer.secret_options.get("token").map(String::as_str) {
        Some(TOKEN) => Ok(()),
        given => Err(Status::unauthenticated(format!("The CA knows no token {}.", given.unwrap_or_default()))),
    }
}

#[tonic::async_trait]
impl IssuerPluginService for Mock {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn describe(&self, _: Request<pb::DescribeRequest>) -> Result<Response<pb::DescribeResponse>, Status> {
        let version = if self.manner() == Manner::Newer { 7 } else { 1 };
        let option = |name: &str, kind: pb::OptionKind, required| pb::Option {
            name: name.into(),
            kind: kind.into(),
            required,
            description: "A setting of the CA.".into(),
            ..Default::default()
        };
        Ok(Response::new(pb::DescribeResponse {
            protocol_versions: Some(pb::VersionRange { minimum: version, maximum: version }),
            summary: "A CA for tests.".into(),
            plugin_version: "1.2".into(),
            options: vec![option("url", pb::OptionKind::Url, true), option("token", pb::OptionKind::Secret, true)],
            submit_semantics: pb::SubmitSemantics::ExactlyOnce.into(),
            watch: true,
            ..Default::default()
        }))
    }

    async fn validate_issuer(
        &self,
        request: Request<pb::ValidateIssuerRequest>,
    ) -> Result<Response<pb::ValidateIssuerResponse>, Status> {
        let pb::ValidateIssuerRequest { issuer, ask_ca } = request.into_inner();
        let issuer = issuer.unwrap_or_default();
        if ask_ca {
            self.requests.fetch_add(1, Ordering::SeqCst);
            check_token(&issuer)?;
        }
        let fine = issuer.options.get("url").is_some_and(|url| url.starts_with("https://"));
        let problem = pb::FieldProblem {
            field: "url".into(),
            problem: format!("Write https, not {}.", issuer.secret_options.get("token").cloned().unwrap_or_default()),
        };
        let problems = if fine { Vec::new() } else { vec![problem] };
        Ok(Response::new(pb::ValidateIssuerResponse { problems, message: "The CA knows the token.".into() }))
    }

    async fn advance(&self, request: Request<pb::AdvanceRequest>) -> Result<Response<pb::AdvanceResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let pb::AdvanceRequest { order, issuer, checkpoint } = request.into_inner();
        let progress = self.step(order.unwrap_or_default(), &issuer.unwrap_or_default(), &checkpoint).await?;
        Ok(Response::new(pb::AdvanceResponse { progress: Some(progress) }))
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Result<Response<pb::CancelResponse>, Status> {
        let pb::CancelRequest { order, issuer, checkpoint: _ } = request.into_inner();
        if self.manner() == Manner::NoCancel {
            return Err(Status::unimplemented("The CA has no cancellation."));
        }
        check_token(&issuer.unwrap_or_default())?;
        self.orders.lock().unwrap().insert(order.unwrap_or_default().request_id, true);
        let outcome = Some(Outcome::Cancelled(pb::Cancelled {}));
        Ok(Response::new(pb::CancelResponse { progress: Some(pb::Progress { outcome, ..Default::default() }) }))
    }

    async fn revoke(&self, _: Request<pb::RevokeRequest>) -> Result<Response<pb::RevokeResponse>, Status> {
        Ok(Response::new(pb::RevokeResponse {}))
    }

    async fn renewal_info(
        &self,
        _: Request<pb::RenewalInfoRequest>,
    ) -> Result<Response<pb::RenewalInfoResponse>, Status> {
        Err(Status::unimplemented("The CA has no opinion."))
    }

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let hints = stream::unfold(self.hints.subscribe(), |mut hints| async move {
            let hint = hints.recv().await.ok()?;
            Some((Ok(hint), hints))
        });
        Ok(Response::new(hints.boxed()))
    }
}

/// A plug-in that runs; ends at once, with all its connections, when it is dropped.
pub(crate) struct Running(Option<Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) fn serve(mock: &Arc<Mock>, socket: &Path) -> Running {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (runtime, service) = (runtime(), IssuerPluginServiceServer::from_arc(Arc::clone(mock)));
    runtime.spawn(async move {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let connections = stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        Server::builder().add_service(service).serve_with_incoming(connections).await
    });
    Running(Some(runtime))
}

/// Answers the port.
pub(crate) fn serve_tls(mock: &Arc<Mock>, tls: ServerTlsConfig) -> (Running, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let (runtime, service) = (runtime(), IssuerPluginServiceServer::from_arc(Arc::clone(mock)));
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let connections = stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        Server::builder().tls_config(tls).unwrap().add_service(service).serve_with_incoming(connections).await
    });
    (Running(Some(runtime)), port)
}

pub(crate) fn provider(address: &str, tls: Option<PluginTls>, timeout: Duration) -> Plugin {
    let address: Address = address.parse().unwrap();
    let (ca, certificate, key) =
        tls.map_or((None, None, None), |tls| (Some(tls.ca), Some(tls.certificate), Some(tls.key)));
    Plugin::new(PluginOptions { name: "Corp".into(), address, ca, certificate, key, timeout }).unwrap()
}

pub(crate) fn socket(folder: &Path) -> (PathBuf, String) {
    let path = folder.join("plugin.sock");
    let address = format!("unix:{}", path.display());
    (path, address)
}

/// An issuer object that the mock accepts.
pub(crate) fn input() -> IssuerInput {
    IssuerInput {
        options: [("url".to_owned(), "https://ca.example".to_owned())].into(),
        secrets: [("token".to_owned(), TOKEN.to_owned().into())].into(),
        ..IssuerInput::default()
    }
}
