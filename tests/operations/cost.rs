//! Memory that callers who do not read can cost the program, for every kind of response: without credentials, and with
//! a token. Others are answered meanwhile.

use crate::clients::{CREATE, admin, connect_h2, get, rest, until};
use crate::server::{ALICE, BOB, Place, Server};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
const LONG: Duration = Duration::from_secs(120);

/// A client that never lets an answer send a byte of its body.
async fn shut(server: &Server, place: &Place) -> SendRequest<Bytes> {
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    connect_h2(server.address, place, &builder).await
}

fn request(kind: &str, token: Option<&str>) -> (Request<()>, Option<Bytes>) {
    let reflection = "https://localhost/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let (builder, body) = match kind {
        "reflection" => {
            // file_containing_symbol: certmint.v1.CertificateService, again and again.
            let symbol = b"certmint.v1.CertificateService";
            let mut message = vec![0, 0, 0, 0, symbol.len() as u8 + 2, 0x22, symbol.len() as u8];
            message.extend_from_slice(symbol);
            (Request::post(reflection).header("content-type", "application/grpc"), Some(message.repeat(8)))
        }
        "health" => (
            Request::post("https://localhost/grpc.health.v1.Health/Watch").header("content-type", "application/grpc"),
            Some(vec![0; 5]),
        ),
        "call" => (
            Request::post("https://localhost/certmint.v1.CertificateService/ListCertificates")
                .header("content-type", "application/grpc"),
            Some(vec![0; 5]),
        ),
        "upload" => (Request::post("https://localhost/certificates/x/create"), Some(vec![b' '; 60_000])),
        path => (Request::get(format!("https://localhost{path}")), None),
    };
    let builder = match token {
        Some(token) => builder.header("authorization", format!("Bearer {token}")),
        None => builder,
    };
    (builder.body(()).unwrap(), body.map(Bytes::from))
}

/// Sends a request whose body, where it has one, does not end.
async fn send(
    to: &SendRequest<Bytes>,
    kind: &str,
    token: Option<&str>,
) -> (ResponseFuture, Option<h2::SendStream<Bytes>>) {
    let (request, body) = request(kind, token);
    let mut sender = to.clone().ready().await.unwrap();
    let (answer, mut stream) = sender.send_request(request, body.is_none()).unwrap();
    let stream = body.map(|body| {
        // One that was refused meanwhile takes no body.
        let _ = stream.send_data(body, false);
        stream
    });
    (answer, stream)
}

