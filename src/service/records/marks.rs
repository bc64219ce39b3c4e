//! What a store says of itself: whether its records carry codes.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Every record of the store carries a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Marker {
    pub(super) since: Timestamp,
}

impl Marker {
    pub(super) const NAME: &str = "authenticated";
}

/// For how long after the window a takeover that was cut short may go on: servers that were stopped meanwhile.
const SLACK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Records are getting their codes. Written before any process accepts a record without one, and so before such a
/// process writes a code: a store with codes and without this record or the marker is one from which somebody took
/// them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Sweep {
    pub(super) started: Timestamp,
}

impl Sweep {
    pub(super) const NAME: &str = "sweep";

    pub(super) fn begin(now: Timestamp) -> Self {
        Self { started: now }
    }

    /// Whether records without a code are still accepted because of it. A copy that somebody kept and put back is good
    /// for no longer.
    pub(super) fn holds(&self, window: Duration, now: Timestamp) -> bool {
        now <= self.started.plus(window).plus(SLACK)
    }
}

/// One of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::service) enum Mark {
    Marker(Marker),
    Sweep(Sweep),
}
