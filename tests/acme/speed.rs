//! How long a thousand orders take beside a bare loop over an ACME library, which stores nothing (`benches/acme`).

use crate::peers::{Pebble, PebbleOptions};
use crate::service;
use certmint::outbound::Exchange;
use futures_util::stream::{self, StreamExt};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Orders at a time. pebble takes two of its locks in both orders, and comes to a standstill where many orders, challenges
/// and certificates cross.
const AT_ONCE: usize = 8;
/// Whatever takes longer than this for all its orders has got stuck.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn pebble() -> Pebble {
    Pebble::start(PebbleOptions { nonce_rejects: 5, ..Default::default() }).await
}

/// Seconds that the bare loop took.
async fn bare(count: usize) -> f64 {
    let pebble = pebble().await;
    let ca = pebble.folder.path().join("ca.pem");
    std::fs::write(&ca, &pebble.ca_pem).unwrap();
    let program = std::env::var("BARE_ACME").expect("make bench-acme builds it and says where it is");
    let mut command = tokio::process::Command::new(program);
    command.args([&pebble.directory, ca.to_str().unwrap(), &pebble.http_port.to_string()]);
    command.args([count.to_string(), AT_ONCE.to_string()]).kill_on_drop(true);
    // It says itself which order got stuck, and ends before.
    let output = timeout(PATIENCE, command.output()).await.expect("the bare loop got stuck").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

/// Seconds from the first request to the last completed certificate.
async fn ours(count: usize) -> f64 {
    let pebble = pebble().await;
    let server = service::start_with(&pebble, &format!("worker_concurrency = {AT_ONCE}")).await;
    assert!(server.set_issuer(&pebble, &[]).status.success(), "{}", server.log());
    let begun = Instant::now();
    let (server, client) = (&server, &server.client().unwrap());
    let creations = stream::iter(0..count).map(|number| async move {
        let policy = json!({
            "key_props": {"kty": "EC", "crv": "P-256"},
            "x509_props": {"subject": format!("CN=n{number}.example.com")},
            "issuer": {"name": "le"},
        });
        let body = json!({ "policy": policy });
        let create = server.request(Method::POST, &format!("/certificates/n{number}/create"), Some(&body));
        assert_eq!(client.exchange(create).await.unwrap().status, 202);
    });
    creations.buffer_unordered(16).collect::<Vec<()>>().await;
    for number in 0..count {
        loop {
            let look = server.request(Method::GET, &format!("/certificates/n{number}/pending"), None);
            let pending: Value = serde_json::from_slice(&client.exchange(look).await.unwrap().body).unwrap();
            match pending["status"].as_str() {
                Some("completed") => break,
                Some("inProgress") if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => panic!("order {number} of {count} is not completed: {pending}\n{}", server.log()),
            }
        }
    }
    begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: make bench-acme"]
async fn a_thousand_orders_beside_a_bare_loop() {
    let count = number("BENCH_ORDERS", 1_000);
    let (mut loops, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..number("BENCH_ROUNDS", 2) {
        loops.push(bare(count).await);
        servers.push(ours(count).await);
    }
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let (bare, ours) = (least(&loops), least(&servers));
    println!("{count} orders, {AT_ONCE} at a time, 5 % of nonces refused: bare loop {bare:.1} s, certmint {ours:.1} s");
    println!("certmint takes {:.2} times as long; all runs: {loops:.1?} and {servers:.1?}", ours / bare);
}
