//! The ACME engine against real servers on loopback: Debian's pebble as CA, its test DNS server,
//! and knot as a name server that takes updates.

mod accounts;
mod conformance;
mod crashes;
mod dns01;
mod http01;
mod peers;
mod play;
mod refusals;
mod service;
#[path = "../support/conformance.rs"]
mod suite;
