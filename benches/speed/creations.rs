//! Creating: P-256 beside key, request and one durable row; RSA beside the making of the key alone.

use crate::Times;
use crate::recorded::{client, create};
use crate::support::{Caller, Failure, Http, Process, Row, Run, Server, channel, client_tls, drive, time};
use bytes::Bytes;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use http::{Method, StatusCode};
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tonic::transport::Channel;

const CALLERS: usize = 64;
/// gRPC shares connections.
const CHANNELS: usize = 8;
/// Callers for RSA keys: enough to keep every core busy.
const RSA_CALLERS: usize = 16;
/// Keys that certmint has ready when it was idle.
const READY: usize = 16;

struct Creator {
    http: Http,
    key: &'static str,
    /// No name is used twice.
    names: Arc<AtomicUsize>,
}

const P256: &str = r#"{"kty":"EC","crv":"P-256"}"#;
const RSA_2048: &str = r#"{"kty":"RSA","key_size":2048}"#;

impl Creator {
    async fn connect(server: &Server, count: usize, key: &'static str) -> Result<Vec<Self>, Failure> {
        let (tls, names) = (client_tls(server)?, Arc::new(AtomicUsize::new(0)));
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            callers.push(Self { http: Http::connect(&tls, server.port).await?, key, names: names.clone() });
        }
        Ok(callers)
    }
}

impl Caller for Creator {
    async fn call(&mut self) -> Result<(), Failure> {
        let name = format!("created-{}", self.names.fetch_add(1, Ordering::Relaxed));
        let body = format!(
            r#"{{"policy":{{"key_props":{},"x509_props":{{"subject":"CN={name}.example"}},"issuer":{{"name":"Unknown"}}}}}}"#,
            self.key
        );
        let path = format!("/certificates/{name}/create?api-version=7.4");
        match self.http.send(Method::POST, &path, Bytes::from(body)).await? {
            (StatusCode::ACCEPTED, _) => Ok(()),
            (status, body) => Err(format!("create answered {status}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}

/// The bare work in a process of its own: it calls itself, and tells its run on its standard output.
fn bare(kind: &str, callers: usize, time: Duration) -> Result<Run, Failure> {
    bare_with(kind, callers, time, None)
}

/// The same with a file that the work needs.
pub(crate) fn bare_with(kind: &str, callers: usize, time: Duration, file: Option<&Path>) -> Result<Run, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["bare", kind, &callers.to_string(), &time.as_millis().to_string()]).args(file);
    let mut process = Process::start(command)?;
    Run::of_line(&process.line()?)
}

pub(crate) async fn p256(times: Times) -> Result<Row, Failure> {
    let server = Server::fresh()?;
    server.settle().await?;
    let callers = Creator::connect(&server, CALLERS, P256).await?;
    let what = format!("(c) create, P-256, manual: REST, TLS, {CALLERS} callers");
    beside_bare(what, &server, callers, times).await
}

struct OverGrpc {
    client: CertificateServiceClient<Channel>,
    names: Arc<AtomicUsize>,
}

impl Caller for OverGrpc {
    async fn call(&mut self) -> Result<(), Failure> {
        let name = format!("created-{}", self.names.fetch_add(1, Ordering::Relaxed));
        let answer = self.client.create_certificate(create(&name)).await?.into_inner();
        answer.operation.map(drop).ok_or_else(|| "CreateCertificate answered no operation".into())
    }
}

/// The same over gRPC.
pub(crate) async fn p256_over_grpc(times: Times) -> Result<Row, Failure> {
    let server = Server::fresh()?;
    server.settle().await?;
    let names = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::with_capacity(CALLERS);
    for _ in 0..CHANNELS {
        let channel = channel(&server).await?;
        for _ in 0..CALLERS / CHANNELS {
            callers.push(OverGrpc { client: client(channel.clone()), names: names.clone() });
        }
    }
    let what = format!("(c) the same over gRPC: TLS, {CALLERS} callers on {CHANNELS} connections");
    beside_bare(what, &server, callers, Times { turns: times.turns.div_ceil(2), ..times }).await
}

/// Callers that create, in turns with the bare work.
async fn beside_bare<C: Caller>(what: String, server: &Server, callers: Vec<C>, times: Times) -> Result<Row, Failure> {
    let (mut callers, _) = drive(callers, &server.process, times.run.min(Duration::from_millis(500))).await?;
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        let run;
        (callers, run) = drive(callers, &server.process, times.run).await?;
        ours.add(run);
        theirs.add(bare("create", CALLERS, times.run)?);
    }
    Ok(Row::of_runs(what, &ours, "key, request, one durable row", &theirs, "rate at least 0.5x"))
}

/// With the audit ledger, in turns with a server that keeps none.
pub(crate) async fn recorded(times: Times) -> Result<Row, Failure> {
    let (with, without) = (Server::fresh()?, Server::fresh_with("[audit]\nsinks = []\n")?);
    with.settle().await?;
    without.settle().await?;
    let recorded = Creator::connect(&with, CALLERS, P256).await?;
    let unrecorded = Creator::connect(&without, CALLERS, P256).await?;
    // The first turn only warms both up.
    let (mut recorded, _) = drive(recorded, &with.process, times.run).await?;
    let (mut unrecorded, _) = drive(unrecorded, &without.process, times.run).await?;
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        let (of_ours, of_theirs);
        (recorded, of_ours) = drive(recorded, &with.process, times.run).await?;
        (unrecorded, of_theirs) = drive(unrecorded, &without.process, times.run).await?;
        ours.add(of_ours);
        theirs.add(of_theirs);
    }
    let what = format!("(c) the same over REST with the audit ledger, {CALLERS} callers");
    Ok(Row::of_runs(what, &ours, "certmint without the ledger", &theirs, "p50 within 1.15x"))
}

/// A built-in CA with its log, in turns with the same service without what the log stores.
pub(crate) fn built_in_ca(times: Times) -> Result<Row, Failure> {
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        ours.add(bare("ca", CALLERS, times.run)?);
        theirs.add(bare("ca-without-log", CALLERS, times.run)?);
    }
    let what = format!("(c) create at a built-in CA until it is issued: the service alone, {CALLERS} callers, its log");
    Ok(Row::of_runs(what, &ours, "the same without the log", &theirs, "rate at least 0.83x"))
}

