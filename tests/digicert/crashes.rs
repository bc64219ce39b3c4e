//! A crash or a lost answer at any point leads to the certificate, and never to a second order.

use crate::mock::Mock;
use crate::play::{Play, input, order};
use certmint::issuer::Step;
use certmint::issuer::provider::Order;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// An order that goes through every call: it waits, is proved by nobody, and is downloaded.
async fn waiting() -> Mock {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some("processing".into()));
    mock
}

/// Runs to the certificate; the CA issues once it has the order.
async fn run(play: &mut Play, mock: &Mock) {
    run_order(play, mock, &order(&["www.example.com"])).await;
}

async fn run_order(play: &mut Play, mock: &Mock, order: &Order) {
    for _ in 0..200 {
        if mock.placed() > 0 && play.said("DigiCert has the order") {
            mock.set_status("issued");
        }
        match play.step(order).await {
            Some(Step::Pending { again, .. }) => play.clock.advance(again),
            Some(Step::Issued { .. }) => return,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    panic!("{:?}", play.details);
}

async fn calls_of_a_run() -> (usize, usize) {
    let mock = waiting().await;
    let mut play = Play::new(&input(&mock, &[])).await;
    run(&mut play, &mock).await;
    assert_eq!(mock.placed(), 1);
    (play.requests(), play.steps)
}

#[tokio::test]
async fn every_step_works_without_the_memory_of_the_one_before() {
    let mock = waiting().await;
    let mut play = Play::new(&input(&mock, &[])).await;
    play.forgetful = true;
    run(&mut play, &mock).await;
    assert_eq!(mock.placed(), 1);
}

#[tokio::test]
async fn a_crash_before_the_commit_of_any_step_makes_no_second_order() {
    let (_, steps) = calls_of_a_run().await;
    assert!(steps >= 3, "preparation, order, certificate: {steps}");
    for lost in 0..steps {
        let mock = waiting().await;
        let mut play = Play::new(&input(&mock, &[])).await;
        play.lose = Some(lost);
        run(&mut play, &mock).await;
        assert_eq!(mock.placed(), 1, "step {lost}: {:?}", mock.account().calls);
    }
}

#[tokio::test]
async fn a_crash_after_any_request_makes_no_second_order() {
    let (requests, _) = calls_of_a_run().await;
    assert!(requests >= 4, "{requests}");
    for cut in 1..=requests {
        let mock = waiting().await;
        let mut play = Play::new(&input(&mock, &[])).await;
        play.wire.cut_after.store(cut, Ordering::SeqCst);
        run(&mut play, &mock).await;
        assert_eq!(mock.placed(), 1, "request {cut}: {:?}", mock.account().calls);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_anywhere_makes_no_second_order() {
    let (requests, _) = calls_of_a_run().await;
    for lost in 1..=requests {
        let mock = waiting().await;
        let mut play = Play::new(&input(&mock, &[])).await;
        play.wire.lose.store(lost, Ordering::SeqCst);
        run(&mut play, &mock).await;
        assert_eq!(mock.placed(), 1, "request {lost}: {:?}", mock.account().calls);
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_given_time_to_be_listed() {
    let mock = waiting().await;
    let mut play = Play::new(&input(&mock, &[])).await;
    let order = order(&["www.example.com"]);
    // The second request places the order.
    play.wire.lose.store(2, Ordering::SeqCst);
    play.step(&order).await;
    let Some(Step::Pending { again, .. }) = play.step(&order).await else { panic!("{:?}", play.details) };
    assert!(again >= Duration::from_secs(30), "{again:?}");
    assert!(play.said("It is not known whether DigiCert took the order"), "{:?}", play.details);
    run_order(&mut play, &mock, &order).await;
    assert_eq!(mock.placed(), 1);
}

#[tokio::test]
async fn of_several_orders_of_one_request_the_oldest_that_is_of_use_goes_on() {
    let mock = waiting().await;
    let order = order(&["www.example.com"]);
    let mut play = Play::new(&input(&mock, &[])).await;
    play.settle(&order).await;
    {
        let mut account = mock.account();
        let first = account.orders.values().next().unwrap().clone();
        for (id, status) in [(2000, "processing"), (500, "canceled")] {
            let copy = crate::mock::Order { id, status: status.into(), ..first.clone() };
            account.orders.insert(id, copy);
        }
    }
    play.again();
    play.until(&order, |play| play.said("DigiCert has the order 1000")).await;
    assert_eq!(mock.account().orders.len(), 3, "none was added");
}
