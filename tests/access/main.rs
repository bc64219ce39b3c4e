//! Who may do what, over both APIs: what grants allow, what everybody else is told, and what lists and streams show.
#![expect(clippy::disallowed_types, reason = "the clients of these tests take statuses apart")]

mod azure;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../azure/ca.rs"]
mod ca;
mod caller_limits;
mod granting;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/https.rs"]
mod https;
mod kit;
mod ledger;
mod lists;
mod many_streams;
mod matrix;
mod questions;
mod refusals;
mod report;
#[path = "../support/requested_key.rs"]
mod requested_key;
mod revocation;
mod rules;
mod streams;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/token_issuer.rs"]
mod token_issuer;
mod tokens_of_issuers;