/// A sample of the metrics.
async fn metric(server: &Server, name: &str) -> u64 {
    let (_, text) = admin(server, "/metrics").await;
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

async fn honest(server: &Server, place: &Place) {
    let answer = get(server, place, Some(BOB), "/certificates?api-version=7.4").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anonymous_peers_that_do_not_read_hold_little_whatever_they_request() {
    // Nothing ends by itself while the test looks.
    let place = Place::new("[listener]\nwrite_timeout = '1h'\nkeepalive_interval = '1h'\n");
    for open in [true, false] {
        let quiet = "[listener]\nwrite_timeout = '1h'\nkeepalive_interval = '1h'\n";
        place.configure(&format!("{quiet}{}", place.auth(&format!("open_reflection = {open}"))));
        let server = place.start();
        let before = metric(&server, "process_resident_memory_bytes").await;
        let kinds =
            ["reflection", "health", "call", "upload", "/certificates?api-version=7.4", "/no/such/path", "/secrets/x"];
        let mut kept = Vec::new();
        for round in 0..8 {
            for kind in kinds {
                let client = shut(&server, &place).await;
                let mut open = Vec::new();
                for _ in 0..150 {
                    open.push(send(&client, kind, None).await);
                }
                kept.push((client, open));
            }
            honest(&server, &place).await;
            let held = metric(&server, "certmint_held_bytes{of=\"anonymous\"}").await;
            assert!(held <= 32 * MIB, "{held} bytes after round {round}");
        }
        let resident = metric(&server, "process_resident_memory_bytes").await - before;
        assert!(resident < 192 * MIB, "{resident} bytes more than before");
        let requests = metric(&server, "certmint_anonymous_requests").await;
        assert!(requests <= 32 * kept.len() as u64, "{requests}");
        assert!(metric(&server, "certmint_requests_over_budget_total{limit=\"streams\"}").await > 0);
        drop(kept);
        until("nothing is held", async || metric(&server, "certmint_held_bytes{of=\"all\"}").await == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_whose_holder_does_not_read_holds_no_more_than_its_share() {
    let place = Place::new(
        "[listener]\nwrite_timeout = '1h'\nkeepalive_interval = '1h'\n[listener.budget]\nprincipal_bytes = 4194304\n",
    );
    let server = place.start();
    for _ in 0..20 {
        rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
        until("it is issued", async || {
            let pending = get(&server, &place, Some(ALICE), "/certificates/web/pending?api-version=7.4").await;
            pending.contains("\"completed\"")
        })
        .await;
    }
    let mut kept = Vec::new();
    let paths = [
        ("POST", "/certificates/web/backup?api-version=7.4"),
        ("GET", "/secrets/web?api-version=7.4"),
        ("GET", "/certificates/web/versions?api-version=7.4"),
        ("GET", "/certificates/web?api-version=7.4"),
    ];
    let mut statuses = Vec::new();
    for round in 0..6 {
        for (method, path) in paths {
            let client = shut(&server, &place).await;
            let mut open = Vec::new();
            for _ in 0..100 {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("https://localhost{path}"))
                    .header("authorization", format!("Bearer {ALICE}"))
                    .body(())
                    .unwrap();
                let mut sender = client.clone().ready().await.unwrap();
                open.push(sender.send_request(request, true).unwrap().0);
            }
            let mut bodies = Vec::new();
            for answer in open {
                let (parts, body) = answer.await.unwrap().into_parts();
                if parts.status == 503 {
                    assert_eq!(parts.headers["retry-after"], "1");
                }
                statuses.push(parts.status.as_u16());
                bodies.push(body);
            }
            kept.push((client, bodies));
        }
        honest(&server, &place).await;
        let held = metric(&server, "certmint_held_bytes{of=\"all\"}").await;
        // The refusals have bodies too, which are small.
        assert!(held < 5 * MIB, "{held} bytes after round {round}");
    }
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&503));
    assert!(metric(&server, "certmint_requests_over_budget_total{limit=\"principal\"}").await > 0);
    drop(kept);
    until("nothing is held", async || metric(&server, "certmint_held_bytes{of=\"all\"}").await == 0).await;
    let answer = get(&server, &place, Some(ALICE), "/certificates/web?api-version=7.4").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_calls_are_ended_over_grpc_too() {
    let place = Place::new("[listener]\nwrite_timeout = '500ms'\n[listener.budget]\nstalled_answers = 1000\n");
    let server = place.start();
    rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    let client = shut(&server, &place).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let (request, body) = request("call", Some(ALICE));
        let mut sender = client.clone().ready().await.unwrap();
        let (answer, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data(body.unwrap(), true).unwrap();
        open.push(answer);
    }
    for answer in open {
        let mut body = answer.await.unwrap().into_body();
        let ended = tokio::time::timeout(LONG, body.data()).await.expect("it was not ended");
        assert!(ended.is_none_or(|data| data.is_err()));
    }
    until("they are counted", async || metric(&server, "certmint_answers_stalled_total").await == 5).await;
}

/// Opens so many requests whose bodies never come, on so many connections.
async fn open_and_wait(
    server: &Server,
    place: &Place,
    connections: usize,
    requests: usize,
    request: impl Fn() -> Request<()>,
) -> Vec<(SendRequest<Bytes>, Vec<(ResponseFuture, h2::SendStream<Bytes>)>)> {
    let mut kept = Vec::new();
    for _ in 0..connections {
        let client = shut(server, place).await;
        let mut open = Vec::new();
        for _ in 0..requests {
            let mut sender = client.clone().ready().await.unwrap();
            open.push(sender.send_request(request(), false).unwrap());
        }
        kept.push((client, open));
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_bodies_never_come_cost_what_is_counted_for_them() {
    const QUIET: &str = "[listener]\nwrite_timeout = '1h'\nkeepalive_interval = '1h'\n\
        [limits]\nbody_read_timeout = '1h'\nrequest_timeout = '1h'\n";
    let create = "/certificates/web/create?api-version=7.4";
    let kinds = [
        ("/adfs/oauth2/token", "application/x-www-form-urlencoded", None, 500, 32),
        (create, "application/json", Some(ALICE), 20, 1000),
        ("/keys/web/sign?api-version=7.4", "application/json", Some(ALICE), 20, 1000),
        ("/certmint.v1.CertificateService/CreateCertificate", "application/grpc", Some(ALICE), 20, 1000),
    ];
    for (path, kind, token, connections, requests) in kinds {
        let place = Place::new(QUIET);
        let server = place.start();
        honest(&server, &place).await;
        let before = metric(&server, "process_resident_memory_bytes").await;
        let request = || {
            let builder = Request::post(format!("https://localhost{path}")).header("content-type", kind);
            let builder = match token {
                Some(token) => builder.header("authorization", format!("Bearer {token}")),
                None => builder,
            };
            builder.body(()).unwrap()
        };
        let kept = open_and_wait(&server, &place, connections, requests, request).await;
        let of = if token.is_some() { "principal" } else { "peer" };
        let refused = format!("certmint_requests_over_budget_total{{limit=\"{of}\"}}");
        until("the limit is reached", async || metric(&server, &refused).await > 0).await;
        honest(&server, &place).await;
        let held = metric(&server, "certmint_held_bytes{of=\"all\"}").await;
        let resident = metric(&server, "process_resident_memory_bytes").await - before;
        eprintln!("{path} {kind}: {held} bytes counted, {resident} bytes more than before");
        // What the connections themselves take: TLS, HTTP/2 and the table of its streams.
        let connections = connections as u64 * 160 * 1024;
        assert!(resident < held + connections, "{path}: {resident} bytes for {held} that are counted");
        drop(kept);
        until("nothing is held", async || metric(&server, "certmint_held_bytes{of=\"all\"}").await == 0).await;
    }
}
