//! The provider `GlobalSign` against a server that was written from the types of the GCC services; no account at
//! GlobalSign was used.

mod atlas;
mod atlas_mock;
mod conformance;
#[path = "../support/https.rs"]
mod https;
mod mock;
mod orders;
#[expect(dead_code, reason = "the ACME tests start servers of others")]
#[path = "../acme/peers.rs"]
mod peers;
mod play;
#[path = "../support/ports.rs"]
mod ports;
#[expect(dead_code, reason = "these tests type commands, and call no REST API")]
#[path = "../support/program.rs"]
mod program;
mod service;
#[expect(dead_code, reason = "the DigiCert tests also need certificates of other keys")]
#[path = "../digicert/signer.rs"]
mod signer;
#[path = "../support/conformance.rs"]
mod suite;