pub(crate) async fn rsa(times: Times) -> Result<Row, Failure> {
    let server = Server::fresh()?;
    let callers = Creator::connect(&server, RSA_CALLERS, RSA_2048).await?;
    // The keys that were made ahead are used up first.
    let (callers, _) = drive(callers, &server.process, times.rsa / 5).await?;
    let (_, ours) = drive(callers, &server.process, times.rsa).await?;
    let theirs = bare("rsa", RSA_CALLERS, times.rsa)?;
    let what = format!("(d) create, RSA-2048, manual: REST, TLS, {RSA_CALLERS} callers");
    Ok(Row::of_runs(what, &ours, "RSA-2048 key", &theirs, ""))
}

/// As many creations at once as there are keys ready.
pub(crate) async fn rsa_burst(times: Times) -> Result<Row, Failure> {
    let server = Server::fresh()?;
    let mut callers = Creator::connect(&server, READY, RSA_2048).await?;
    let mut ours = Run::default();
    for _ in 0..times.turns {
        server.settle().await?;
        let run;
        (callers, run) = drive(callers, &server.process, Duration::from_nanos(1)).await?;
        ours.add(run);
    }
    let theirs = bare("rsa-burst", READY, Duration::ZERO)?;
    let last = |run: &Run| format!("the last after {}", time(run.percentile(1.0)));
    let mut row = Row::of_runs(
        format!("(d) the same, {READY} at once on an idle server: keys made ahead"),
        &ours,
        "RSA-2048 key",
        &theirs,
        "",
    );
    row.ours[4] = last(&ours);
    if let Some((_, cells)) = &mut row.bare {
        cells[4] = last(&theirs);
    }
    Ok(row)
}
