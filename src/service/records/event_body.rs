//! The body of an event in the log.

use super::body;
use crate::domain::pending::Transition;
use crate::domain::{Error, Result};

/// The body of an event. It carries no code: the log says what happened, and nothing is decided by it.
pub(in crate::service) fn encode_event(transition: &Transition) -> Result<Vec<u8>> {
    body::plain(transition).map_err(|error| {
        tracing::error!(%error, "an event could not be written as JSON");
        Error::internal()
    })
}

/// What an event says; else why it cannot be read, in words for operators.
pub(in crate::service) fn decode_event(body: &[u8]) -> std::result::Result<Transition, String> {
    body::read_plain(body).map_err(|problem| problem.to_string())
}
