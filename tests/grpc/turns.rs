//! Two callers, one of them with very many requests: key work is shared fairly, and excess requests are refused at
//! once.

use crate::raw::{Call, framed};
use crate::refusal::{reason, status_of};
use crate::requests::create;
use crate::server::{Server, Setup};
use aws_lc_rs::digest;
use certmint::limits::Limits;
use certmint::proto::v1::{KeyProperties, KeyType};
use certmint::transport::auth::{Auth, Tokens};
use certmint::transport::grpc::GrpcOptions;
use prost::Message;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const CREATE: &str = "certmint.v1.CertificateService/CreateCertificate";
/// Only a hang reaches it.
const LONG: Duration = Duration::from_secs(120);

/// A server that knows the tokens `flood` and `honest`, each of a principal of that name.
async fn server(key_queue: usize) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let line = |name: &str| {
        let digest = digest::digest(&digest::SHA256, name.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {hash}\n")
    };
    std::fs::write(&path, line("flood") + &line("honest")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let auth = Auth::from(Tokens::load(&path).unwrap());
    let grpc = GrpcOptions { auth, ..GrpcOptions::default() };
    Server::with(Setup { grpc, options: Limits { key_queue, ..Limits::default() }.into(), ..Setup::default() }).await
}

/// A creation with an RSA key, as bytes.
fn request(name: &str, key_size: i32) -> Vec<u8> {
    let mut request = create(name, "Unknown");
    let key = KeyProperties { key_type: KeyType::Rsa.into(), key_size, ..KeyProperties::default() };
    request.policy.as_mut().unwrap().key_properties = Some(key);
    framed(&request.encode_to_vec()).to_vec()
}

/// The flood, whose creations run until it is dropped; counts those that were answered with a certificate.
async fn flood(server: &Server, size: usize) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut flood, served) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for number in 0..size {
        let (client, served) = (server.h2().await, served.clone());
        flood.spawn(async move {
            let call = Call::to(CREATE).header("authorization", "Bearer flood");
            let answer = call.whole_bytes(&client, request(&format!("flood-{number}"), 4096).into()).await;
            if !answer.messages.is_empty() {
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    (flood, served)
}

/// Waits until so many requests wait for a key.
async fn waiting(server: &Server, least: usize) {
    let waits = async {
        loop {
            let text = {
                server.service.measure(server.service.metrics());
                server.service.metrics().text()
            };
            let line = text.lines().find_map(|line| line.strip_prefix("certmint_key_jobs{state=\"waiting\"} "));
            if line.and_then(|number| number.parse::<usize>().ok()).is_some_and(|number| number >= least) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, waits).await.expect("the flood never filled the queue");
}

#[tokio::test]
async fn a_flood_of_large_keys_delays_only_its_own_caller() {
    let server = server(256).await;
    let (mut flood, served) = flood(&server, 60).await;
    waiting(&server, 25).await;
    let before = served.load(Ordering::SeqCst);
    let client = server.h2().await;
    for number in 0..3 {
        let call = Call::to(CREATE).header("authorization", "Bearer honest").header("grpc-timeout", "60S");
        let answer = call.whole_bytes(&client, request(&format!("honest-{number}"), 2048).into()).await;
        assert!(!answer.messages.is_empty(), "{:?}", status_of(&answer));
    }
    // At least 25 came before.
    let meanwhile = served.load(Ordering::SeqCst) - before;
    assert!(meanwhile < 25, "{meanwhile} keys of the flood came first");
    flood.shutdown().await;
}

#[tokio::test]
async fn excess_requests_are_refused_at_once_with_a_retry_time() {
    let server = server(256).await;
    let (mut flood, _) = flood(&server, 60).await;
    waiting(&server, 25).await;
    let client = server.h2().await;
    let call = Call::to(CREATE).header("authorization", "Bearer flood").header("grpc-timeout", "30S");
    let answer = call.whole_bytes(&client, request("late", 4096).into()).await;
    let refused = status_of(&answer);
    assert_eq!(reason(&refused), "THROTTLED", "{refused:?}");
    let pushback: u64 = refused.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert!(pushback >= 1000, "{pushback}");
    flood.shutdown().await;
}

#[tokio::test]
async fn callers_that_have_gone_leave_no_work_behind() {
    let server = server(256).await;
    let (mut flood, _) = flood(&server, 30).await;
    waiting(&server, 20).await;
    flood.shutdown().await;
    // What had begun ends; then there is nothing to do.
    let idle = async {
        loop {
            server.service.measure(server.service.metrics());
            let text = server.service.metrics().text();
            let none = |state: &str| text.contains(&format!("certmint_key_jobs{{state=\"{state}\"}} 0\n"));
            if none("waiting") && none("running") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let text = tokio::time::timeout(LONG, idle).await.unwrap();
    let gone = text.lines().find_map(|line| line.strip_prefix("certmint_key_jobs_not_run_total{cause=\"gone\"} "));
    // Keys that were made while the flood was ended are not among them.
    assert!(gone.unwrap().parse::<usize>().unwrap() >= 10, "{gone:?}");
}
