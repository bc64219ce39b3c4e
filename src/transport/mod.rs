//! What the network sees: one TLS port, and behind it the faces of the service.

pub mod auth;
pub mod errors;
pub mod host;
pub mod listener;
pub mod rest;
pub mod tls;
