//! What was sealed is in no file of the data folder any more when it was purged, replaced or cancelled: certificates
//! with keys of several kinds, passwords of issuers, authorities, operations that ended one way or the other.

use crate::clients::rest;
use crate::server::{ALICE, Place, Server};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

struct Operator<'a> {
    place: &'a Place,
    server: Server,
    /// Every sealed value that was ever seen in the store.
    sealed: BTreeSet<String>,
}

impl Operator<'_> {
    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("{path}?api-version=7.4");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = rest(&self.server, self.place, Some(ALICE), method, &path, &body).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn done(&mut self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        self.look();
        answer
    }

    /// Reads what is sealed in the records, as an operator may.
    fn look(&mut self) {
        let store = rusqlite::Connection::open(self.place.file("data/certmint.db")).unwrap();
        let mut statement = store.prepare("SELECT body FROM records").unwrap();
        let bodies = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        for body in bodies {
            gather(&serde_json::from_str(&body.unwrap()).unwrap(), false, &mut self.sealed);
        }
    }

    /// A retired CA keeps its key until the last certificate that it signed has expired (decision 22), and the ledger the
    /// key of its checkpoints.
    fn forget_what_stays(&mut self) {
        let store = rusqlite::Connection::open(self.place.file("data/certmint.db")).unwrap();
        let query = "SELECT body FROM records WHERE key LIKE 'authorities/%' OR key LIKE 'audit-keys/%'";
        let mut statement = store.prepare(query).unwrap();
        let bodies = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut kept = BTreeSet::new();
        for body in bodies {
            gather(&serde_json::from_str(&body.unwrap()).unwrap(), false, &mut kept);
        }
        assert_eq!(kept.len(), 3, "one for each issuer, and that of the ledger");
        self.sealed.retain(|sealed| !kept.contains(sealed));
    }

    async fn until(&mut self, path: &str, member: &str, value: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, answer) = self.call("GET", path, &Value::Null).await;
            self.look();
            if answer[member] == value {
                return;
            }
            assert!(Instant::now() < end, "{path} does not come to {value}: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn purge(&mut self, name: &str) {
        self.done("DELETE", &format!("/certificates/{name}"), Value::Null).await;
        self.done("DELETE", &format!("/deletedcertificates/{name}"), Value::Null).await;
    }
}

/// The texts of members that are called sealed.
fn gather(value: &Value, of_sealed: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if of_sealed && text.len() > 40 => {
            found.insert(text.clone());
        }
        Value::Array(all) => all.iter().for_each(|one| gather(one, of_sealed, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, one)| gather(one, of_sealed || name.contains("sealed"), found))
        }
        _ => {}
    }
}

fn policy(issuer: &str, key: Value) -> Value {
    json!({"policy": {"key_props": key, "x509_props": {"subject": "CN=a.example"}, "issuer": {"name": issuer}}})
}

/// A life of everything that is sealed, at the end of which none of it is left in use.
async fn live_and_die(operator: &mut Operator<'_>) {
    operator.done("PUT", "/certificates/issuers/ca", json!({"provider": "LocalCA"})).await;
    for password in ["the first password", "the second password"] {
        let body = json!({"provider": "LocalCA", "credentials": {"account_id": "intermediate", "pwd": password}});
        operator.done("PUT", "/certificates/issuers/with-password", body).await;
    }
    let keys = [
        ("p256", "Self", json!({"kty": "EC", "crv": "P-256"})),
        ("p521", "ca", json!({"kty": "EC", "crv": "P-521", "exportable": false})),
        ("p256k", "Self", json!({"kty": "EC", "crv": "P-256K"})),
        ("rsa", "with-password", json!({"kty": "RSA", "key_size": 2048})),
    ];
    for (name, issuer, key) in &keys {
        for _version in 0..2 {
            operator.done("POST", &format!("/certificates/{name}/create"), policy(issuer, key.clone())).await;
            operator.until(&format!("/certificates/{name}/pending"), "status", "completed").await;
        }
    }
    let key = json!({"kty": "EC", "crv": "P-384"});
    for name in ["cancelled", "deleted", "waiting", "overwritten"] {
        operator.done("POST", &format!("/certificates/{name}/create"), policy("Unknown", key.clone())).await;
    }
    operator.done("PATCH", "/certificates/cancelled/pending", json!({"cancellation_requested": true})).await;
    operator.until("/certificates/cancelled/pending", "status", "cancelled").await;
    operator.done("POST", "/certificates/cancelled/create", policy("Self", key.clone())).await;
    operator.until("/certificates/cancelled/pending", "status", "completed").await;
    operator.done("DELETE", "/certificates/deleted/pending", Value::Null).await;
    operator.done("DELETE", "/certificates/overwritten/pending", Value::Null).await;
    operator.done("POST", "/certificates/overwritten/create", policy("Self", key)).await;
    operator.until("/certificates/overwritten/pending", "status", "completed").await;
    for name in ["p256", "p521", "p256k", "rsa", "cancelled", "waiting", "overwritten", "deleted"] {
        operator.purge(name).await;
    }
    for issuer in ["ca", "with-password"] {
        operator.done("DELETE", &format!("/certificates/issuers/{issuer}"), Value::Null).await;
    }
    operator.forget_what_stays();
    assert!(operator.sealed.len() >= 15, "only {} sealed values were seen", operator.sealed.len());
}

/// Which of the values stand in some file of the folder.
fn left_over(folder: &Path, sealed: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let here = sealed.iter().filter(|value| text.contains(value.as_str()));
        found.extend(here.map(|value| format!("{:.20}… in {}", value, path.display())));
    }
    found
}

/// A sealed value that is in a record is found by the search, so that finding none means something.
fn the_search_works(operator: &Operator<'_>) {
    let one = operator.sealed.first().unwrap().clone();
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("x"), format!("\0\u{1}{one}\0")).unwrap();
    assert_eq!(left_over(place.path(), &operator.sealed).len(), 1);
}

#[tokio::test]
async fn nothing_sealed_is_left_of_what_was_purged_when_the_server_has_stopped() {
    let place = Place::new("");
    let mut operator = Operator { place: &place, server: place.start(), sealed: BTreeSet::new() };
    live_and_die(&mut operator).await;
    the_search_works(&operator);
    operator.server.signal(Signal::TERM);
    assert_eq!(operator.server.ended().await, Some(0));
    assert_eq!(left_over(&place.file("data"), &operator.sealed), [""; 0]);
}

#[tokio::test]
async fn nothing_sealed_is_left_of_what_was_purged_before_the_server_was_killed() {
    let place = Place::new("");
    let mut operator = Operator { place: &place, server: place.start(), sealed: BTreeSet::new() };
    live_and_die(&mut operator).await;
    operator.server.signal(Signal::KILL);
    operator.server.ended().await;
    operator.server = place.start();
    assert_eq!(left_over(&place.file("data"), &operator.sealed), [""; 0], "after the start");
    operator.server.signal(Signal::TERM);
    operator.server.ended().await;
    assert_eq!(left_over(&place.file("data"), &operator.sealed), [""; 0], "after the stop");
}
