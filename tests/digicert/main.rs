//! The provider `DigiCert` against a server that was written from the documentation of the CertCentral
//! Services API (dev.digicert.com); no account at DigiCert was used.

mod cancel;
mod conformance;
mod crashes;
#[expect(dead_code, reason = "GlobalSign Atlas also looks at the certificate of its client")]
#[path = "../support/https.rs"]
mod https;
mod mock;
mod mode_acme;
mod orders;
#[expect(dead_code, reason = "the ACME tests start more of them")]
#[path = "../acme/peers.rs"]
mod peers;
mod play;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/program.rs"]
mod program;
mod renewal;
mod routes;
mod service;
#[expect(dead_code, reason = "GlobalSign Atlas also needs the certificates above a leaf")]
mod signer;
#[path = "../support/conformance.rs"]
mod suite;
mod validation;
