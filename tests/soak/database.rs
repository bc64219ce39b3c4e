//! The database dies, restarts, and moves, while the replicas run on.

use crate::dice::{Dice, rounds};
use crate::harness::Harness;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_killed_and_comes_back_under_load() {
    let mut harness = Harness::replicas(2).await;
    let mut dice = Dice::of("database", 0);
    for _ in 0..rounds(3) {
        harness.work(1_000 + dice.below(1_500)).await;
        let postgres = harness.postgres.as_mut().unwrap();
        postgres.kill9();
        tokio::time::sleep(Duration::from_millis(dice.below(1_500))).await;
        postgres.restart();
    }
    harness.finish("kill -9 of the database").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_restarted_in_order_under_load() {
    let mut harness = Harness::replicas(2).await;
    let mut dice = Dice::of("restart", 0);
    for _ in 0..rounds(2) {
        harness.work(1_500 + dice.below(1_000)).await;
        harness.postgres.as_mut().unwrap().restart();
    }
    harness.finish("restart of the database").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_takes_over_under_load() {
    let mut harness = Harness::replicas(2).await;
    for _ in 0..rounds(1).min(10) {
        let primary = harness.postgres.take().unwrap();
        let standby = primary.standby();
        let admin = primary.admin("postgres").await;
        admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let mut synchronous = false;
        for _ in 0..2400 {
            let state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
            synchronous = admin.query_one(state, &[]).await.unwrap().get::<_, i64>(0) == 1;
            if synchronous {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(synchronous, "the standby does not follow synchronously: {}", standby.log());
        harness.work(1_500).await;
        // The power cord, the promotion, and the address of the database, in this order.
        let mut primary = primary;
        primary.kill9();
        standby.promote().await;
        for replica in &harness.cluster.replicas {
            replica.back.as_ref().unwrap().point_to(standby.port());
        }
        harness.work(1_500).await;
        harness.database =
            harness.database.map(|url| standby.url(url.rsplit_once('/').unwrap().1.split('?').next().unwrap()));
        harness.postgres = Some(standby);
        drop(primary);
    }
    harness.finish("switch to a synchronous standby").await;
}
