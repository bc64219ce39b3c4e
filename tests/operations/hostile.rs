//! Hostile and honest callers side by side, for `make soak-hostile`: how much the honest ones notice, and how much memory
//! the hostile ones cost, while they are there and two minutes later. Phases with and without them take turns, so that
//! both see the same machine.

use crate::clients::{CREATE, connect_h2, rest, until};
use crate::server::{ALICE, BOB, Place, Server};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::Request;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Quiet phases, and as many with an attack.
const PHASES: u32 = 5;
const HONEST: usize = 4;
/// MB, with everybody there.
const MOST: u64 = 512;
/// MB, two minutes after the last of them.
const AFTERWARDS: u64 = 100;
const CERTIFICATES: &str = "/certificates?api-version=7.4";

#[derive(Clone)]
struct Target {
    server: Arc<Server>,
    place: Arc<Place>,
}

/// What honest callers waited, by what they asked for.
#[derive(Default)]
struct Waited {
    reads: Vec<Duration>,
    creates: Vec<Duration>,
}

impl Waited {
    fn add(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.creates.extend(other.creates);
    }

    /// p50 and p99 of each.
    fn figures(&mut self) -> [(Duration, Duration); 2] {
        [&mut self.reads, &mut self.creates].map(|waits| {
            waits.sort();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize];
            (at(0.5), at(0.99))
        })
    }
}

impl Target {
    async fn connect(&self, builder: &Builder) -> SendRequest<Bytes> {
        connect_h2(self.server.address, &self.place, builder).await
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

fn request(method: &str, path: &str, token: Option<&str>) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(format!("https://localhost{path}"));
    if let Some(token) = token {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    builder.header("content-type", "application/json").body(()).unwrap()
}

/// The status and the whole answer.
async fn ask(to: &SendRequest<Bytes>, method: &str, path: &str, token: &str, body: &str) -> Option<u16> {
    let mut sender = to.clone().ready().await.ok()?;
    let (answer, mut stream) = sender.send_request(request(method, path, Some(token)), body.is_empty()).ok()?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).ok()?;
    }
    let (parts, mut body) = answer.await.ok()?.into_parts();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.ok()?.len()).ok()?;
    }
    Some(parts.status.as_u16())
}

