//! `certmint doctor`.

use crate::fake::Fake;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn checks(value: &Value) -> Vec<(&str, bool)> {
    let checks = value["checks"].as_array().unwrap();
    checks.iter().map(|check| (check["name"].as_str().unwrap(), check["ok"].as_bool().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_well_passes_every_check() {
    let fake = Fake::start().await;
    let ended = fake.run(&["doctor", "--output", "json"]).await;
    let value = ended.json();
    let names = ["trusted authorities", "address", "TLS", "health", "contract", "identity", "master keys", "clock"];
    assert_eq!((ended.code, checks(&value)), (0, names.map(|name| (name, true)).to_vec()), "{value:#}");
    assert!(value["checks"][2]["detail"].as_str().unwrap().contains("localhost, 127.0.0.1"), "{value:#}");
    assert_eq!(value["checks"][5]["detail"], "token:ann: certmint Watcher on vault default", "{value:#}");
    assert!(value["checks"][4]["detail"].as_str().unwrap().contains("the same 95 methods"), "{value:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_and_an_open_folder_are_found() {
    let fake = Fake::start().await;
    fake.part().clock_skew = -600;
    let folder = fake.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join("master.keys"), "").unwrap();
    fs::set_permissions(folder.join("master.keys"), Permissions::from_mode(0o644)).unwrap();
    let ended = fake.run(&["doctor", "--data-dir", folder.to_str().unwrap()]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let words = ended.out.split("fail  clock: the server is ").nth(1).unwrap_or_else(|| panic!("{}", ended.out));
    // The server reports whole seconds, so the skew may be up to one more; and a busy machine answers late.
    let seen: f64 = words.split(' ').next().unwrap().parse().unwrap();
    assert!((590.0..=602.0).contains(&seen) && words.contains("s behind"), "{}", ended.out);
    assert!(ended.out.contains("what to do: chmod go-rwx "), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_not_trusted_ends_the_checks() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = fake.run(&["doctor", "--output", "json", "--server", &format!("https://{free}")]).await;
    assert_eq!((nobody.code, checks(&nobody.json())), (7, vec![("trusted authorities", true), ("address", false)]));
    let ca = other.ca();
    let untrusted = fake.run(&["doctor", "--ca", ca.to_str().unwrap()]).await;
    assert_eq!(untrusted.code, 7);
    assert!(untrusted.out.contains("fail  TLS: ") && untrusted.out.contains("--ca FILE"), "{}", untrusted.out);
    let address = fake.url.replace("localhost", "127.0.0.2");
    let wrong_name = fake.run(&["doctor", "--server", &address]).await;
    assert!(wrong_name.code == 7 && wrong_name.out.contains("fail"), "{}", wrong_name.out);
}
