//! Good bodies of requests, changed at random: no 500, no panic, no hang. How bodies are read, without a server behind
//! it, is in `tests/parsers`.

use crate::client::Client;
use crate::{mutation, seeds};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::{Duration, Instant};

/// Requests, and the seeds that are good bodies of them; the first ones make what the others use.
const REQUESTS: [(&str, &str); 12] = [
    ("POST /certificates/imported/import", "import.json"),
    ("POST /keys/imported//sign", "sign.json"),
    ("POST /keys/imported/verify", "verify.json"),
    ("POST /keys/imported/decrypt", "decrypt.json"),
    ("POST /certificates/created/create", "create.json"),
    ("POST /certificates/created/pending/merge", "merge.json"),
    ("PATCH /certificates/created/pending", "cancel.json"),
    ("PATCH /certificates/imported", "update.json"),
    ("PATCH /certificates/imported/policy", "policy.json"),
    ("PUT /certificates/issuers/made", "issuer.json"),
    ("PUT /certificates/contacts", "contacts.json"),
    ("POST /certificates/restore", "sign.json"),
];

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let all = seeds::all("json");
    let body = |file: &str| all.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("{file}")).1.clone();
    REQUESTS.iter().map(|(request, file)| (*request, body(file))).collect()
}

#[test]
fn changed_bodies_are_answered_and_never_by_500() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let client = runtime.block_on(Client::start());
    let bodies = bodies();
    for (request, body) in &bodies {
        let reply = runtime.block_on(client.send(request, std::str::from_utf8(body).unwrap()));
        assert!(reply.status < 500, "{request}: {} {}", reply.status, reply.body);
    }
    let cases = (0..bodies.len(), mutation::changes());
    let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&cases, |(seed, changes)| {
        let (request, body) = bodies[seed].clone();
        let body = mutation::apply(body, &changes);
        let body = String::from_utf8_lossy(&body);
        let begun = Instant::now();
        let reply = runtime.block_on(client.send(request, &body));
        prop_assert!(reply.status < 500, "{request} {body}: {} {}", reply.status, reply.body);
        prop_assert!(begun.elapsed() < Duration::from_secs(120), "{request} {body}");
        Ok(())
    });
    outcome.unwrap();
}
