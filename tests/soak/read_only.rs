//! A disk that may no longer be written to while the embedded store works on it: reads continue, nothing acknowledged
//! is lost, callers get errors, and the server recovers when writing is possible again.

use crate::client::reason;
use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, rounds, size};
use crate::disk::{refused, remove_left, undamaged};
use crate::harness::{Harness, turn};
use crate::load::request;
use crate::ports::free_port;
use crate::process::is_root;
use crate::replicas::ends_completed;
use certmint::proto::v1::GetPendingRequest;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A small ext4 in a file. It goes with this value.
struct Disk {
    folder: PathBuf,
    /// The loop device of the file.
    device: String,
}

impl Disk {
    /// None where this system does not let us; says why.
    fn at(folder: &Path) -> Option<Self> {
        if !is_root() {
            eprintln!("soak: skipped, because only root may mount a file system");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let image = folder.with_extension("img");
        let size = size(128, 512) << 20;
        fs::File::create(&image).unwrap().set_len(size as u64).unwrap();
        let made = said("losetup", &["--find", "--show", image.to_str().unwrap()]).and_then(|device| {
            let disk = Self { folder: folder.to_owned(), device };
            run("mkfs.ext4", &["-q", "-F", &disk.device])?;
            disk.mount()?;
            Ok(disk)
        });
        made.inspect_err(|problem| {
            eprintln!("soak: skipped, because an ext4 cannot be made and mounted here: {problem}");
        })
        .ok()
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "errors=remount-ro", &self.device, self.folder.to_str().unwrap()])
    }

    /// Nobody may write to what is there, nor make anything new; who has it open already neither. But for the index of
    /// the write-ahead log: that is memory, and a file system that turns read-only lets be written what is mapped.
    fn immutable(&self, yes: bool) -> Result<(), String> {
        let how = if yes { "+i" } else { "-i" };
        let mut paths = vec![self.folder.clone()];
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(files.filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm")));
        if yes {
            paths.reverse();
        }
        paths.iter().try_for_each(|path| run("chattr", &[how, path.to_str().unwrap()]))
    }

    /// An error of the file system, after which it is read-only until it was checked. Says why where it cannot be
    /// brought about.
    fn fail(&self) -> Result<(), String> {
        let device = self.device.trim_start_matches("/dev/");
        let switch = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(&switch, "1").map_err(|error| format!("{switch}: {error}"))
    }

    fn repair(&self) {
        run("umount", &[self.folder.to_str().unwrap()]).unwrap();
        // 1: errors were found, and are corrected.
        let checked = Command::new("e2fsck").args(["-fy", &self.device]).output().unwrap();
        assert!(checked.status.code() < Some(2), "{}", String::from_utf8_lossy(&checked.stdout));
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.immutable(false);
        // Lazily: the server may still be about to end.
        let _ = run("umount", &["-l", self.folder.to_str().unwrap()]);
        let _ = run("losetup", &["-d", &self.device]);
        remove_left(&self.folder);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    said(program, arguments).map(|_| ())
}

/// What the program says on its standard output.
fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let text = if output.status.success() { Ok(&output.stdout) } else { Err(&output.stderr) };
    let line = |text: &Vec<u8>| String::from_utf8_lossy(text).trim().to_owned();
    text.map(line).map_err(line)
}

/// A server on a disk of its own, and where its operators ask.
async fn on_a_disk() -> Option<(Cluster, Disk, u16)> {
    let admin = free_port();
    let config = format!("{CONFIG}[admin]\nlisten = \"127.0.0.1:{admin}\"\n");
    let mut cluster = Cluster::prepare(1, None, &config, |_| Vec::new()).await;
    let disk = Disk::at(&cluster.data())?;
    cluster.replicas[0].server.start();
    cluster.all_ready().await;
    cluster.connect();
    cluster.set_issuers().await;
    Some((cluster, disk, admin))
}

/// Status line and body of `/readyz`.
fn readyz(admin: u16) -> String {
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, admin)).unwrap();
    tcp.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

