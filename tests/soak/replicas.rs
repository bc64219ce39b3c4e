//! Replicas that crash, stall, stop and start.

use crate::cluster::Cluster;
use crate::dice::{Dice, rounds};
use crate::harness::{Harness, turn};
use crate::load::request;
use crate::postgres::Postgres;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_killed_under_load_and_nothing_is_lost() {
    let mut harness = Harness::replicas(3).await;
    let mut dice = Dice::of("kills", 0);
    for _ in 0..rounds(10) {
        harness.work(20 + dice.below(500)).await;
        let victims: Vec<usize> = (0..3).filter(|_| dice.percent(45)).collect();
        for victim in &victims {
            harness.cluster.replicas[*victim].server.kill9();
        }
        harness.work(dice.below(300)).await;
        for victim in victims {
            harness.cluster.replicas[victim].server.start();
        }
        harness.cluster.all_ready().await;
    }
    harness.finish("kill -9 of replicas").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stalls_past_its_lease_duplicates_nothing() {
    let harness = Harness::replicas(3).await;
    let mut dice = Dice::of("stops", 0);
    for _ in 0..rounds(2) {
        harness.work(300 + dice.below(600)).await;
        let server = &harness.cluster.replicas[dice.index(3)].server;
        server.pause();
        // The lease is 3 s.
        harness.work(3_200 + dice.below(1_500)).await;
        server.go_on();
    }
    harness.finish("SIGSTOP past the lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call_of_a_client_that_comes_again() {
    let mut harness = Harness::patient_replicas(3).await;
    for round in 0..rounds(1) {
        for number in 0..3 {
            harness.work(1_200).await;
            let server = &mut harness.cluster.replicas[number].server;
            let how = server.terminate().await;
            assert!(how.success(), "round {round}: SIGTERM ended replica {number} with {how}\n{}", server.log());
            server.start();
            harness.cluster.ready(number).await;
        }
    }
    let done = harness.finish("rolling restart").await;
    // The client's own library gives up what it has not sent yet when a connection ends, and calls that CANCELLED.
    let odd: Vec<_> = done.odd.iter().filter(|told| *told != "Cancelled: operation was canceled").collect();
    assert!(odd.is_empty(), "failures other than UNAVAILABLE: {odd:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_the_same_instant_on_nothing_agree() {
    let _turn = turn().await;
    let postgres = Postgres::start();
    for round in 0..rounds(3) {
        let mut cluster = Cluster::on_postgres(3, postgres.fresh().await).await;
        for number in 0..3 {
            assert!(cluster.replicas[number].server.ended().is_none(), "{}", cluster.logs());
            let mut caller = cluster.fleet.only(&[number]).caller(Dice::of("start", round));
            let name = format!("start-{number}");
            let created = caller.create_certificate(request(&name, "", "corp")).await.unwrap().operation.unwrap();
            // Whoever works on it opens what the other one sealed.
            let mut other = cluster.fleet.only(&[(number + 1) % 3]).caller(Dice::of("start", round));
            ends_completed(&mut other, &name, &created.request_id, Duration::from_secs(120)).await;
        }
    }
}

/// Waits until an operation is completed.
pub(crate) async fn ends_completed(caller: &mut crate::client::Caller, name: &str, id: &str, within: Duration) {
    use certmint::proto::v1::{GetPendingRequest, PendingStatus};
    let deadline = std::time::Instant::now() + within;
    loop {
        let expected = GetPendingRequest {
            certificate_name: name.to_owned(),
            request_id: id.to_owned(),
            ..GetPendingRequest::default()
        };
        let operation = caller.get_pending(expected).await.unwrap().operation.unwrap();
        if operation.status == i32::from(PendingStatus::Completed) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{name} is not completed within {within:?}: {operation:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
