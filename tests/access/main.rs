//! Who may do what, over both APIs: what grants allow, what everybody else is told, and what lists and streams show.
#![expect(clippy::disallowed_types, reason = "the clients of these tests take statuses apart")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../azure/ca.rs"]
mod ca;
mod kit;
mod ledger;
mod lists;
mod matrix;
mod questions;
mod refusals;
mod report;
mod rules;
mod streams;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;
