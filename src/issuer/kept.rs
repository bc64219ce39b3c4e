//! The JSON form of what providers keep: the state of an issuer object, which the service seals, and the checkpoint of
//! an order. Each says its version; new members have defaults, so that every released form loads.

use super::provider::State;
use super::{Checkpoint, IssuerError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// A value that says in which form it was written.
pub(super) trait Versioned: Serialize + DeserializeOwned {
    /// The form that this release reads and writes.
    const VERSION: u32;

    /// The form of this value.
    fn version(&self) -> u32;
}

/// # Errors
/// A form of a newer release, which a replica of that release can read; or one that nobody can.
pub(super) fn read_state<T: Versioned>(state: &State) -> Result<T, IssuerError> {
    match serde_json::from_slice::<T>(&state.0) {
        Ok(read) if read.version() == T::VERSION => Ok(read),
        Ok(_) => Err(newer("issuer")),
        // The text of the parser could repeat a secret.
        Err(_) => Err(IssuerError::Misconfigured {
            source: "The state of the issuer cannot be read. Set the issuer again.".into(),
        }),
    }
}

pub(super) fn write_state<T: Versioned>(state: &T) -> State {
    // Texts, numbers and lists are all it holds: they can be written.
    State(Zeroizing::new(serde_json::to_vec(state).unwrap_or_default()))
}

/// What a checkpoint holds; `None` before the first step.
///
/// # Errors
/// A form that this release cannot read.
pub(super) fn read_checkpoint<T: Versioned>(at: &Checkpoint) -> Result<Option<T>, IssuerError> {
    if at.0.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice::<T>(&at.0) {
        Ok(read) if read.version() == T::VERSION => Ok(Some(read)),
        _ => Err(newer("order")),
    }
}

pub(super) fn write_checkpoint<T: Versioned>(saved: &T) -> Checkpoint {
    // As of a state.
    Checkpoint(serde_json::to_vec(saved).unwrap_or_default())
}

fn newer(what: &str) -> IssuerError {
    let text = format!("The {what} was written by a newer release; a replica of that release will continue it.");
    IssuerError::Retry { after: None, source: text.into() }
}
