//! The server dies before or after any call of the store or of the issuer, is started again, and
//! finishes: one order at the authority, one version, every transition reported once.

mod authority;
mod clock;
mod faults;
mod harness;
mod kill;
mod oracle;
mod scenarios;

use faults::{Faults, Moment};
use harness::Harness;
use scenarios::Scenario;

/// Runs the scenario with a crash at call 1, 2, 3, … until a run needs fewer calls.
async fn at_every_call(scenario: Scenario) {
    for moment in [Moment::Before, Moment::After] {
        let mut call = 1;
        loop {
            let harness = Harness::new(Faults::at(call, moment));
            let crashed = harness.play(scenario).await;
            oracle::check(&harness, scenario).await.unwrap_or_else(|broken| {
                panic!("{scenario:?}, crash {moment:?} call {call}: {broken}");
            });
            if !crashed {
                break;
            }
            call += 1;
        }
        assert!(call > 5, "only {call} calls were crashed: the faults do not reach the service");
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_is_ordered_once() {
    at_every_call(Scenario::Issue).await;
}

#[tokio::test]
async fn a_cancellation_is_granted_once() {
    at_every_call(Scenario::Cancel).await;
}

#[tokio::test]
async fn the_authority_gets_the_cancellation_of_a_deleted_operation() {
    at_every_call(Scenario::Delete).await;
}

#[tokio::test]
async fn a_merge_makes_one_version() {
    at_every_call(Scenario::Merge).await;
}

#[tokio::test]
async fn a_failed_operation_is_overwritten_once() {
    at_every_call(Scenario::Overwrite).await;
}
