//! The clock of the machine is set while operations wait.

use crate::crash::faults::{Faults, Moment};
use crate::crash::harness::Harness;
use crate::crash::scenarios::{FIRST, create, one_step, set_issuer};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn work_that_waits_when_the_clock_is_set_back_does_not_wait_for_the_old_time() {
    let harness = Harness::new(Faults::at(usize::MAX, Moment::Before));
    let service = harness.service().await.unwrap();
    let begin = certmint::clock::Clock::now(&*harness.clock);
    harness.clock.advance(HOUR);
    set_issuer(&service, "waits").await.unwrap();
    create(&service, FIRST, "waits").await.unwrap();
    // Ordered, working, still working: asked again a second later, in a time that is an hour ahead.
    for _ in 0..3 {
        one_step(&service).await.unwrap();
    }
    assert!(service.jobs().claim(16).await.unwrap().is_empty());
    harness.clock.set(begin);
    assert!(service.jobs().claim(16).await.unwrap().is_empty(), "it is not due at once");
    harness.clock.advance(Duration::from_secs(2));
    assert_eq!(service.jobs().claim(16).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_small_correction_of_the_clock_moves_nothing() {
    let harness = Harness::new(Faults::at(usize::MAX, Moment::Before));
    let service = harness.service().await.unwrap();
    let begin = certmint::clock::Clock::now(&*harness.clock);
    harness.clock.advance(Duration::from_secs(5));
    set_issuer(&service, "waits").await.unwrap();
    create(&service, FIRST, "waits").await.unwrap();
    for _ in 0..3 {
        one_step(&service).await.unwrap();
    }
    harness.clock.set(begin);
    harness.clock.advance(Duration::from_secs(2));
    assert!(service.jobs().claim(16).await.unwrap().is_empty());
    harness.clock.advance(Duration::from_secs(4));
    assert_eq!(service.jobs().claim(16).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_written_by_the_old_time_after_the_look_is_moved_too() {
    let harness = Harness::new(Faults::at(usize::MAX, Moment::Before));
    let service = harness.service().await.unwrap();
    let begin = certmint::clock::Clock::now(&*harness.clock);
    set_issuer(&service, "waits").await.unwrap();
    harness.clock.advance(HOUR);
    assert!(service.jobs().claim(16).await.unwrap().is_empty());
    harness.clock.set(begin);
    assert!(service.jobs().claim(16).await.unwrap().is_empty(), "all was looked at");
    // Whoever read the clock before commits now.
    harness.clock.set(begin.plus(HOUR));
    create(&service, FIRST, "waits").await.unwrap();
    harness.clock.set(begin.plus(Duration::from_secs(1)));
    assert!(service.jobs().claim(16).await.unwrap().is_empty(), "it is due in an hour");
    harness.clock.advance(Duration::from_secs(2));
    assert_eq!(service.jobs().claim(16).await.unwrap().len(), 1);
}
