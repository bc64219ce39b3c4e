//! Helpers for several test binaries.

pub(crate) mod service;
