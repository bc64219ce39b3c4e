//! The network between replicas and database, and between clients and replicas, is cut, slow, or goes one way only.

use crate::dice::{Dice, rounds};
use crate::harness::Harness;
use crate::proxy::Network;
use std::time::Duration;

fn fault(dice: &mut Dice) -> Network {
    match dice.below(4) {
        0 => Network::Cut,
        1 => Network::Slow(Duration::from_millis(20 + dice.below(150))),
        2 => Network::NothingThere,
        _ => Network::NothingBack,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_to_the_database_fails_in_every_way() {
    let harness = Harness::replicas(3).await;
    let mut dice = Dice::of("back", 0);
    for _ in 0..rounds(6) {
        harness.work(dice.below(300)).await;
        let hit: Vec<usize> = (0..3).filter(|_| dice.percent(50)).collect();
        for number in &hit {
            harness.cluster.replicas[*number].back.as_ref().unwrap().set(fault(&mut dice));
        }
        // Shorter and longer than what the store takes for silence (3 s).
        harness.work(100 + dice.below(4_000)).await;
        for number in hit {
            harness.cluster.replicas[number].back.as_ref().unwrap().set(Network::Whole);
        }
    }
    harness.finish("network between replicas and database").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_to_the_clients_fails_in_every_way() {
    let harness = Harness::replicas(3).await;
    let mut dice = Dice::of("front", 0);
    for _ in 0..rounds(6) {
        harness.work(dice.below(300)).await;
        let hit: Vec<usize> = (0..3).filter(|_| dice.percent(60)).collect();
        for number in &hit {
            harness.cluster.replicas[*number].front.set(fault(&mut dice));
        }
        harness.work(100 + dice.below(2_500)).await;
        for number in hit {
            harness.cluster.replicas[number].front.set(Network::Whole);
        }
    }
    harness.finish("network between clients and replicas").await;
}
