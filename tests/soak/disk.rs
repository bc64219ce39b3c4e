//! A disk that is full, or that may not be written to, under the embedded store.

use crate::client::reason;
use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, rounds};
use crate::harness::{Harness, turn};
use crate::load::request;
use crate::process::is_root;
use crate::replicas::ends_completed;
use certmint::proto::v1::GetPendingRequest;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// A file system in memory, gone with this value: room for a write-ahead log of the usual 8 MB, twice, and what
/// comes of it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this system does not let us; says why.
    fn at(folder: &Path) -> Option<Self> {
        if !is_root() {
            eprintln!("soak: skipped, because only root may mount a small file system");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs"], folder);
        if let Err(problem) = mounted {
            eprintln!("soak: skipped, because a small file system cannot be mounted here: {problem}");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let mut piece = 1 << 16;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn writable(&self, yes: bool) {
        mount(&["-o", if yes { "remount,rw" } else { "remount,ro" }], &self.0).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be about to end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        remove_left(&self.0);
    }
}

/// The folder of a cluster, where it could not be removed because something was mounted in it.
pub(crate) fn remove_left(data: &Path) {
    let _ = fs::remove_dir(data).and_then(|()| fs::remove_dir_all(data.parent().unwrap()));
}

fn mount(arguments: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).arg(folder).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

pub(crate) fn undamaged(data: &Path) {
    // Not a new one if there is none.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let database = rusqlite::Connection::open_with_flags(data.join("certmint.db"), flags).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_reported_and_nothing_is_damaged() {
    // A disk after the other: what is kept of very many rounds would fill one for good.
    const OF_A_DISK: u64 = 20;
    for first in (0..rounds(2)).step_by(usize::try_from(OF_A_DISK).unwrap()) {
        full(first..rounds(2).min(first + OF_A_DISK)).await;
    }
}

async fn full(rounds: Range<u64>) {
    let turn = turn().await;
    let mut cluster = Cluster::prepare(1, None, CONFIG, |_| Vec::new()).await;
    let Some(disk) = SmallDisk::at(&cluster.data()) else { return };
    cluster.replicas[0].server.start();
    cluster.all_ready().await;
    cluster.connect();
    cluster.set_issuers().await;
    let mut harness = Harness::on(cluster, None, turn).await;
    let mut dice = Dice::of("disk", rounds.start);
    for round in rounds.clone() {
        harness.work(300 + dice.below(500)).await;
        disk.fill();
        let message = refused(&harness, round).await;
        assert!(message.contains("temporarily unavailable"), "{message}");
        let log = harness.cluster.replicas[0].server.log();
        assert!(log.contains("full"), "the log does not say that the disk is full:\n{log}");
        // What is there can be read.
        let mut caller = harness.cluster.caller("reader", round);
        let expected = GetPendingRequest { certificate_name: "nobody".to_owned(), ..GetPendingRequest::default() };
        let status = caller.get_pending(expected).await.unwrap_err();
        assert_eq!(reason(&status).as_deref(), Some("PENDING_NOT_FOUND"));
        if dice.percent(50) || round == rounds.start {
            // Killed in this state, it needs no more room than it has to say what is wrong, or to go on.
            let server = &mut harness.cluster.replicas[0].server;
            server.kill9();
            server.start();
            if let Some(status) = ended_or_answers(&mut harness).await {
                let log = harness.cluster.replicas[0].server.log();
                let last = log.lines().last().unwrap();
                let says_why = last.contains("full") || last.contains("space");
                assert!(!status.success() && last.starts_with("error: ") && says_why, "{status}\n{log}");
                harness.cluster.replicas[0].server.kill9();
            }
        }
        disk.make_room();
        harness.cluster.heal().await;
        let name = format!("room-{round}");
        let mut caller = harness.cluster.caller("room", round);
        let created = caller.create_certificate(request(&name, "", "Self")).await.unwrap().operation.unwrap();
        ends_completed(&mut caller, &name, &created.request_id, Duration::from_secs(120)).await;
    }
    undamaged(&harness.cluster.data());
    harness.finish("a full disk").await;
}

/// Waits until the server that was started answers, or ends by itself: with what status.
async fn ended_or_answers(harness: &mut Harness) -> Option<ExitStatus> {
    let (ca, port) = (harness.cluster.data().join("ca.pem"), harness.cluster.replicas[0].server.port);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = harness.cluster.replicas[0].server.ended() {
            return Some(status);
        }
        let channel = crate::client::endpoint(&ca, port).connect_lazy();
        let expected = GetPendingRequest { certificate_name: "nobody".to_owned(), ..GetPendingRequest::default() };
        let answer = CertificateServiceClient::new(channel).get_pending(expected).await;
        if answer.is_err_and(|status| reason(&status).is_some()) {
            return None;
        }
        assert!(
            Instant::now() < deadline,
            "it neither answers nor ends:\n{}",
            harness.cluster.replicas[0].server.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until it is noticed that nothing can be written: what has room in a page that is there already goes through.
pub(crate) async fn refused(harness: &Harness, round: u64) -> String {
    let (ca, port) = (harness.cluster.data().join("ca.pem"), harness.cluster.replicas[0].server.port);
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut dice = Dice::of("full", round);
    loop {
        let channel = crate::client::endpoint(&ca, port).connect_lazy();
        let asked = request(&format!("full-{round}-{}", dice.below(1 << 30)), "", "Self");
        match CertificateServiceClient::new(channel).create_certificate(asked).await {
            Err(status) if reason(&status).as_deref() == Some("STORE_UNAVAILABLE") => {
                return status.message().to_owned();
            }
            Err(status) => assert!(reason(&status).is_none(), "it is answered {status:?}"),
            Ok(_) => {}
        }
        assert!(Instant::now() < deadline, "it is not noticed");
    }
}

/// At the start; `read_only.rs` is about a disk that changes under a running server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_is_reported_at_startup() {
    let _turn = turn().await;
    let mut cluster = Cluster::prepare(1, None, CONFIG, |_| Vec::new()).await;
    let Some(disk) = SmallDisk::at(&cluster.data()) else { return };
    cluster.replicas[0].server.start();
    cluster.all_ready().await;
    cluster.connect();
    cluster.set_issuers().await;
    let mut caller = cluster.caller("before", 0);
    let created = caller.create_certificate(request("before", "", "Self")).await.unwrap().operation.unwrap();
    ends_completed(&mut caller, "before", &created.request_id, Duration::from_secs(120)).await;
    let server = &mut cluster.replicas[0].server;
    assert!(server.terminate().await.success());
    disk.writable(false);
    server.start();
    let deadline = Instant::now() + Duration::from_secs(120);
    let how = loop {
        if let Some(how) = server.ended() {
            break how;
        }
        assert!(Instant::now() < deadline, "it does not end, and cannot work:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let log = server.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(!how.success() && last.starts_with("error: ") && last.to_lowercase().contains("read"), "{how}: {log}");
    assert!(last.contains("certmint.db"), "it does not say which file: {last}");
    server.kill9();
    disk.writable(true);
    server.start();
    cluster.all_ready().await;
    let mut caller = cluster.caller("after", 0);
    ends_completed(&mut caller, "before", &created.request_id, Duration::from_secs(120)).await;
    undamaged(&cluster.data());
}
