//! What the network sees: one TLS port, and behind it the faces of the service.

pub mod errors;
pub mod listener;
pub mod tls;
