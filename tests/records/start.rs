//! What the binary does with a store before it serves.

use crate::records::place::{A, Place};
use certmint::service::record_body;
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on the embedded store; killed when it is dropped.
struct Server(Child);

impl Server {
    fn start(place: &Place) -> Self {
        place.write_master_key();
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(place.folder.path());
        command.env_remove("CERTMINT_MASTER_KEYS").stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// Waits until it is so; the bound is one that only a hang reaches.
fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_folder_of_an_earlier_version_is_taken_over() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let _server = Server::start(&place);
    until("the store is not marked", || place.keys("meta/") == ["meta/authenticated"]);
    for key in place.keys("") {
        assert!(place.body(&key).contains(r#""mac":"k1:"#), "{key}");
    }
}

#[tokio::test]
async fn an_interrupted_purge_is_finished_at_once() {
    let place = Place::new();
    place.filled().await;
    let sealer = Place::sealer();
    let mut entry: serde_json::Value = serde_json::from_str(&place.body("certificates/team-a/gone")).unwrap();
    entry["value"]["state"] = "Leaving".into();
    let key = "leaving/team-a/gone";
    for (key, value) in [("certificates/team-a/gone", &entry["value"]), (key, &json!({"vault": A, "name": "gone"}))] {
        place.write(key, std::str::from_utf8(&record_body(&sealer, key, value)).unwrap());
    }
    // In a hundred years: nothing but the start makes it due.
    place.sql(&format!("UPDATE records SET due = 4900000000000 WHERE key = '{key}'"));
    let _server = Server::start(&place);
    until("the purge is not finished", || {
        place.keys("leaving/").is_empty() && place.keys("versions/team-a/gone/").is_empty()
    });
}
