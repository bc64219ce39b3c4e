//! The provider `GlobalSign` against a server that was written from the types of the GCC services; no account at
//! GlobalSign was used.

mod atlas;
mod atlas_mock;
mod conformance;
#[path = "../support/https.rs"]
mod https;
mod mock;
mod orders;
mod play;
#[expect(dead_code, reason = "the soak tests do more to servers")]
#[path = "../soak/process.rs"]
mod process;
mod service;
#[expect(dead_code, reason = "the DigiCert tests also need certificates of other keys")]
#[path = "../digicert/signer.rs"]
mod signer;
#[path = "../support/conformance.rs"]
mod suite;
