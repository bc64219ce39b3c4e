//! Memory used by peers that do not read: in total, per caller, and for how long.

use crate::support::{Server, ask, calm, text};
use bytes::Bytes;
use certmint::transport::listener::{BudgetOptions, BudgetStats, ListenerOptions};
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

/// Answers may wait for ever: what is seen is not the work of the clock.
fn patient(budget: BudgetOptions) -> ListenerOptions {
    ListenerOptions { budget, ..calm() }
}

/// Unread answers end soon.
fn impatient(budget: BudgetOptions) -> ListenerOptions {
    ListenerOptions { write_timeout: Duration::from_millis(400), ..patient(budget) }
}

/// A client that lets the server send so many bytes of each answer, and no more.
async fn window(server: &Server, bytes: u32) -> SendRequest<Bytes> {
    let tls = server.tls(&["h2"]).await.unwrap();
    let mut builder = Builder::new();
    let (sender, connection) = builder.initial_window_size(bytes).handshake::<_, Bytes>(tls).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(to: &SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let request = Request::get(format!("https://localhost{path}")).body(()).unwrap();
    to.clone().ready().await.unwrap().send_request(request, true).unwrap().0
}

/// The statuses of so many requests, whose answers are kept and never read.
async fn statuses(to: &SendRequest<Bytes>, path: &str, count: usize) -> (Vec<u16>, Vec<h2::RecvStream>) {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(send(to, path).await);
    }
    let (mut statuses, mut bodies) = (Vec::new(), Vec::new());
    for answer in asked {
        let (parts, body) = answer.await.unwrap().into_parts();
        if parts.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(parts.headers["retry-after"], "1");
        }
        statuses.push(parts.status.as_u16());
        bodies.push(body);
    }
    (statuses, bodies)
}

fn count(statuses: &[u16], expected: u16) -> usize {
    statuses.iter().filter(|status| **status == expected).count()
}