/// Reads and creations of one honest caller until the phase is over; each is answered as it should.
async fn honest(target: Target, name: String, until: Instant) -> Waited {
    let client = target.connect(&Builder::new()).await;
    let mut waited = Waited::default();
    for number in 0.. {
        if Instant::now() > until {
            return waited;
        }
        let begun = Instant::now();
        let status = if number % 5 == 0 {
            let path = format!("/certificates/{name}-{number}/create?api-version=7.4");
            let status = ask(&client, "POST", &path, ALICE, CREATE).await;
            waited.creates.push(begun.elapsed());
            status
        } else {
            let path = if number % 2 == 0 { CERTIFICATES } else { "/certificates/web?api-version=7.4" };
            let status = ask(&client, "GET", path, ALICE, "").await;
            waited.reads.push(begun.elapsed());
            status
        };
        assert!(matches!(status, Some(200 | 202)), "an honest caller got {status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waited
}

async fn phase(target: &Target, name: &str, length: Duration, waited: &mut Waited) {
    let until = Instant::now() + length;
    let mut callers = JoinSet::new();
    for number in 0..HONEST {
        callers.spawn(honest(target.clone(), format!("{name}-{number}"), until));
    }
    while let Some(done) = callers.join_next().await {
        waited.add(done.unwrap());
    }
}

/// Opens requests whose answers it never reads, holds them, and comes again.
async fn deaf(target: Target, token: Option<&'static str>, method: &'static str, path: &'static str) {
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    loop {
        let client = target.connect(&builder).await;
        let mut open = Vec::new();
        for _ in 0..100 {
            let Ok(mut sender) = client.clone().ready().await else { break };
            let Ok((answer, _)) = sender.send_request(request(method, path, token), true) else { break };
            open.push(answer);
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

/// Begins bodies that never end.
async fn endless(target: Target) {
    loop {
        let client = target.connect(&Builder::new()).await;
        let mut open = Vec::new();
        for _ in 0..50 {
            let Ok(mut sender) = client.clone().ready().await else { break };
            let create = request("POST", "/certificates/x/create?api-version=7.4", Some(BOB));
            let Ok((answer, mut body)) = sender.send_request(create, false) else { break };
            let _ = body.send_data(Bytes::from(vec![b' '; 60_000]), false);
            open.push((answer, body));
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

/// Begins requests and takes them back at once.
async fn resets(target: Target) {
    loop {
        let client = target.connect(&Builder::new()).await;
        for _ in 0..500 {
            let Ok(mut sender) = client.clone().ready().await else { break };
            let Ok((_, mut stream)) = sender.send_request(request("GET", CERTIFICATES, None), false) else { break };
            stream.send_reset(h2::Reason::CANCEL);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Connections that send half a head, or nothing.
async fn silent(target: Target) {
    let mut open = Vec::new();
    loop {
        if let Ok(mut tcp) = tokio::net::TcpStream::connect(target.server.address).await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut tcp, b"\x16\x03\x01\x02").await;
            open.push(tcp);
        }
        if open.len() > 400 {
            open.clear();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for work with keys again and again, more than there is time for.
async fn greedy(target: Target, path: &'static str, body: Arc<String>, pause: Duration) {
    loop {
        let client = target.connect(&Builder::new()).await;
        let mut open = JoinSet::new();
        for number in 0..200 {
            let (client, body) = (client.clone(), body.clone());
            let path = path.replace('#', &number.to_string());
            open.spawn(async move { ask(&client, "POST", &path, BOB, &body).await });
            tokio::time::sleep(pause).await;
        }
        while open.join_next().await.is_some() {}
    }
}

/// A PKCS#12 file that asks for nearly as many rounds as one request may.
fn costly_import() -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=a");
    run("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:pw -iter 2000000 -out file.p12");
    let file = std::fs::read(folder.path().join("file.p12")).unwrap();
    format!(r#"{{"value":"{}","pwd":"wrong"}}"#, STANDARD.encode(file))
}

/// The hostile callers, on threads of their own that give way to the honest ones: elsewhere they have machines of their
/// own, and what is measured is the server.
fn attack(target: &Target, import: &Arc<String>) -> tokio::runtime::Runtime {
    let hostile = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(|| {
            let _ = rustix::process::nice(19);
        })
        .build()
        .unwrap();
    for path in [CERTIFICATES, "/no/such/path", "/secrets/x", "/identity/token"] {
        for _ in 0..4 {
            hostile.spawn(deaf(target.clone(), None, "GET", path));
        }
    }
    for (method, path) in [("POST", "/certificates/web/backup?api-version=7.4"), ("GET", CERTIFICATES)] {
        for _ in 0..4 {
            hostile.spawn(deaf(target.clone(), Some(BOB), method, path));
        }
    }
    hostile.spawn(endless(target.clone()));
    hostile.spawn(resets(target.clone()));
    hostile.spawn(silent(target.clone()));
    let large = Arc::new(CREATE.replace(r#""kty":"EC","crv":"P-256""#, r#""kty":"RSA","key_size":4096"#));
    let often = Duration::from_millis(50);
    hostile.spawn(greedy(target.clone(), "/certificates/large-#/create?api-version=7.4", large, often));
    hostile.spawn(greedy(target.clone(), "/certificates/brought-#/import?api-version=7.4", import.clone(), often));
    hostile
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes, for `make soak-hostile`"]
async fn honest_callers_hardly_notice_hostile_ones_and_the_memory_comes_back() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(600, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let place = Place::new("");
    let target = Target { server: Arc::new(place.start()), place: Arc::new(place) };
    for _ in 0..20 {
        let path = "/certificates/web/create?api-version=7.4";
        rest(&target.server, &target.place, Some(ALICE), "POST", path, CREATE).await;
        until("it is issued", async || {
            let path = "/certificates/web/pending?api-version=7.4";
            rest(&target.server, &target.place, Some(ALICE), "GET", path, "").await.contains("\"completed\"")
        })
        .await;
    }
    let (import, length) = (Arc::new(costly_import()), Duration::from_secs(seconds) / (2 * PHASES));
    let (mut quiet, mut attacked, before) = (Waited::default(), Waited::default(), target.resident());
    let peak = Arc::new(AtomicU64::new(0));
    let looking = tokio::spawn({
        let (target, peak) = (target.clone(), peak.clone());
        async move {
            loop {
                peak.fetch_max(target.resident(), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    });
    for round in 0..PHASES {
        phase(&target, &format!("quiet-{round}"), length, &mut quiet).await;
        let hostile = attack(&target, &import);
        phase(&target, &format!("attacked-{round}"), length, &mut attacked).await;
        hostile.shutdown_background();
        // What they began is not of the next phase.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    looking.abort();
    let (peak, after) = (peak.load(Ordering::SeqCst), target.resident());
    let counts = [&quiet, &attacked].map(|waited| (waited.reads.len(), waited.creates.len()));
    let ([reads, creates], [hurt_reads, hurt_creates]) = (quiet.figures(), attacked.figures());
    eprintln!(
        "soak: {counts:?} reads and creations without and with hostile callers\n\
         soak: reads p50 and p99 {reads:?} without, {hurt_reads:?} with\n\
         soak: creations p50 and p99 {creates:?} without, {hurt_creates:?} with\n\
         soak: {before} MB before, {peak} MB at most, {after} MB two minutes after"
    );
    assert!(!target.server.log().contains("panicked"), "{}", target.server.log());
    assert!(peak < MOST && after < AFTERWARDS, "{peak} MB at most, {after} MB afterwards");
    for (without, with) in [(reads.1, hurt_reads.1), (creates.1, hurt_creates.1)] {
        assert!(with < 2 * without, "p99 {with:?} with hostile callers, {without:?} without");
    }
}
