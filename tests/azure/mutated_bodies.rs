//! Good bodies of requests, changed at random: no 500, no panic, no hang.

use crate::client::Client;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::{Duration, Instant};

/// Requests with bodies that are good as they are; the first of a name makes what the others use.
fn seeds() -> Vec<(&'static str, String)> {
    let pem = include_str!("../data/seeds/plain.pem");
    let import = serde_json::json!({"value": pem, "pwd": "", "policy": {"key_props": {"exportable": true},
        "secret_props": {"contentType": "application/x-pem-file"}, "issuer": {"name": "Unknown"}},
        "attributes": {"enabled": true}, "tags": {"a": "b"}, "preserveCertOrder": true});
    let digest = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    vec![
        ("POST /certificates/imported/import", import.to_string()),
        ("POST /keys/imported//sign", format!(r#"{{"alg":"ES256","value":"{digest}"}}"#)),
        ("POST /keys/imported/verify", format!(r#"{{"alg":"ES256","digest":"{digest}","value":"{digest}{digest}"}}"#)),
        ("POST /keys/imported/decrypt", format!(r#"{{"alg":"RSA-OAEP","value":"{digest}"}}"#)),
        (
            "POST /certificates/created/create",
            r#"{"policy":{"key_props":{"kty":"EC","crv":"P-256"},"x509_props":{"subject":"CN=a, O=b","sans":{"dns_names":["a.example"]},"ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["digitalSignature"],"validity_months":3},"lifetime_actions":[{"trigger":{"days_before_expiry":10},"action":{"action_type":"AutoRenew"}}],"issuer":{"name":"Unknown"}},"tags":{"a":"b"}}"#
                .to_owned(),
        ),
        ("POST /certificates/created/pending/merge", serde_json::json!({"x5c": [pem]}).to_string()),
        ("PATCH /certificates/created/pending", r#"{"cancellation_requested":true}"#.to_owned()),
        ("PUT /certificates/issuers/made", r#"{"provider":"Test","credentials":{"account_id":"a","pwd":"p"}}"#.to_owned()),
    ]
}

const PIECES: [&str; 12] =
    ["{", "}", "[", "]", "\"", "null", "1e999", "-1", "\\u0000", ":", ",", "{\"value\":[[[[[[[["];

#[test]
fn changed_bodies_are_answered_and_never_by_500() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let client = runtime.block_on(Client::start());
    for (request, body) in seeds() {
        let reply = runtime.block_on(client.send(request, &body));
        assert!(reply.status < 500, "{request}: {} {}", reply.status, reply.body);
    }
    let change = (any::<prop::sample::Index>(), 0_usize..40, prop::sample::select(&PIECES[..]));
    let cases = (0_usize..seeds().len(), prop::collection::vec(change, 1..4));
    let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&cases, |(seed, changes)| {
        let (request, body) = seeds().swap_remove(seed);
        let mut body: Vec<char> = body.chars().collect();
        for (at, length, piece) in changes {
            let start = at.index(body.len() + 1);
            let end = (start + length).min(body.len());
            body.splice(start..end, piece.chars());
        }
        let body: String = body.into_iter().collect();
        let begun = Instant::now();
        let reply = runtime.block_on(client.send(request, &body));
        prop_assert!(reply.status < 500, "{request} {body}: {} {}", reply.status, reply.body);
        prop_assert!(begun.elapsed() < Duration::from_secs(10), "{request} {body}");
        Ok(())
    });
    outcome.unwrap();
}
