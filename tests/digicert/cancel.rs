//! Cancellations: granted, refused, and what was on its way.

use crate::mock::Mock;
use crate::play::{Play, input, order};
use certmint::issuer::Step;
use std::sync::atomic::Ordering;

async fn start(status: &str) -> (Mock, Play) {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some(status.into()));
    let play = Play::new(&input(&mock, &[])).await;
    (mock, play)
}

#[tokio::test]
async fn an_order_that_waits_is_cancelled() {
    for status in ["pending", "waiting_pickup"] {
        let (mock, mut play) = start(status).await;
        let order = order(&["www.example.com"]);
        play.settle(&order).await;
        play.cancelling = true;
        assert_eq!(play.run(&order).await, Step::Cancelled);
        assert_eq!(mock.only_order().status, "canceled");
        // A repeat finds it so.
        assert_eq!(play.run(&order).await, Step::Cancelled);
    }
}

#[tokio::test]
async fn an_order_that_waits_for_approval_is_rejected() {
    let (mock, mut play) = start("needs_approval").await;
    let order = order(&["www.example.com"]);
    play.settle(&order).await;
    play.cancelling = true;
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert_eq!(mock.only_order().status, "rejected");
}

#[tokio::test]
async fn a_cancellation_that_is_refused_leads_to_the_certificate() {
    let (mock, mut play) = start("processing").await;
    let order = order(&["www.example.com"]);
    play.settle(&order).await;
    mock.faults(|faults| faults.refuse_cancel = true);
    play.cancelling = true;
    play.until(&order, |play| play.said("DigiCert did not grant the cancellation")).await;
    assert_eq!(mock.only_order().status, "processing");
    mock.set_status("issued");
    play.issue(&order).await;
}

#[tokio::test]
async fn a_cancellation_that_comes_after_the_certificate_leads_to_it() {
    let (mock, mut play) = start("processing").await;
    let order = order(&["www.example.com"]);
    play.settle(&order).await;
    mock.set_status("issued");
    play.cancelling = true;
    play.issue(&order).await;
    assert_eq!(mock.count("PUT /order"), 0);
}

#[tokio::test]
async fn an_order_that_was_not_placed_costs_no_call() {
    let (mock, mut play) = start("pending").await;
    play.cancelling = true;
    assert_eq!(play.run(&order(&["www.example.com"])).await, Step::Cancelled);
    assert!(mock.account().calls.is_empty());
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_cancelled() {
    let (mock, mut play) = start("pending").await;
    let order = order(&["www.example.com"]);
    play.wire.lose.store(2, Ordering::SeqCst);
    play.step(&order).await;
    play.step(&order).await;
    assert_eq!(mock.placed(), 1);
    mock.faults(|faults| faults.lag = 1);
    play.cancelling = true;
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert_eq!(mock.only_order().status, "canceled", "found at the second look");
}

#[tokio::test]
async fn an_order_of_a_step_that_was_cut_short_is_found_and_cancelled_although_it_is_listed_late() {
    let (mock, mut play) = start("pending").await;
    let order = order(&["www.example.com"]);
    play.wire.cut_after.store(2, Ordering::SeqCst);
    play.step(&order).await;
    assert!(play.step(&order).await.is_none(), "cut after the order was sent");
    assert_eq!(mock.placed(), 1);
    mock.faults(|faults| faults.lag = 1);
    play.cancelling = true;
    assert_eq!(play.run(&order).await, Step::Cancelled);
    assert_eq!(mock.only_order().status, "canceled", "found at the second look");
}

#[tokio::test]
async fn a_crash_after_any_request_of_a_cancellation_is_harmless() {
    for cut in 1..=4 {
        let (mock, mut play) = start("pending").await;
        let order = order(&["www.example.com"]);
        play.settle(&order).await;
        play.cancelling = true;
        play.wire.cut_after.store(play.requests() + cut, Ordering::SeqCst);
        assert_eq!(play.run(&order).await, Step::Cancelled);
        assert_eq!(mock.only_order().status, "canceled");
    }
}
