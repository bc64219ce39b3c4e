//! Webhooks as their receivers see them: the whole program sends to a server that is slow, wrong, gone, and comes back.

mod faults;
#[expect(dead_code, reason = "the ACME tests start servers of others")]
#[path = "../acme/peers.rs"]
mod peers;
mod play;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/program.rs"]
mod program;
mod receiver;
mod replicas;
