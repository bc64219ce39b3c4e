//! Measurements without assertions: the delay until a watcher on another replica gets an event, and the throughput of
//! one database.

use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::harness::turn;
use crate::load::request;
use crate::postgres::Postgres;
use crate::watcher::{everything_after, present};
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{DeletePendingRequest, PendingEventType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const OPERATIONS: usize = 300;

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for `make soak`"]
async fn a_watcher_on_another_replica_gets_events_soon() {
    let _turn = turn().await;
    let postgres = Postgres::start_with(&[]);
    let cluster = Cluster::on_postgres(2, postgres.fresh().await).await;
    let mut here = cluster.fleet.only(&[0]).caller(Dice::of("here", 0));
    let mut there = cluster.fleet.only(&[1]).caller(Dice::of("there", 0));
    let token = present(&mut there).await;
    let told: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut stream = there.watch(everything_after(&token)).await.unwrap();
    let watching = tokio::spawn({
        let told = told.clone();
        async move {
            while let Ok(Some(message)) = stream.message().await {
                if let Some(Payload::Event(event)) = message.payload
                    && event.r#type == i32::from(PendingEventType::Deleted)
                {
                    told.lock().unwrap().insert(event.operation.unwrap().certificate_name, Instant::now());
                }
            }
        }
    });
    let mut ended = HashMap::new();
    for number in 0..OPERATIONS {
        let name = format!("told-{number}");
        here.create_certificate(request(&name, "", "Unknown")).await.unwrap();
        let begun = Instant::now();
        let delete = DeletePendingRequest { certificate_name: name.clone(), ..DeletePendingRequest::default() };
        here.delete_pending(delete).await.unwrap();
        ended.insert(name, (begun, Instant::now()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    watching.abort();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), OPERATIONS, "a watcher was not told of every end");
    let since = |point: fn(&(Instant, Instant)) -> Instant| {
        let mut waits: Vec<Duration> =
            ended.iter().map(|(name, points)| told[name].saturating_duration_since(point(points))).collect();
        waits.sort();
        waits
    };
    let (from_call, from_answer) = (since(|points| points.0), since(|points| points.1));
    eprintln!(
        "soak: told on another replica, of {OPERATIONS}: p50 {:?}, p99 {:?} after the call that ended the operation was \
         sent; p50 {:?}, p99 {:?} after it was answered",
        quantile(&from_call, 0.5),
        quantile(&from_call, 0.99),
        quantile(&from_answer, 0.5),
        quantile(&from_answer, 0.99),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for `make soak`"]
async fn creations_per_second_with_one_replica_and_with_three() {
    let _turn = turn().await;
    let postgres = Postgres::start_with(&[]);
    for replicas in [1, 3] {
        let cluster = Cluster::on_postgres(replicas, postgres.fresh().await).await;
        let (begun, time) = (Instant::now(), Duration::from_secs(5));
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let mut caller = cluster.caller("rate", number);
                tokio::spawn(async move {
                    let mut created = 0;
                    while begun.elapsed() < time {
                        let name = format!("rate-{number}-{created}");
                        caller.create_certificate(request(&name, "", "Self")).await.unwrap();
                        created += 1;
                    }
                    created
                })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            created += task.await.unwrap();
        }
        let rate = f64::from(created) / begun.elapsed().as_secs_f64();
        assert!(created > 0);
        eprintln!("soak: {rate:.0} creations/s (P-256, Self, issued meanwhile) with {replicas} replicas, 32 callers");
    }
}
