//! Issuers and chains, checked with OpenSSL and a second X.509 library.

mod authority;
mod certificates;
mod chain_order;
mod chain_parse;
mod conformance;
mod openssl;
mod orders;
#[path = "../support/conformance.rs"]
mod suite;
