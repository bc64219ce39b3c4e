//! The port, over real TLS on loopback: protocols, limits, slow peers, ages, and a stop that ends in time.

mod budget;
#[path = "../support/caller_certificates.rs"]
mod caller_certificates;
mod client_certificates;
mod crowd;
mod drain;
mod hostile;
mod limits;
mod protocols;
mod support;
