//! Faults with real processes: replicas on a real PostgreSQL (and one on the embedded store) under a seeded load are
//! killed, stopped, cut off, filled up and set to the wrong time, and an oracle compares what they acknowledged with
//! the final state. A short part runs with the other tests; `make soak` is the long one.
//!
//! `SOAK_ROUNDS` is the number of faults of each test, `SOAK_SEED` repeats the choices of a run. Which thread is how
//! far when a fault strikes is not in the seed: repeat with more rounds.

#[expect(dead_code, reason = "the tests of the provider look at more of it")]
#[path = "../globalsign/atlas_mock.rs"]
mod atlas_mock;
mod authorities;
mod authority;
mod backlog;
mod client;
mod clocks;
mod cluster;
mod database;
mod dice;
mod disk;
mod figures;
#[expect(dead_code, reason = "the tests of the provider look at more of it")]
#[path = "../globalsign/mock.rs"]
mod gcc;
mod harness;
#[path = "../support/https.rs"]
mod https;
mod issuer;
mod ledger;
mod load;
mod many;
#[expect(dead_code, reason = "the tests of the provider look at more of it")]
#[path = "../digicert/mock.rs"]
mod mock;
mod network;
mod old_stores;
mod oracle;
#[expect(dead_code, reason = "the ACME tests start more of them")]
#[path = "../acme/peers.rs"]
mod peers;
#[path = "../support/permit.rs"]
mod permit;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres.rs"]
mod postgres;
mod process;
mod proxy;
mod read_only;
mod replicas;
#[path = "../digicert/routes.rs"]
mod routes;
#[path = "../digicert/signer.rs"]
mod signer;
mod watcher;
