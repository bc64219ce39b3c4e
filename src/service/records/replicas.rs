//! Which replicas share a store, and which master keys they have.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A replica says each minute that it is there; after this time it is not counted any more.
const LIVE: Duration = Duration::from_secs(180);
/// After this time one that was killed is forgotten.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A process that shares the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ReplicaRecord {
    /// Drawn at the start of the process.
    pub(in crate::service) id: String,
    /// The ids of its master keys; the last one encrypts.
    pub(in crate::service) keys: Vec<String>,
    pub(in crate::service) since: Timestamp,
    /// When it said so last.
    pub(in crate::service) seen: Timestamp,
}

impl ReplicaRecord {
    /// Whether it is there, as far as is known.
    pub(in crate::service) fn is_live(&self, now: Timestamp) -> bool {
        now <= self.seen.plus(LIVE)
    }

    /// Whether it has been gone for long.
    pub(in crate::service) fn is_long_gone(&self, now: Timestamp) -> bool {
        now > self.seen.plus(KEPT)
    }
}
