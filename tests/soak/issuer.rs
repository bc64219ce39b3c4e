//! An issuer that never answers, or never decides.

use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, rounds, size};
use crate::harness::turn;
use crate::load::request;
use crate::oracle::settle;
use crate::replicas::ends_completed;
use certmint::proto::v1::{GetPendingRequest, PendingStatus};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_issuer_does_not_delay_others() {
    let _turn = turn().await;
    // Each call to the stuck issuer is cut after 40 s, later than the others are waited for.
    let config = CONFIG.replace("work_lease = \"3s\"", "work_lease = \"50s\"");
    let cluster = Cluster::start(1, None, &config, |_| Vec::new()).await;
    let mut caller = cluster.caller("stuck", 0);
    // Many more than the worker has places (64).
    for number in 0..size(200, 2_000) {
        caller.create_certificate(request(&format!("stuck-{number}"), "", "sticks")).await.unwrap();
    }
    let mut dice = Dice::of("others", 0);
    let mut slowest = Duration::ZERO;
    for (number, issuer) in ["Self", "corp", "signs"].into_iter().cycle().take(12).enumerate() {
        let (name, begun) = (format!("other-{number}"), Instant::now());
        let other = caller.create_certificate(request(&name, &dice.request_id(), issuer)).await.unwrap();
        ends_completed(&mut caller, &name, &other.operation.unwrap().request_id, Duration::from_secs(35)).await;
        slowest = slowest.max(begun.elapsed());
    }
    eprintln!("soak: a stuck issuer: the slowest of the others took {slowest:?}");
    // A cancellation is also answered.
    settle(&mut caller, None).await;
}

/// Whether the process dies before the failure is written, between it and the cancellation, or after both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_operations_that_failed_by_their_deadline_are_cancelled_over_kill9() {
    let _turn = turn().await;
    let config = CONFIG.replace("[limits]", "[limits]\nissuing_deadline = \"2s\"");
    let mut cluster = Cluster::start(1, None, &config, |_| Vec::new()).await;
    let mut dice = Dice::of("deadline", 0);
    for round in 0..rounds(2) {
        let mut caller = cluster.caller("late", round);
        let mut late = Vec::new();
        for number in 0..size(20, 60) {
            let name = format!("late-{round}-{number}");
            let created = caller.create_certificate(request(&name, "", "holds")).await.unwrap();
            late.push((name, created.operation.unwrap().request_id));
        }
        tokio::time::sleep(Duration::from_millis(1_600 + dice.below(800))).await;
        cluster.replicas[0].server.kill9();
        cluster.replicas[0].server.start();
        cluster.ready(0).await;
        let deadline = Instant::now() + Duration::from_secs(120);
        for (name, request_id) in late {
            let expected = GetPendingRequest { certificate_name: name, request_id, ..GetPendingRequest::default() };
            let failed = loop {
                let operation = caller.get_pending(expected.clone()).await.unwrap().operation.unwrap();
                if operation.status != i32::from(PendingStatus::InProgress) {
                    break operation;
                }
                assert!(Instant::now() < deadline, "it does not fail: {operation:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert!(failed.error.unwrap().message.contains("before the deadline"));
        }
        // An order is forgotten once its issuer answered.
        let database = rusqlite::Connection::open(cluster.data().join("certmint.db")).unwrap();
        let orders = || -> i64 {
            let count = "SELECT count(*) FROM records WHERE key LIKE 'orders/%'";
            database.query_row(count, [], |row| row.get(0)).unwrap()
        };
        while orders() > 0 {
            assert!(Instant::now() < deadline, "{} orders are not told to their issuer", orders());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
