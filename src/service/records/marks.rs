//! What a store says of itself: whether its records carry codes.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

/// Every record of the store carries a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Marker {
    pub(super) since: Timestamp,
}

impl Marker {
    pub(super) const NAME: &str = "authenticated";
}

/// Records are getting their codes. Written before the first of them, so that a store with codes and without this
/// record or the marker is one from which somebody took them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Sweep {
    pub(super) started: Timestamp,
}

impl Sweep {
    pub(super) const NAME: &str = "sweep";

    pub(super) fn begin(now: Timestamp) -> Self {
        Self { started: now }
    }
}
