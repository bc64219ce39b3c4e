//! Faults with real processes: replicas on a real PostgreSQL (and one on the embedded store) under a seeded load are
//! killed, stopped, cut off, filled up and set to the wrong time, and an oracle compares what they acknowledged with
//! the final state. A short part runs with the other tests; `make soak` is the long one.
//!
//! `SOAK_ROUNDS` is the number of faults of each test, `SOAK_SEED` repeats the choices of a run. Which thread is how
//! far when a fault strikes is not in the seed: repeat with more rounds.

mod authority;
mod backlog;
mod client;
mod clocks;
mod cluster;
mod database;
mod dice;
mod disk;
mod figures;
mod harness;
mod issuer;
mod ledger;
mod load;
mod many;
mod network;
mod old_stores;
mod oracle;
#[path = "../support/permit.rs"]
mod permit;
#[path = "../support/postgres.rs"]
mod postgres;
mod process;
mod proxy;
mod read_only;
mod replicas;
mod watcher;
