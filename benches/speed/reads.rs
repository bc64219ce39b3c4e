//! Reading a pending operation: over REST beside a bare axum route, over gRPC beside a bare tonic method.

use crate::Times;
use crate::recorded::{Recorded, client, create, pending_path};
use crate::support::{Caller, Failure, Http, Row, Run, Server, channel, client_tls, drive};
use bytes::Bytes;
use certmint::proto::v1::GetPendingRequest;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use http::Method;
use std::time::Duration;
use tonic::transport::Channel;

const CALLERS: usize = 64;
/// gRPC shares connections: eight callers on each of eight.
const CHANNELS: usize = 8;
/// Operations that are read in turn.
const OPERATIONS: usize = 256;

/// A manual operation with a key on P-256.
const MANUAL: &[u8] = br#"{"policy":{"key_props":{"kty":"EC","crv":"P-256"},"x509_props":{"subject":"CN=a.example"},"issuer":{"name":"Unknown"}}}"#;

fn name(number: usize) -> String {
    format!("operation-{:03}", number % OPERATIONS)
}

/// A certmint with operations to read, at rest.
async fn filled() -> Result<Server, Failure> {
    let server = Server::fresh()?;
    let mut client = client(channel(&server).await?);
    for number in 0..OPERATIONS {
        client.create_certificate(create(&name(number))).await?;
    }
    server.settle().await?;
    Ok(server)
}

struct OverRest {
    http: Http,
    next: usize,
}

impl OverRest {
    async fn connect(server: &Server) -> Result<Vec<Self>, Failure> {
        let tls = client_tls(server)?;
        let mut callers = Vec::with_capacity(CALLERS);
        for number in 0..CALLERS {
            callers.push(Self { http: Http::connect(&tls, server.port).await?, next: number });
        }
        Ok(callers)
    }
}

impl Caller for OverRest {
    async fn call(&mut self) -> Result<(), Failure> {
        self.next += 1;
        let (status, body) = self.http.send(Method::GET, &pending_path(&name(self.next)), Bytes::new()).await?;
        if status.is_success() && !body.is_empty() { Ok(()) } else { Err(format!("GET answered {status}").into()) }
    }
}

struct OverGrpc {
    client: CertificateServiceClient<Channel>,
    next: usize,
}

impl OverGrpc {
    async fn connect(server: &Server) -> Result<Vec<Self>, Failure> {
        let mut callers = Vec::with_capacity(CALLERS);
        for _ in 0..CHANNELS {
            let channel = channel(server).await?;
            for _ in 0..CALLERS / CHANNELS {
                callers.push(Self { client: client(channel.clone()), next: callers.len() });
            }
        }
        Ok(callers)
    }
}

impl Caller for OverGrpc {
    async fn call(&mut self) -> Result<(), Failure> {
        self.next += 1;
        let wanted = GetPendingRequest { certificate_name: name(self.next), ..Default::default() };
        let answer = self.client.get_pending(wanted).await?.into_inner();
        answer.operation.map(drop).ok_or_else(|| "GetPending answered no operation".into())
    }
}

/// The same callers against both servers, which take turns so that a busy neighbour meets both.
pub(crate) async fn in_turns<C: Caller>(
    (ours, mut our_callers): (&Server, Vec<C>),
    (bare, mut bare_callers): (&Server, Vec<C>),
    times: Times,
) -> Result<(Run, Run), Failure> {
    let warm = times.run.min(Duration::from_millis(500));
    (our_callers, _) = drive(our_callers, &ours.process, warm).await?;
    (bare_callers, _) = drive(bare_callers, &bare.process, warm).await?;
    let (mut our_run, mut bare_run, mut run);
    (our_run, bare_run) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        (our_callers, run) = drive(our_callers, &ours.process, times.run).await?;
        our_run.add(run);
        (bare_callers, run) = drive(bare_callers, &bare.process, times.run).await?;
        bare_run.add(run);
    }
    Ok((our_run, bare_run))
}

pub(crate) async fn rest(recorded: &Recorded, times: Times) -> Result<Row, Failure> {
    let ours = filled().await?;
    let bare = Server::bare(recorded.folder())?;
    let callers = ((&ours, OverRest::connect(&ours).await?), (&bare, OverRest::connect(&bare).await?));
    let (our_run, bare_run) = in_turns(callers.0, callers.1, times).await?;
    let what = format!("(a) GET pending: REST, TLS, HTTP/1.1, {CALLERS} connections");
    Ok(Row::of_runs(what, &our_run, "axum route", &bare_run, "CPU at most 2x"))
}

/// Polls of two certmints, which take turns.
pub(crate) async fn polls(one: &Server, other: &Server, times: Times) -> Result<(Run, Run), Failure> {
    for server in [one, other] {
        let mut http = Http::connect(&client_tls(server)?, server.port).await?;
        for number in 0..OPERATIONS {
            let path = format!("/certificates/{}/create?api-version=7.4", name(number));
            let (status, _) = http.send(Method::POST, &path, Bytes::from_static(MANUAL)).await?;
            if !status.is_success() {
                return Err(format!("a creation answered {status}").into());
            }
        }
        server.settle().await?;
    }
    in_turns((one, OverRest::connect(one).await?), (other, OverRest::connect(other).await?), times).await
}

pub(crate) async fn grpc(recorded: &Recorded, times: Times) -> Result<Row, Failure> {
    let ours = filled().await?;
    let bare = Server::bare(recorded.folder())?;
    let callers = ((&ours, OverGrpc::connect(&ours).await?), (&bare, OverGrpc::connect(&bare).await?));
    let (our_run, bare_run) = in_turns(callers.0, callers.1, times).await?;
    let what = format!("(b) GetPending: gRPC, TLS, {CALLERS} callers on {CHANNELS} connections");
    Ok(Row::of_runs(what, &our_run, "tonic unary", &bare_run, "CPU at most 2x"))
}
