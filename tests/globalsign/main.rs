//! The provider `GlobalSign` against a server that was written from the types of the GCC services; no account at
//! GlobalSign was used.

mod conformance;
mod mock;
mod orders;
mod play;
#[expect(dead_code, reason = "the DigiCert tests also need certificates of other keys")]
#[path = "../digicert/signer.rs"]
mod signer;
#[path = "../support/conformance.rs"]
mod suite;
