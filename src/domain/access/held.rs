//! The grants that one caller holds: those of the principal, and those of the groups that it is in.

use super::grant::Grant;
use std::sync::Arc;

/// The grants of one principal or group.
pub(super) type OfOne = Arc<[Arc<Grant>]>;

/// The grants of a caller by all of its names, as they were at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Held {
    // Most callers have one name.
    first: OfOne,
    more: Vec<OfOne>,
}

impl Held {
    pub(super) fn add(&mut self, grants: &OfOne) {
        if self.first.is_empty() {
            self.first = grants.clone();
        } else {
            self.more.push(grants.clone());
        }
    }

    /// In the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.first.iter().chain(self.more.iter().flat_map(|grants| grants.iter()))
    }
}
