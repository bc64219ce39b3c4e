//! Commit throughput of the embedded store when each record is replaced: the measurement for decision 15.

use super::sqlite::{open, place};
use super::*;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// A create and its completion, as the service writes them: two bodies of 2 kB made, one of them replaced.
async fn create_and_complete(store: &dyn Store, name: &str) {
    let body = "x".repeat(2000);
    let (pending, version) = (format!("pending/{name}"), format!("versions/{name}"));
    let made = Batch { puts: vec![new(&pending, &body), new(name, &body)], ..events(["created"]) };
    let revision = store.commit(made).await.unwrap();
    let done = Batch { puts: vec![change(&pending, revision, "done"), new(&version, &body)], ..events(["done"]) };
    store.commit(done).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn commits_of_records_that_are_replaced() {
    for tasks in [1, 64] {
        let (_folder, path) = place();
        let store = open(&path);
        let end = Instant::now() + Duration::from_secs(8);
        let store: &dyn Store = &store;
        let work = |task: usize| async move {
            let (mut done, mut slowest) = (0_u32, Duration::ZERO);
            while Instant::now() < end {
                let begun = Instant::now();
                create_and_complete(store, &format!("{task}-{done}")).await;
                slowest = slowest.max(begun.elapsed());
                done += 2;
            }
            (done, slowest)
        };
        let all = join_all((0..tasks).map(work)).await;
        let commits: u32 = all.iter().map(|(done, _)| done).sum();
        let slowest = all.iter().map(|(_, slowest)| *slowest).max().unwrap_or_default();
        println!("{tasks:3} tasks: {:6} commits/s, the slowest pair took {slowest:?}", commits / 8);
    }
}
