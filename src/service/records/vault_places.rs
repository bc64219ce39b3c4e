//! Where vaults, their contacts and what holds for their renewals belong.

use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::renewal::VaultRenewals;
use crate::domain::{Contacts, Vault};

impl Stored for Contacts {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Contacts
    }
}

impl Stored for Vault {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Vault && place.vault == self.name.as_str()
    }
}

impl Stored for VaultRenewals {
    const ALWAYS_CODED: bool = true;

    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::VaultRenewals && place.vault == self.vault.as_str()
    }
}
