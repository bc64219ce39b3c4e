//! The operators' port: probes, metrics, and the command that asks it.

use crate::clients::{CREATE, admin, create, get, grpc, rest, until, watch};
use crate::server::{ALICE, Place, Server};
use std::process::Command;
use std::time::{Duration, Instant};

fn health(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_certmint")).arg("health").args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn probes_answer_and_the_command_tells_by_its_exit_code() {
    let place = Place::new("");
    let server = place.start();
    assert_eq!(admin(&server, "/livez").await, ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    until("ready", async || admin(&server, "/readyz").await.0 == "HTTP/1.1 200 OK").await;
    assert_eq!(admin(&server, "/readyz").await.1, r#"{"ready":true,"reasons":[]}"#);
    assert!(admin(&server, "/").await.0.contains("404"));
    let url = format!("http://{}", server.admin);
    assert_eq!(health(&["--admin", &url]), (Some(0), "alive\n".to_owned()));
    assert_eq!(health(&["--ready", "--admin", &url]), (Some(0), "ready\n".to_owned()));
    drop(server);
    let (code, message) = health(&["--admin", &url]);
    assert!(code == Some(1) && message.contains("no answer from"), "{message}");
}

#[tokio::test]
async fn the_port_can_be_moved_and_an_address_of_another_kind_is_refused() {
    let place = Place::new("");
    let mut command = place.command();
    command.args(["--admin-listen", "127.0.0.1:0"]);
    assert!(admin(&Server::start(command, place.file("log")), "/livez").await.0.contains("200"));
    let (code, message) = health(&["--admin", "https://127.0.0.1:1"]);
    assert!(code == Some(2) && message.contains("plain HTTP"), "{message}");
}

#[tokio::test]
async fn the_description_of_the_rest_api_is_served_to_operators_and_not_to_clients() {
    let place = Place::new("");
    let server = place.start();
    let (status, body) = admin(&server, "/openapi.json").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let served: serde_json::Value = serde_json::from_str(&body).unwrap();
    let written = include_str!("../../src/transport/rest/openapi.json");
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(written).unwrap());
    assert_eq!(served["openapi"], "3.1.0");
    let path = "/openapi.json?api-version=7.4";
    assert!(get(&server, &place, Some(ALICE), path).await.starts_with("HTTP/1.1 404"));
}

/// The value of a sample, by its name and labels.
fn sample(text: &str, name: &str) -> f64 {
    found(text, name).unwrap_or_else(|| panic!("{name} is missing:\n{text}"))
}

fn found(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

#[tokio::test]
async fn as_many_keys_are_made_ahead_as_the_configuration_says() {
    let place = Place::new("[keys]\nready_rsa_2048 = 1\nready_rsa_3072 = 2");
    let server = place.start();
    let ready = async || {
        let text = admin(&server, "/metrics").await.1;
        // The port is open a moment before the keys are counted.
        ["RSA-2048", "RSA-3072", "RSA-4096"].map(|key| found(&text, &format!("certmint_ready_keys{{key=\"{key}\"}}")))
    };
    let expected = [1.0, 2.0, 0.0].map(Some);
    until("three keys", async || ready().await == expected).await;
    // No more are made than there is room for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ready().await, expected);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let place = Place::new("");
    let server = place.start();
    let mut client = grpc(&server, &place, Some(ALICE)).await;
    let (mut stream, _) = watch(&mut client, "").await.unwrap();
    rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    client.create_certificate(create("api")).await.unwrap();
    let manual = CREATE.replace("Self", "Unknown");
    rest(&server, &place, Some(ALICE), "POST", "/certificates/mail/create?api-version=7.4", &manual).await;
    get(&server, &place, None, "/certificates/web?api-version=7.4").await;
    get(&server, &place, Some(ALICE), "/certificates/a/b/c/d?api-version=7.4").await;
    // Three that are created and two that complete.
    for _ in 0..5 {
        tokio::time::timeout(Duration::from_secs(120), stream.message()).await.unwrap().unwrap().unwrap();
    }
    let create = r#"method="POST",route="/certificates/{certificate_name}/create""#;
    let expected = [
        (r#"certmint_operation_transitions_total{issuer="Self",transition="created"}"#, 2.0),
        (r#"certmint_operation_transitions_total{issuer="Self",transition="completed"}"#, 2.0),
        (r#"certmint_operations_in_progress{issuer="Unknown"}"#, 1.0),
        (r#"certmint_operations_in_progress{issuer="Self"}"#, 0.0),
        (&format!(r#"certmint_http_requests_total{{{create},status="202"}}"#), 2.0),
        (&format!("certmint_http_request_duration_seconds_count{{{create}}}"), 2.0),
        (r#"certmint_http_requests_total{method="GET",route="none",status="401"}"#, 1.0),
        (r#"certmint_http_requests_total{method="GET",route="none",status="404"}"#, 1.0),
        (r#"certmint_grpc_requests_total{method="certmint.v1.CertificateService/CreateCertificate",code="OK"}"#, 1.0),
        (r#"certmint_grpc_requests_total{method="certmint.v1.CertificateService/WatchPending",code="OK"}"#, 1.0),
        (r#"certmint_unauthenticated_requests_total{api="rest"}"#, 1.0),
        (r#"certmint_issuer_call_duration_seconds_count{provider="Self",outcome="issued"}"#, 2.0),
        (r#"certmint_key_jobs{state="waiting"}"#, 0.0),
        ("certmint_watch_streams", 1.0),
        ("certmint_watch_events_delivered_total", 5.0),
        ("certmint_watch_event_age_seconds_count", 5.0),
        ("certmint_watch_tail_lag_seconds", 0.0),
        ("certmint_worker_saturated", 0.0),
        ("certmint_worker_steps_running", 0.0),
    ];
    let revisions =
        |text: &str| ["certmint_watch_tail_revision", "certmint_store_head_revision"].map(|name| sample(text, name));
    // What is counted may be so a moment after the client has seen it, and a span of the worker ends after its commit.
    let begun = Instant::now();
    let text = loop {
        let text = admin(&server, "/metrics").await.1;
        let wrong = expected.iter().find(|(name, value)| found(&text, name) != Some(*value));
        let [tail, head] = revisions(&text);
        if wrong.is_none() && tail == head {
            break text;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{wrong:?}, tail {tail}, head {head}\n{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(sample(&text, r#"certmint_store_call_duration_seconds_count{call="commit",outcome="ok"}"#) >= 5.0);
    assert!(sample(&text, "certmint_connections_accepted_total") >= 5.0);
    assert!(sample(&text, "process_resident_memory_bytes") > 1e6);
    assert!(sample(&text, "certmint_tls_certificate_not_after_timestamp_seconds") > 1.7e9);
    assert!(revisions(&text)[0] >= 5.0, "{text}");
    // Texts of callers are nowhere.
    assert!(!text.contains("mail") && !text.contains("/a/b/c/d"), "{text}");
}

#[tokio::test]
async fn a_restart_still_knows_what_is_in_progress() {
    let place = Place::new("");
    let manual = CREATE.replace("Self", "Unknown");
    {
        let server = place.start();
        for name in ["one", "two"] {
            let path = format!("/certificates/{name}/create?api-version=7.4");
            rest(&server, &place, Some(ALICE), "POST", &path, &manual).await;
        }
        rest(&server, &place, Some(ALICE), "DELETE", "/certificates/two/pending?api-version=7.4", "").await;
    }
    let server = place.start();
    until("the older log is counted", async || {
        admin(&server, "/metrics").await.1.contains("certmint_operations_in_progress{issuer=\"Unknown\"} 1\n")
    })
    .await;
    let text = admin(&server, "/metrics").await.1;
    assert!(!text.contains("certmint_operation_transitions_total{"), "what happened before is not counted again");
}

#[test]
fn every_metric_that_the_documents_name_exists() {
    let metrics = certmint::metrics::Metrics::new();
    let (get, now) = (http::Method::GET, Duration::ZERO);
    metrics.http(&get, "none", http::StatusCode::OK, now);
    metrics.grpc("unknown", "OK", Some(now));
    metrics.unauthenticated("rest");
    metrics.store("get", "ok", now);
    metrics.issuer("Self", "issued", now);
    metrics.set_issuers(&[("ACME", (1, 0))].into());
    metrics.watch_ended("OK");
    metrics.reloaded("tls", true);
    metrics.set_port(certmint::metrics::Port::default());
    metrics.set_keys(certmint::metrics::KeyQueue::default());
    let seen = certmint::metrics::Seen { id: 1, issuer: "Self", transition: "created", open: true };
    metrics.operations.seen(seen);
    metrics.set_refused(1, 1, [("creations", 1)]);
    metrics.set_issuers_of_tokens(&[certmint::metrics::IssuerKeys::default()], &[("corp", "audience", 1)]);
    metrics.set_client_certificates(&[("spiffe:corp.example".to_owned(), "accepted", 1)]);
    metrics.operations.ca("issued");
    metrics.operations.authorities.set(&[certmint::metrics::AuthorityLevel {
        state: "active",
        not_after: Some(1),
        lists: Some(certmint::metrics::ListsLevel::default()),
        responder_not_after: Some(1),
        ..Default::default()
    }]);
    let mut survey = certmint::metrics::Survey::default();
    survey.count("default", "Self", 0);
    metrics.operations.renewals.set(survey);
    metrics.operations.renewals.count("begun", "lifetime");
    let master_keys = certmint::metrics::MasterKeyLevel { records: vec![("k1".into(), 1)], ..Default::default() };
    metrics.operations.master_keys.set(&master_keys);
    metrics.operations.webhooks.sent("taken", Duration::ZERO);
    metrics.operations.published("crl", 200);
    metrics.operations.ocsp("good");
    let text = metrics.text();
    let page = include_str!("../../docs/operations.md");
    // The roles of a database have names like these.
    let (before, rest) = page.split_once("## The PostgreSQL store").unwrap();
    let page = [before, rest.split_once("\n## ").unwrap().1].concat();
    let words = page.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let named: std::collections::BTreeSet<&str> = words
        .filter(|word| word.starts_with("certmint_") || word.starts_with("process_"))
        .filter(|word| !word.ends_with('_'))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        let exists = |name: &str| text.contains(&format!("# TYPE {name} "));
        let family = ["_total", "_count", "_bucket", "_info"].iter().find_map(|end| name.strip_suffix(end));
        assert!(exists(name) || family.is_some_and(exists), "{name}");
    }
}

#[tokio::test]
async fn silent_connections_keep_no_probe_out() {
    let place = Place::new("");
    let server = place.start();
    let mut silent = Vec::new();
    for _ in 0..70 {
        let mut tcp = tokio::net::TcpStream::connect(server.admin).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"GET /livez HTTP/1.1\r\n").await.unwrap();
        silent.push(tcp);
    }
    let probe = tokio::time::timeout(Duration::from_secs(120), admin(&server, "/livez"));
    assert!(probe.await.expect("no answer").0.contains("200"));
    drop(silent);
}