async fn held(server: &Server, what: &str, done: impl Fn(BudgetStats) -> bool) {
    for _ in 0..12_000 {
        if done(server.stats.budget()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: {:?}", server.stats.budget());
}

async fn honest(server: &Server) {
    let answer = server.http2().await.send_request(ask("/as/honest/100000")).await.unwrap();
    assert_eq!(text(answer).await.len(), 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_credentials_has_few_open_requests_whatever_their_answers_are() {
    let server = Server::start(patient(BudgetOptions { anonymous_streams: 8, ..BudgetOptions::default() })).await;
    for path in ["/hello", "/bytes/100000", "/endless", "/watch"] {
        let client = window(&server, 0).await;
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(send(&client, path).await);
        }
        held(&server, path, |stats| stats.anonymous_requests >= 8).await;
        let (refused, _) = statuses(&client, path, 12).await;
        assert_eq!(count(&refused, 503), 12, "{path}: {refused:?}");
        honest(&server).await;
        drop((client, open));
        held(&server, path, |stats| stats.anonymous_requests == 0 && stats.bytes == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_counts_until_its_last_byte_has_left() {
    let server = Server::start(patient(BudgetOptions { anonymous_streams: 8, ..BudgetOptions::default() })).await;
    // The window takes all but the end, which HTTP/2 then holds without the request.
    let client = window(&server, 7).await;
    let (open, bodies) = statuses(&client, "/hello", 8).await;
    assert_eq!(count(&open, 200), 8);
    let (refused, _) = statuses(&client, "/hello", 4).await;
    assert_eq!(count(&refused, 503), 4);
    for mut body in bodies {
        body.flow_control().release_capacity(0).unwrap();
        drop(body);
    }
    held(&server, "they have left", |stats| stats.anonymous_requests == 0 && stats.bytes == 0).await;
    let (open, _) = statuses(&client, "/hello", 1).await;
    assert_eq!(open, [200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unread_answers_of_one_principal_have_a_limit_over_all_its_connections() {
    let budget = BudgetOptions { principal_bytes: 8 * MIB, ..BudgetOptions::default() };
    let server = Server::start(patient(budget)).await;
    let mut clients = Vec::new();
    let mut all = Vec::new();
    for _ in 0..4 {
        let client = window(&server, 0).await;
        let (statuses, bodies) = statuses(&client, "/as/greedy/1048576", 16).await;
        all.extend(statuses);
        clients.push((client, bodies));
        honest(&server).await;
    }
    assert_eq!((count(&all, 200), count(&all, 503)), (7, 57), "seven, and what the requests take: {all:?}");
    let stats = server.stats.budget();
    assert!(stats.bytes <= 9 * MIB as u64, "{stats:?}");
    assert_eq!(stats.refused[1], 57, "{stats:?}");
    drop(clients);
    held(&server, "nobody is left", |stats| stats.bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_of_all_principals_has_a_limit() {
    let budget = BudgetOptions { bytes: 8 * MIB, principal_bytes: 5 * MIB, ..BudgetOptions::default() };
    let server = Server::start(patient(budget)).await;
    let mut kept = Vec::new();
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        let client = window(&server, 0).await;
        let (statuses, bodies) = statuses(&client, &format!("/as/{name}/1048576"), 4).await;
        all.extend(statuses);
        kept.push((client, bodies));
    }
    assert_eq!((count(&all, 200), count(&all, 503)), (7, 5), "{all:?}");
    honest(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anonymous_requests_of_a_peer_share_a_limit_and_authenticated_ones_exceed_it() {
    let budget = BudgetOptions { anonymous_peer_bytes: MIB, ..BudgetOptions::default() };
    let server = Server::start(patient(budget)).await;
    let (mut kept, mut all) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let client = window(&server, 0).await;
        let (statuses, bodies) = statuses(&client, "/bytes/100000", 4).await;
        all.extend(statuses);
        kept.push((client, bodies));
    }
    assert!((6..=8).contains(&count(&all, 200)), "each is a hundred kilobytes, and a copied piece of 32: {all:?}");
    assert!(server.stats.budget().anonymous_bytes <= MIB as u64);
    honest(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_response_is_ended_and_the_others_of_the_connection_are_not() {
    for (shut, path) in [(0, "/as/slow/3000000"), (40_000, "/as/slow/3000000"), (0, "/as/slow/100")] {
        let server = Server::start(impatient(BudgetOptions { stalled_answers: 100, ..BudgetOptions::default() })).await;
        let client = window(&server, shut).await;
        let (open, mut bodies) = statuses(&client, path, 5).await;
        assert_eq!(count(&open, 200), 5);
        held(&server, path, |stats| stats.stalled == 5).await;
        for body in &mut bodies {
            let ended = async { while let Some(Ok(_)) = body.data().await {} };
            tokio::time::timeout(Duration::from_secs(120), ended).await.expect("the stream was not ended");
        }
        held(&server, "what HTTP/2 had taken over is left", |stats| stats.bytes < 5 * 100 * 1024).await;
        assert_eq!(server.stats.budget().stalled_connections, 0);
        let answer = send(&client, "/as/slow/0").await.await.unwrap();
        assert_eq!(answer.status(), 200, "the connection goes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_closed_after_repeated_stalls_and_an_anonymous_one_after_the_first() {
    for (path, answers) in [("/as/slow/100000", 3), ("/bytes/100000", 1)] {
        let server = Server::start(impatient(BudgetOptions { stalled_answers: 3, ..BudgetOptions::default() })).await;
        let client = window(&server, 0).await;
        let (open, _bodies) = statuses(&client, path, answers).await;
        assert_eq!(count(&open, 200), answers);
        server.until(|stats| stats.open == 0).await;
        held(&server, path, |stats| stats.bytes == 0 && stats.stalled_connections == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_sleeps_with_open_windows_is_cut_and_nothing_stays() {
    let server = Server::start(impatient(BudgetOptions::default())).await;
    let tls = server.tls(&["h2"]).await.unwrap();
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    let (sender, connection) = builder.handshake::<_, Bytes>(tls).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..12 {
        drop(send(&sender, "/as/sleeper/flood").await);
        open.push(send(&sender, "/as/sleeper/flood").await);
    }
    // The connection is driven until answers are under way, and then never again.
    let mut connection = Box::pin(connection);
    tokio::select! {
        biased;
        () = held(&server, "answers wait", |stats| stats.bytes > 0) => {},
        ended = &mut connection => panic!("{ended:?}"),
    }
    server.until(|stats| stats.accepted == 1 && stats.open == 0).await;
    held(&server, "it was cut", |stats| stats.bytes == 0).await;
    honest(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_all_of_it() {
    // Each pause is far below the limit, all of them are above it.
    let limit = Duration::from_secs(4);
    let options = ListenerOptions { write_timeout: limit, ..patient(BudgetOptions::default()) };
    let server = Server::start(options).await;
    let client = window(&server, 4 * 1024).await;
    let mut body = send(&client, "/as/slow/400000").await.await.unwrap().into_body();
    let (mut read, begun) = (0, Instant::now());
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        read += length;
        tokio::time::sleep(limit / 80).await;
        body.flow_control().release_capacity(length).unwrap();
    }
    assert_eq!(read, 400_000);
    assert!(begun.elapsed() > limit, "too fast to say anything");
    assert_eq!(server.stats.budget().stalled, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_stream_is_no_unread_one() {
    let server = Server::start(impatient(BudgetOptions::default())).await;
    let client = window(&server, 1024).await;
    let answer = send(&client, "/as/watcher/silent").await.await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "hello ");
    // Another stream stalls and is ended meanwhile: the sweeper has looked at both.
    let (_, _unread) = statuses(&client, "/as/watcher/100000", 1).await;
    held(&server, "the other one", |stats| stats.stalled == 1).await;
    server.stop.cancel();
    assert_eq!(body.data().await.unwrap().unwrap(), "draining");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_end_are_counted_and_refused_above_the_limit() {
    let budget = BudgetOptions { anonymous_peer_bytes: 250_000, ..BudgetOptions::default() };
    let server = Server::start(patient(budget)).await;
    let client = window(&server, 65_535).await;
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let request = Request::post("https://localhost/swallow").body(()).unwrap();
        let (answer, mut body) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        body.send_data(Bytes::from(vec![0; 60_000]), false).unwrap();
        uploads.push((answer, body));
    }
    held(&server, "one is refused", |stats| stats.refused[3] == 1).await;
    let stats = server.stats.budget();
    assert!((180_000..=250_000).contains(&stats.anonymous_bytes), "{stats:?}");
    drop((client, uploads));
    held(&server, "they are gone", |stats| stats.bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_without_credentials_make_room_for_others() {
    let budget =
        BudgetOptions { anonymous_connections: 4, anonymous_grace: Duration::ZERO, ..BudgetOptions::default() };
    let server = Server::start(patient(budget)).await;
    let mut known = window(&server, 65_535).await;
    let answer = send(&known, "/as/known/10").await.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(server.tls(&["h2"]).await.unwrap());
        assert!(server.stats.budget().anonymous_connections <= 4);
    }
    honest(&server).await;
    assert!(server.stats.budget().displaced >= 16, "{:?}", server.stats.budget());
    known = known.ready().await.unwrap();
    assert_eq!(send(&known, "/as/known/10").await.await.unwrap().status(), 200, "it has shown credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_refusal_ends_without_its_connection() {
    let server = Server::start(impatient(BudgetOptions::default())).await;
    let client = window(&server, 16).await;
    assert_eq!(send(&client, "/as/known/10").await.await.unwrap().status(), 200);
    let mut request = Request::get("https://localhost/as/known/10");
    for number in 0..110 {
        request = request.header(format!("x-{number}"), "");
    }
    let (refused, _) = client.clone().ready().await.unwrap().send_request(request.body(()).unwrap(), true).unwrap();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 431);
    held(&server, "the refusal", |stats| stats.stalled == 1).await;
    assert_eq!(send(&client, "/as/known/10").await.await.unwrap().status(), 200);
    drop(refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_many_small_fields_is_refused_on_both_protocols() {
    let server = Server::start(calm()).await;
    let with = |fields: usize| {
        let mut request = ask("/hello");
        for number in 0..fields {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            request.headers_mut().insert(name, http::HeaderValue::from_static(""));
        }
        request
    };
    assert_eq!(server.http1().await.send_request(with(90)).await.unwrap().status(), 200);
    assert_eq!(server.http1().await.send_request(with(110)).await.unwrap().status(), 431);
    let mut two = server.http2().await;
    assert_eq!(two.send_request(with(90)).await.unwrap().status(), 200);
    assert_eq!(two.send_request(with(110)).await.unwrap().status(), 431);
}
