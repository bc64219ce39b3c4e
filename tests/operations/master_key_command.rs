//! Master keys whose line is a command: the server waits for it, says so, and keeps what it printed to itself.

use crate::clients::{create, grpc, rest, until};
use crate::ports::free_port;
use crate::server::{ALICE, Place, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn write_keys(place: &Place, text: &str) {
    let path = place.file("master.key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The body of `/readyz` of a server that has said nothing yet; empty where nobody answers.
async fn readiness(port: u16) -> String {
    let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", port)).await else { return String::new() };
    let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let (mut answer, sent) = (String::new(), tcp.write_all(request.as_bytes()).await);
    let read = tcp.read_to_string(&mut answer).await;
    if sent.is_ok() && read.is_ok() { answer } else { String::new() }
}

#[tokio::test]
async fn a_server_waits_for_the_command_of_a_key_and_says_for_which() {
    let place = Place::new("");
    let (source, keys) = (place.file("source"), place.file("master.key"));
    place.configure(&format!("[keys]\nmaster_key_file = '{}'\n", keys.display()));
    write_keys(&place, &format!("hsm exec:/bin/cat {}\n", source.display()));
    let port = free_port();
    let mut command = place.command();
    command.arg("--admin-listen").arg(format!("127.0.0.1:{port}"));
    let log = place.file("log");
    let starting = std::thread::spawn(move || Server::start(command, log));
    until("the server says what it waits for", async || {
        let answer = readiness(port).await;
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("the command of the master key hsm (/bin/cat) failed")
    })
    .await;
    assert!(!starting.is_finished());
    fs::write(&source, format!("{KEY}\n")).unwrap();
    let server = tokio::task::spawn_blocking(|| starting.join().unwrap()).await.unwrap();
    until("the server is ready", async || readiness(port).await.starts_with("HTTP/1.1 200 ")).await;
    grpc(&server, &place, Some(ALICE)).await.create_certificate(create("web")).await.unwrap();
    let secret = async |server: &Server| {
        let answer = rest(server, &place, Some(ALICE), "GET", "/secrets/web?api-version=7.4", "").await;
        answer.starts_with("HTTP/1.1 200 ")
    };
    until("the certificate is issued", async || secret(&server).await).await;
    let log = server.log();
    assert!(log.contains("the server is not ready until it succeeds") && !log.contains(KEY), "{log}");
    let mut server = server;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(0));

    // It is the same key that a line without a command has, and the command is run for the look at the store as well.
    let doctor = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        let output = command.args(["doctor", "--store", "--config"]).arg(place.file("certmint.toml")).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = doctor();
    assert!(code == Some(0) && text.contains("records, 0 findings\n"), "{text}");
    fs::remove_file(&source).unwrap();
    let (code, text) = doctor();
    assert!(code == Some(1) && text.contains("the command of the master key hsm (/bin/cat) failed"), "{text}");
    write_keys(&place, &format!("hsm {KEY}\n"));
    let server = place.start();
    assert!(secret(&server).await);
}

/// The first process of a container is not ended by a signal that it does not take.
#[tokio::test]
async fn a_server_that_waits_for_a_key_takes_the_signal_to_stop() {
    let place = Place::new("");
    let keys = place.file("master.key");
    place.configure(&format!("[keys]\nmaster_key_file = '{}'\n", keys.display()));
    write_keys(&place, "hsm exec:/bin/false\n");
    let port = free_port();
    let mut command = tokio::process::Command::from(place.command());
    command.arg("--admin-listen").arg(format!("127.0.0.1:{port}")).kill_on_drop(true);
    let mut server = command.spawn().unwrap();
    until("the server waits", async || readiness(port).await.contains("the master key hsm")).await;
    let id = i32::try_from(server.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), server.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
