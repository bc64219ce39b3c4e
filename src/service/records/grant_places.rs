//! Where the records of rights belong.

use super::grants::{GrantRecord, RightsChanges, RoleRecord};
use super::key::Place;
use super::kinds::{Kind, Stored};

impl Stored for GrantRecord {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Grant && place.vault == self.id.to_string()
    }
}

impl Stored for RoleRecord {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Role && place.vault == self.id.to_string()
    }
}

impl Stored for RightsChanges {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::RightsChanges && place.vault == Self::NAME
    }
}
