//! Where what holds for all renewals of a vault lies.

use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::renewal::VaultRenewals;

impl Stored for VaultRenewals {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::VaultRenewals && place.vault == self.vault.as_str()
    }
}
