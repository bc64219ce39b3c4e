//! Where the records of rights belong.

use super::grants::{GrantRecord, RightsChanges, RoleRecord};
use super::key::Place;
use super::kinds::{Kind, Stored};

impl Stored for GrantRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Grant && place.vault == self.id.to_string()
    }
}

impl Stored for RoleRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Role && place.vault == self.id.to_string()
    }
}

impl Stored for RightsChanges {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::RightsChanges && place.vault == Self::NAME
    }
}
