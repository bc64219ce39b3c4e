//! The simulation finds each mutant within a few seeds.

use crate::mutant::Mutant;
use crate::run::run;

/// Runs until the defect is found; what was found has to be about it.
fn found(mutant: Mutant, within: u64, about: &str) {
    for seed in 0..within {
        let broken = run(seed, Some(mutant)).broken;
        if broken.iter().any(|what| what.contains(about)) {
            println!("{mutant:?} was found by seed {seed}");
            return;
        }
    }
    panic!("{mutant:?} was not found within {within} seeds");
}

#[test]
fn a_store_that_numbers_before_it_commits_is_found() {
    found(Mutant::NumbersBeforeCommit, 200, "caught up");
}

#[test]
fn a_store_that_ignores_conflicts_is_found() {
    found(Mutant::IgnoresConflicts, 200, "a gap in the revisions");
}

#[test]
fn a_store_that_loses_an_event_is_found() {
    found(Mutant::LosesEvents, 200, "a change of what was never created");
}

#[test]
fn a_store_that_acknowledges_what_it_did_not_write_is_found() {
    found(Mutant::LosesCommits, 200, "was acknowledged as");
}

#[test]
fn an_order_that_is_never_cancelled_is_found() {
    found(Mutant::ForgetsTombstones, 200, "is still open");
}

#[test]
fn an_adapter_that_orders_anew_is_found() {
    found(Mutant::OrdersAnew, 200, "orders for");
}

#[test]
fn an_adapter_that_pretends_to_cancel_is_found() {
    found(Mutant::PretendsToCancel, 200, "is still open");
}

#[test]
fn a_repeat_that_is_not_recognised_is_found() {
    found(Mutant::ForgetsRepeats, 200, "was begun again by its own repeat");
}

#[test]
fn a_replica_that_never_polls_is_found() {
    found(Mutant::NeverPolls, 200, "caught up");
}
