//! Issuer plug-ins: the provider against a plug-in in this process, over a Unix socket and TLS, and the whole program.

mod answers;
mod conformance;
mod hints;
mod mock;
#[expect(dead_code, reason = "the orders of another suite, of which this one needs some")]
#[path = "../issuer/orders.rs"]
mod orders;
#[path = "../support/permit.rs"]
mod permit;
#[path = "../support/ports.rs"]
mod ports;
mod program;
#[path = "../support/service.rs"]
mod service;
#[path = "../support/conformance.rs"]
mod suite;
mod tls;
