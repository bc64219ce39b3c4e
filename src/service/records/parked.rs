//! Due records that a version set aside.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

/// A record that was due when a version met it that has no job for its kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct ParkedRecord {
    pub(in crate::service) key: String,
    pub(in crate::service) since: Timestamp,
}
