//! Where the records about master keys lie.

use super::key::Place;
use super::kinds::{Kind, Stored};
use super::replicas::ReplicaRecord;
use super::reseal_job::ResealRecord;

impl Stored for ReplicaRecord {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Replica && place.vault == self.id
    }
}

impl Stored for ResealRecord {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Reseal && place.vault == Self::NAME
    }
}
