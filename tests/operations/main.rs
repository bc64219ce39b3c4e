//! The server in production: outside development mode, with tokens, a certificate, the operators' port, an orderly
//! shutdown, and a restored store.
#![expect(clippy::disallowed_types, reason = "the clients of these tests take statuses apart")]

mod access;
mod admin;
#[path = "../support/around.rs"]
mod around;
mod audit;
mod auth;
mod backup;
#[path = "../support/caller_certificates.rs"]
#[expect(dead_code, reason = "other test binaries use the rest")]
mod caller_certificates;
mod client_certificates;
mod clients;
mod cors;
mod cost;
mod deploy;
mod drain;
mod erase;
mod hostile;
mod hosts;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/https.rs"]
mod https;
mod ledger;
mod master_key_command;
#[path = "../support/permit.rs"]
mod permit;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres.rs"]
mod postgres;
mod readiness;
mod reload;
mod reseal;
mod server;
mod start;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/token_issuer.rs"]
mod token_issuer;
