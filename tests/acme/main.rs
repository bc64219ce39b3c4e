//! The ACME engine against real servers on loopback: Debian's pebble as CA and a newer one, its test DNS server,
//! and knot and BIND as name servers that take updates.

mod accounts;
mod conformance;
mod crashes;
mod dns01;
mod http01;
mod newer;
mod peers;
mod play;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/program.rs"]
mod program;
mod refusals;
mod service;
mod speed;
#[path = "../support/conformance.rs"]
mod suite;
