//! The real server under load, killed with SIGKILL again and again: everything that it acknowledged is there afterwards
//! and completes, and a watcher that resumes sees every transition.

use crate::ports::free_port;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{
    CertificatePolicy, CreateCertificateRequest, GetPendingRequest, IssuerParameters, KeyProperties, KeyType,
    PendingStatus, WatchPendingRequest, WatchSnapshot, X509Properties,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

const ROUNDS: u64 = 50;
const WRITERS: usize = 4;
/// Creates that have to be answered, so that the test says anything.
const ENOUGH: usize = 100;

type Client = CertificateServiceClient<Channel>;

struct Server {
    child: Child,
}

impl Server {
    fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_certmint"))
            .args(["serve", "--dev", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }
}

impl Drop for Server {
    /// SIGKILL: nothing of the server's own gets a word in.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn connect(folder: &Path, port: u16) -> Client {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Ok(ca) = std::fs::read(folder.join("ca.pem")) {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
            let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(tls).unwrap();
            if let Ok(channel) = endpoint.connect_timeout(Duration::from_secs(1)).connect().await {
                return Client::new(channel);
            }
        }
        assert!(Instant::now() < deadline, "the server did not come up again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn request(name: &str) -> CreateCertificateRequest {
    CreateCertificateRequest {
        certificate_name: name.to_owned(),
        policy: Some(CertificatePolicy {
            key_properties: Some(KeyProperties { key_type: KeyType::Ec.into(), ..KeyProperties::default() }),
            x509_properties: Some(X509Properties { subject: format!("CN={name}"), ..X509Properties::default() }),
            issuer: Some(IssuerParameters { name: "Self".to_owned(), ..IssuerParameters::default() }),
            ..CertificatePolicy::default()
        }),
        ..CreateCertificateRequest::default()
    }
}

/// What one watcher has seen: for each operation its revisions in the order of their coming, and its last status.
#[derive(Default)]
struct Seen {
    token: String,
    operations: BTreeMap<String, (Vec<i64>, i32)>,
}

/// Watches until the connection breaks; a repeat after a resume is dropped by its revision.
async fn watch(mut client: Client, seen: Arc<Mutex<Seen>>) {
    let token = seen.lock().unwrap().token.clone();
    let snapshot = WatchSnapshot::None.into();
    let request = WatchPendingRequest { resume_token: token, snapshot, ..WatchPendingRequest::default() };
    let Ok(response) = client.watch_pending(request).await else { return };
    let mut stream = response.into_inner();
    while let Ok(Some(message)) = stream.message().await {
        let mut seen = seen.lock().unwrap();
        if let Some(Payload::Event(event)) = message.payload {
            let operation = event.operation.unwrap();
            let entry = seen.operations.entry(operation.certificate_name).or_default();
            if entry.0.last().is_none_or(|last| *last < operation.revision) {
                entry.0.push(operation.revision);
                entry.1 = operation.status;
            }
        }
        seen.token = message.resume_token;
    }
}

/// Creates one certificate after the other until the connection breaks; keeps the names of those that were answered.
async fn write(mut client: Client, prefix: String, answered: Arc<Mutex<BTreeSet<String>>>, stop: CancellationToken) {
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let answer = tokio::select! {
            answer = client.create_certificate(request(&name)) => answer,
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(_) => answered.lock().unwrap().insert(name),
            Err(_) => return,
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_over_fifty_kills() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::new(Mutex::new(Seen::default()));
    // The watch begins before the first create, with the bookmark of an empty log.
    for round in 0.. {
        // A busy machine may need more rounds, and longer ones, until enough was answered.
        let answers = answered.lock().unwrap().len();
        if round >= ROUNDS && (answers > ENOUGH || round >= 10 * ROUNDS) {
            break;
        }
        let server = Server::start(folder.path(), port);
        let client = connect(folder.path(), port).await;
        if round == 0 {
            let begin = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..WatchPendingRequest::default() };
            let first = client.clone().watch_pending(begin).await.unwrap().into_inner().message().await.unwrap();
            seen.lock().unwrap().token = first.unwrap().resume_token;
        }
        let watcher = tokio::spawn(watch(connect(folder.path(), port).await, seen.clone()));
        let stop = CancellationToken::new();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let prefix = format!("r{round}w{writer}");
                tokio::spawn(write(client.clone(), prefix, answered.clone(), stop.clone()))
            })
            .collect();
        // Another instant in every round: from right after the start to well under way.
        let longer = 10 * round.saturating_sub(ROUNDS);
        tokio::time::sleep(Duration::from_millis(5 + round * 37 % 160 + longer)).await;
        drop(server);
        stop.cancel();
        for task in writers {
            task.await.unwrap();
        }
        watcher.await.unwrap();
    }
    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() > ENOUGH, "only {} creates were answered in all rounds", answered.len());

    let server = Server::start(folder.path(), port);
    let mut client = connect(folder.path(), port).await;
    let watcher = tokio::spawn(watch(connect(folder.path(), port).await, seen.clone()));
    let completed = i32::from(PendingStatus::Completed);
    // What the last kill cut is due again at once: its lease ended with the process that held it.
    let deadline = Instant::now() + Duration::from_secs(180);
    for name in &answered {
        loop {
            let expected = GetPendingRequest { certificate_name: name.clone(), ..GetPendingRequest::default() };
            let operation = client.get_pending(expected).await.unwrap().into_inner().operation.unwrap();
            let told = seen.lock().unwrap().operations.get(name).is_some_and(|(_, status)| *status == completed);
            if operation.status == completed && told {
                break;
            }
            assert!(Instant::now() < deadline, "{name} has status {} and was told: {told}", operation.status);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    drop(server);
    watcher.await.unwrap();
    for (name, (revisions, _)) in &seen.lock().unwrap().operations {
        let expected: Vec<i64> = (1..=revisions.len() as i64).collect();
        assert_eq!(revisions, &expected, "{name}: a transition is missing or out of order");
    }
}
