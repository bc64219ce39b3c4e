//! `certmint agent` as a process beside a real server: what is in its files, when, and what is told of them.

mod away;
mod crash;
mod files;
mod installations;
mod nginx;
mod page;
#[expect(dead_code, reason = "the ACME tests start servers of others")]
#[path = "../acme/peers.rs"]
mod peers;
#[path = "../support/ports.rs"]
mod ports;
mod reload;
mod torn;
mod world;
