//! An issuer that never answers.

use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, size};
use crate::load::request;
use crate::oracle::settle;
use crate::replicas::ends_completed;
use crate::world::turn;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_issuer_holds_nobody_else_up() {
    let _turn = turn().await;
    // Each call to the stuck issuer is cut after 12 s, later than the others are waited for.
    let config = CONFIG.replace("work_lease = \"3s\"", "work_lease = \"15s\"");
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
        ends_completed(&mut caller, &name, &other.operation.unwrap().request_id, Duration::from_secs(10)).await;
        slowest = slowest.max(begun.elapsed());
    }
    eprintln!("soak: a stuck issuer: the slowest of the others took {slowest:?}");
    // A cancellation is heard, too.
    settle(&mut caller, None).await;
}
