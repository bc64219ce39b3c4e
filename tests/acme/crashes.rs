//! A crash at any point costs at most one order that ends unused, and never the certificate.

use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Play, input, order};
use certmint::issuer::Step;
use std::sync::atomic::Ordering;

async fn start() -> Pebble {
    Pebble::start(PebbleOptions { nonce_rejects: 5, ..Default::default() }).await
}

/// A new issuer object with its own account, whose answers are served by one responder for all.
async fn fresh(pebble: &Pebble, first: &Play) -> Play {
    let mut play = Play::new(&input(pebble, &[])).await;
    play.records = first.records.clone();
    play
}

#[tokio::test]
async fn every_step_works_without_the_memory_of_the_one_before() {
    let pebble = start().await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    play.forgetful = true;
    play.issue(&order(&["www.example.com"])).await;
    assert_eq!(play.orders(), 1);
}

#[tokio::test]
async fn a_crash_before_the_commit_of_any_step_is_harmless() {
    let pebble = start().await;
    let mut first = Play::new(&input(&pebble, &[])).await;
    first.serve_http01(&pebble).await;
    first.issue(&order(&["first.example.com"])).await;
    assert!(first.steps() >= 5, "account, order, answers, question, certificate");
    for lost in 0..first.steps() {
        let mut play = fresh(&pebble, &first).await;
        play.lose = Some(lost);
        play.issue(&order(&[&format!("lost{lost}.example.com")])).await;
        assert!(play.orders() <= 2, "step {lost}: {} orders", play.orders());
    }
}

#[tokio::test]
async fn a_crash_after_any_request_is_harmless() {
    let pebble = start().await;
    let mut first = Play::new(&input(&pebble, &[])).await;
    first.serve_http01(&pebble).await;
    first.issue(&order(&["first.example.com"])).await;
    let requests = first.requests();
    assert!(requests >= 9, "{requests}");
    let mut second_orders = 0;
    for cut in 1..=requests {
        let mut play = fresh(&pebble, &first).await;
        play.wire.cut_after.store(cut, Ordering::SeqCst);
        play.issue(&order(&[&format!("cut{cut}.example.com")])).await;
        assert!(play.orders() <= 2, "request {cut}: {} orders", play.orders());
        second_orders += play.orders() - 1;
    }
    // Only the answer to newOrder can be lost with the order; a refused nonce may repeat it once.
    assert!(second_orders <= 2, "{second_orders}");
}

#[tokio::test]
async fn an_order_that_the_ca_ended_while_nobody_answered_is_followed_by_another() {
    let pebble = start().await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    let order = order(&["www.example.com"]);
    play.records.down.store(true, Ordering::SeqCst);
    while play.details.iter().all(|text| !text.contains("the next one follows")) {
        play.step(&order).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(play.records.map.lock().unwrap().is_empty(), "the answers of the first order are withdrawn");
    // Before its time nothing is asked.
    let requests = play.requests();
    assert!(matches!(play.step(&order).await, Some(Step::Pending { again, .. }) if again.as_secs() >= 14));
    assert_eq!(play.requests(), requests);
    play.records.down.store(false, Ordering::SeqCst);
    play.forget();
    play.issue(&order).await;
    assert_eq!(play.orders(), 2);
}

#[tokio::test]
async fn a_name_that_is_never_proved_fails_after_the_orders_that_are_allowed() {
    let pebble = start().await;
    let mut play = Play::new(&input(&pebble, &[("max_orders", "3")])).await;
    play.serve_http01(&pebble).await;
    play.records.down.store(true, Ordering::SeqCst);
    let end = play.run(&order(&["www.example.com"])).await;
    let Step::Failed { class, message } = end else { panic!("{end:?}") };
    assert_eq!(class, certmint::issuer::FailureClass::RequestRejected);
    assert!(message.contains("www.example.com: ") && message.contains("404"), "{message}");
    assert_eq!(play.orders(), 3);
    assert!(play.records.map.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_ca_that_forgot_the_account_gets_it_again_and_another_order() {
    let mut pebble = start().await;
    let mut play = Play::new(&input(&pebble, &[])).await;
    play.serve_http01(&pebble).await;
    let order = order(&["www.example.com"]);
    // The account, the order and the answers are there.
    for _ in 0..3 {
        play.step(&order).await;
    }
    assert_eq!(play.orders(), 1);
    pebble.restart().await;
    play.forget();
    play.issue(&order).await;
    assert_eq!(play.orders(), 2);
    assert!(play.details.iter().any(|text| text.contains("registered again")), "{:?}", play.details);
}