async fn until_ready(admin: u16) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !readyz(admin).starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "{}", readyz(admin));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Callers get their documented refusal, operators the cause; who reads is answered.
async fn everybody_is_told(harness: &Harness, admin: u16, round: u64, cause: &str) {
    let message = refused(harness, round).await;
    assert!(message.contains("temporarily unavailable"), "{message}");
    let log = harness.cluster.replicas[0].server.log();
    assert!(log.contains("cannot be written to: ") && log.contains(cause), "the log does not say {cause:?}:\n{log}");
    let readiness = readyz(admin);
    assert!(readiness.starts_with("HTTP/1.1 503") && readiness.contains(r#""reason":"store""#), "{readiness}");
    assert!(readiness.contains(cause), "{readiness}");
    let mut caller = harness.cluster.caller("reader", round);
    let expected = GetPendingRequest { certificate_name: "before".to_owned(), ..GetPendingRequest::default() };
    caller.get_pending(expected).await.unwrap();
    let expected = GetPendingRequest { certificate_name: "nobody".to_owned(), ..GetPendingRequest::default() };
    let status = caller.get_pending(expected).await.unwrap_err();
    assert_eq!(reason(&status).as_deref(), Some("PENDING_NOT_FOUND"));
}

async fn completes(harness: &Harness, name: &str) {
    let mut caller = harness.cluster.caller(name, 0);
    let created = caller.create_certificate(request(name, "", "Self")).await.unwrap().operation.unwrap();
    ends_completed(&mut caller, name, &created.request_id, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_is_reported_and_used_again_without_a_restart() {
    let turn = turn().await;
    let Some((cluster, disk, admin)) = on_a_disk().await else { return };
    if let Err(problem) = disk.immutable(true).and_then(|()| disk.immutable(false)) {
        eprintln!("soak: skipped, because files cannot be made immutable here: {problem}");
        return;
    }
    let mut harness = Harness::on(cluster, None, turn).await;
    completes(&harness, "before").await;
    let mut dice = Dice::of("read-only", 0);
    for round in 0..rounds(2) {
        harness.work(300 + dice.below(500)).await;
        disk.immutable(true).unwrap();
        everybody_is_told(&harness, admin, round, "Operation not permitted").await;
        harness.work(dice.below(2_000)).await;
        disk.immutable(false).unwrap();
        until_ready(admin).await;
        completes(&harness, &format!("again-{round}")).await;
        let server = &mut harness.cluster.replicas[0].server;
        assert!(server.ended().is_none(), "{}", server.log());
    }
    undamaged(&harness.cluster.data());
    harness.finish("a disk that turns read-only").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_fails_under_load_loses_nothing_that_was_acknowledged() {
    let turn = turn().await;
    let Some((cluster, disk, admin)) = on_a_disk().await else { return };
    let mut harness = Harness::on(cluster, None, turn).await;
    completes(&harness, "before").await;
    let mut dice = Dice::of("failing", 0);
    for round in 0..rounds(1) {
        harness.work(300 + dice.below(500)).await;
        // What is flushed in the very moment of the error Linux acknowledges now and then, and loses: the error strikes
        // when nothing is.
        let server = &harness.cluster.replicas[0].server;
        server.pause();
        server.until_paused().await;
        let failed = disk.fail();
        server.go_on();
        if let Err(problem) = failed {
            eprintln!("soak: skipped, because an error of the file system cannot be brought about here: {problem}");
            return;
        }
        everybody_is_told(&harness, admin, round, "Read-only file system").await;
        harness.work(dice.below(2_000)).await;
        // What the system has made read-only for good takes a check, and so a restart.
        let server = &mut harness.cluster.replicas[0].server;
        assert!(server.terminate().await.success(), "{}", server.log());
        disk.repair();
        harness.cluster.heal().await;
        until_ready(admin).await;
        completes(&harness, &format!("again-{round}")).await;
    }
    undamaged(&harness.cluster.data());
    harness.finish("a file system that fails").await;
}
