//! A rotation of master keys from its first line to the day on which the old key is gone, with the program and its command
//! line: over kill -9 in the middle of it, and with two replicas that write meanwhile.

use crate::clients::{admin, create, grpc, rest, until};
use crate::postgres::Postgres;
use crate::server::{ALICE, BOB, Place, Server};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const OLD: &str = "old AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "new AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// Creations at the beginning: their records are some passes of a second.
const CERTIFICATES: usize = 40;

fn write_keys(place: &Place, lines: &[&str]) {
    let path = place.file("master.key");
    fs::write(&path, lines.join("\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A place with a file of master keys; `store` are more settings.
fn place(store: &str, rate: u32, lines: &[&str]) -> Place {
    let place = Place::new("");
    let file = place.file("master.key");
    place.configure(&format!(
        "{store}[keys]\nmaster_key_file = '{}'\nreseal_rate = {rate}\n[access]\nadministrators = ['token:alice']\n",
        file.display()
    ));
    write_keys(&place, lines);
    place
}

/// The exit code, the result, and what was said beside it.
fn cli(server: &Server, place: &Place, token: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
    command.args(["--server", &format!("https://localhost:{}", server.address.port())]);
    command.arg("--ca").arg(place.file("tls.crt")).env("CERTMINT_TOKEN", token);
    let output = command.args(["--output", "json"]).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), said)
}

fn status(server: &Server, place: &Place) -> Value {
    let (code, answer, said) = cli(server, place, ALICE, &["keys", "status"]);
    assert_eq!(code, Some(0), "{said}");
    answer["master_keys"].clone()
}

/// How many records need the key of this id, as of the last count.
fn needs(status: &Value, id: &str) -> Option<i64> {
    let keys = status["keys"].as_array().unwrap();
    keys.iter().find(|key| key["id"] == id).and_then(|key| key["records"].as_i64())
}

async fn secret(server: &Server, place: &Place, name: &str) -> bool {
    let path = format!("/secrets/{name}?api-version=7.4");
    rest(server, place, Some(ALICE), "GET", &path, "").await.starts_with("HTTP/1.1 200 ")
}

async fn issue(server: &Server, place: &Place, names: &[String]) {
    let mut client = grpc(server, place, Some(ALICE)).await;
    for name in names {
        client.create_certificate(create(name)).await.unwrap();
    }
    for name in names {
        until(name, async || secret(server, place, name).await).await;
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

fn doctor(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
    command.args(["doctor", "--store", "--config"]).arg(place.file("certmint.toml")).args(arguments);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn stop(mut server: Server) {
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn a_key_is_left_behind_over_kill_9_while_callers_go_on() {
    let place = place("", 100, &[OLD]);
    let before = names("before", CERTIFICATES);
    {
        let server = place.start();
        issue(&server, &place, &before).await;
        stop(server).await;
    }
    write_keys(&place, &[OLD, NEW]);
    let server = place.start();
    let (code, _, said) = cli(&server, &place, BOB, &["reseal"]);
    assert!(code == Some(1) && said.contains("certmint/masterkeys/write"), "{code:?} {said}");
    let (code, begun, said) = cli(&server, &place, ALICE, &["reseal"]);
    assert_eq!((code, &begun["master_keys"]["reseal"]["principal"]), (Some(0), &Value::from("token:alice")), "{said}");
    until("some records were looked at", async || {
        status(&server, &place)["reseal"]["looked_at"].as_i64().is_some_and(|looked| looked > 0)
    })
    .await;
    let work = status(&server, &place)["reseal"].clone();
    server.signal(Signal::KILL);
    let mut killed = server;
    // The next one needs its lock.
    assert_eq!(killed.ended().await, None);
    assert_eq!(work["state"], "RUNNING", "too quick to be killed in the middle: {work}");

    let server = place.start();
    assert_eq!(status(&server, &place)["reseal"]["begin_time"], work["begin_time"], "it goes on by itself");
    let meanwhile = names("meanwhile", 10);
    issue(&server, &place, &meanwhile).await;
    let (code, ended, said) = cli(&server, &place, ALICE, &["--timeout", "300s", "reseal", "--wait"]);
    assert_eq!((code, &ended["master_keys"]["reseal"]["state"]), (Some(0), &Value::from("DONE")), "{said} {ended}");
    assert_eq!(needs(&ended["master_keys"], "old"), Some(0), "{ended}");
    assert!(needs(&ended["master_keys"], "new").is_some_and(|count| count > CERTIFICATES as i64 * 3), "{ended}");
    let (code, checks, _) = cli(&server, &place, ALICE, &["doctor"]);
    let checks = checks["checks"].as_array().unwrap().clone();
    let found = checks.iter().find(|check| check["name"] == "master keys").unwrap()["detail"].clone();
    assert!(code == Some(0) && found.as_str().unwrap().contains("no record needs old"), "{found}");
    stop(server).await;
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(0) && text.contains("note  master key old: no record needs it"), "{text}");

    write_keys(&place, &[NEW]);
    let server = place.start();
    for name in before.iter().chain(&meanwhile) {
        assert!(secret(&server, &place, name).await, "{name}");
    }
    issue(&server, &place, &names("after", 1)).await;
    // A reader of the metrics waits for a look of the server, which has one at its start.
    until("the metric of the last count", async || {
        admin(&server, "/metrics").await.1.contains("certmint_sealed_records{master_key=\"new\"} ")
    })
    .await;
    stop(server).await;
    let (code, text) = doctor(&place, &[]);
    assert!(code == Some(0) && text.contains("records, 0 findings\n"), "{text}");
    let log = fs::read_to_string(place.file("log")).unwrap();
    assert!(!log.contains(OLD.split(' ').nth(1).unwrap()) && !log.contains(NEW.split(' ').nth(1).unwrap()));
}

#[tokio::test]
async fn replicas_rotate_together_and_a_reseal_waits_until_each_of_them_can_follow() {
    let postgres = Postgres::start();
    let store = format!("[store]\nurl = '{}'\n", postgres.fresh().await);
    let (one, two) = (place(&store, 400, &[OLD]), place(&store, 400, &[OLD]));
    let (first, second) = (one.start(), two.start());
    issue(&first, &one, &names("before", 10)).await;
    until("both replicas are known", async || {
        status(&first, &one)["replicas"].as_array().is_some_and(|replicas| replicas.len() == 2)
    })
    .await;
    stop(first).await;
    // What the documentation forbids: the new key is used before every replica has it.
    write_keys(&one, &[OLD, NEW]);
    let first = one.start();
    until("the new start is known, and the other replica", async || {
        status(&first, &one)["replicas"].as_array().is_some_and(|replicas| replicas.len() == 2)
    })
    .await;
    let (code, _, said) = cli(&first, &one, ALICE, &["reseal"]);
    assert!(code == Some(4) && said.contains("does not have the master key new"), "{code:?} {said}");
    stop(second).await;
    write_keys(&two, &[NEW, OLD]);
    let second = two.start();
    until("the second replica is known again", async || {
        status(&first, &one)["replicas"].as_array().is_some_and(|replicas| replicas.len() == 2)
    })
    .await;
    let (code, _, said) = cli(&first, &one, ALICE, &["reseal"]);
    assert!(code == Some(4) && said.contains("still writes with another master key than new"), "{code:?} {said}");
    stop(second).await;
    write_keys(&two, &[OLD, NEW]);
    let second = two.start();
    until("the second replica is known with the new key", async || {
        let status = status(&first, &one);
        let replicas = status["replicas"].as_array().unwrap().clone();
        replicas.len() == 2 && replicas.iter().all(|replica| replica["master_key_ids"][1] == "new")
    })
    .await;
    let (code, _, said) = cli(&second, &two, ALICE, &["reseal"]);
    assert_eq!(code, Some(0), "{said}");
    let (here, there) = (names("here", 15), names("there", 15));
    tokio::join!(issue(&first, &one, &here), issue(&second, &two, &there));
    let (code, ended, said) = cli(&first, &one, ALICE, &["--timeout", "300s", "reseal", "--wait"]);
    assert_eq!((code, needs(&ended["master_keys"], "old")), (Some(0), Some(0)), "{said} {ended}");
    stop(first).await;
    stop(second).await;
    write_keys(&one, &[NEW]);
    let server = one.start();
    for name in names("before", 10).iter().chain(&here).chain(&there) {
        assert!(secret(&server, &one, name).await, "{name}");
    }
    stop(server).await;
    let (code, text) = doctor(&one, &[]);
    assert!(code == Some(0) && text.contains("records, 0 findings\n"), "{text}");
}
