//! A well-behaved client: calls any replica, retries what may be retried, and trusts every response.
#![expect(clippy::disallowed_types, reason = "a client meets tonic::Status")]

use crate::dice::Dice;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::{
    CancelPendingRequest, CancelPendingResponse, CreateCertificateRequest, CreateCertificateResponse,
    DeletePendingRequest, DeletePendingResponse, GetCertificateRequest, GetCertificateResponse, GetPendingRequest,
    GetPendingResponse, ListPendingRequest, ListPendingResponse, MergeCertificateRequest, MergeCertificateResponse,
    SetIssuerRequest, SetIssuerResponse, WatchPendingRequest, WatchPendingResponse,
};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Response, Status, Streaming};
use tonic_types::StatusExt;

/// A call that takes longer has an unknown outcome.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);
/// No fault of the tests lasts this long, so a service that gives no answer until then gives none at all.
const PATIENCE: Duration = Duration::from_secs(90);

/// Connections to all replicas, opened when they are used, and again when they broke.
#[derive(Clone)]
pub(crate) struct Fleet {
    channels: Arc<[Channel]>,
    /// How long one attempt of a caller may take.
    attempt: Duration,
}

impl Fleet {
    pub(crate) fn new(ca: &Path, ports: &[u16]) -> Self {
        let channels = ports.iter().map(|port| endpoint(ca, *port).connect_lazy()).collect();
        Self { channels, attempt: ATTEMPT }
    }

    /// For tests in which nothing is swallowed: only a hang is not waited for, however busy the machine is.
    pub(crate) fn patient(ca: &Path, ports: &[u16]) -> Self {
        let patient = |port: &u16| {
            let endpoint = endpoint(ca, *port).connect_timeout(HANG);
            endpoint.http2_keep_alive_interval(HANG).keep_alive_timeout(HANG).connect_lazy()
        };
        Self { channels: ports.iter().map(patient).collect(), attempt: HANG }
    }

    pub(crate) fn none() -> Self {
        Self { channels: Arc::new([]), attempt: ATTEMPT }
    }

    /// Only the replicas with these numbers.
    pub(crate) fn only(&self, numbers: &[usize]) -> Self {
        let channels = numbers.iter().map(|number| self.channels[*number].clone()).collect();
        Self { channels, attempt: self.attempt }
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn caller(&self, dice: Dice) -> Caller {
        Caller { fleet: self.clone(), dice, attempt: self.attempt, repeats: 0, odd: Vec::new() }
    }
}

pub(crate) fn endpoint(ca: &Path, port: u16) -> Endpoint {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca).unwrap()));
    Endpoint::from_shared(format!("https://127.0.0.1:{port}"))
        .unwrap()
        .tls_config(tls.domain_name("localhost"))
        .unwrap()
        .connect_timeout(Duration::from_secs(2))
        // What a silent network swallowed is noticed within two seconds.
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(1))
        .keep_alive_while_idle(true)
}

/// Ends when the server behind the port speaks TLS.
pub(crate) async fn ready(data: &Path, port: u16, within: Duration) -> Result<(), String> {
    let (ca, deadline) = (data.join("ca.pem"), Instant::now() + within);
    loop {
        let last = if ca.exists() {
            match endpoint(&ca, port).connect().await {
                Ok(_) => return Ok(()),
                Err(error) => format!("{error:?}"),
            }
        } else {
            "it has made no CA yet".to_owned()
        };
        if Instant::now() > deadline {
            return Err(format!("the server on port {port} is not ready after {within:?}: {last}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The reason that the service gave; none where the network or the transport said no.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == "certmint.v1").map(|info| info.reason)
}

/// Whether the same call may be sent again.
pub(crate) fn may_repeat(status: &Status) -> bool {
    match reason(status) {
        Some(_) => {
            matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
        }
        // What is no answer of the service is a broken connection, or our own patience.
        None => true,
    }
}

/// One client: each call goes to a random replica.
pub(crate) struct Caller {
    fleet: Fleet,
    pub(crate) dice: Dice,
    /// How long one attempt may take.
    pub(crate) attempt: Duration,
    /// Attempts of the last call before the one that was answered.
    pub(crate) repeats: usize,
    /// What calls failed with before they were answered, other than UNAVAILABLE.
    pub(crate) odd: Vec<String>,
}

macro_rules! calls {
    ($($name:ident: $request:ty => $response:ty, $client:ident;)*) => {
        $(
            /// Repeats until there is an answer.
            pub(crate) async fn $name(&mut self, request: $request) -> Result<$response, Status> {
                self.until_answered(|channel| {
                    let request = request.clone();
                    async move { $client::new(channel).$name(request).await }
                })
                .await
            }
        )*
    };
}

impl Caller {
    calls! {
        create_certificate: CreateCertificateRequest => CreateCertificateResponse, CertificateServiceClient;
        get_pending: GetPendingRequest => GetPendingResponse, CertificateServiceClient;
        list_pending: ListPendingRequest => ListPendingResponse, CertificateServiceClient;
        cancel_pending: CancelPendingRequest => CancelPendingResponse, CertificateServiceClient;
        delete_pending: DeletePendingRequest => DeletePendingResponse, CertificateServiceClient;
        merge_certificate: MergeCertificateRequest => MergeCertificateResponse, CertificateServiceClient;
        get_certificate: GetCertificateRequest => GetCertificateResponse, CertificateServiceClient;
        set_issuer: SetIssuerRequest => SetIssuerResponse, CertificateAdminServiceClient;
    }

    /// Another one, with the same patience.
    pub(crate) fn another(&self, number: usize) -> Self {
        Self { attempt: self.attempt, ..self.fleet.caller(Dice::of("another", number as u64)) }
    }

    async fn until_answered<T, F>(&mut self, call: impl Fn(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        self.repeats = 0;
        loop {
            let channel = self.fleet.channels[self.dice.index(self.fleet.len())].clone();
            let status = match tokio::time::timeout(self.attempt, call(channel)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) if !may_repeat(&status) => return Err(status),
                Ok(Err(status)) => status,
                Err(_) => Status::cancelled("no answer in time"),
            };
            assert!(Instant::now() < deadline, "no answer for {PATIENCE:?}; the last was {status:?}");
            self.repeats += 1;
            if status.code() != Code::Unavailable {
                self.odd.push(format!("{:?}: {}", status.code(), status.message()));
            }
            tokio::time::sleep(Duration::from_millis(20 + self.dice.below(100))).await;
        }
    }

    /// One attempt at a random replica.
    pub(crate) async fn watch(
        &mut self,
        request: WatchPendingRequest,
    ) -> Result<Streaming<WatchPendingResponse>, Status> {
        let channel = self.fleet.channels[self.dice.index(self.fleet.len())].clone();
        let mut client = CertificateServiceClient::new(channel);
        match tokio::time::timeout(self.attempt, client.watch_pending(request)).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::cancelled("no answer in time")),
        }
    }
}
