//! certmint: a certificate service with a gRPC contract and the REST API of Key Vault certificates.
//!
//! The map: `transport` parses and answers, `service` holds the use cases, `domain` the rules;
//! `store` and `issuer` are ports with adapters, `keys` makes and protects keys, `worker` advances pending operations,
//! `app` is the composition root. `ARCHITECTURE.md` has the allowed dependencies.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

pub mod agent;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
#[doc(hidden)]
pub mod fuzzing;
mod guarded_file;
pub mod issuer;
pub mod jwt;
pub mod keys;
pub mod limits;
pub mod line_file;
pub mod metrics;
pub mod mtls;
pub mod outbound;
pub mod peers;
mod process_group;
pub mod proto;
pub mod regular_file;
mod repeated;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod token_bucket;
pub mod transport;
pub mod worker;
#[cfg(test)]
mod written;
