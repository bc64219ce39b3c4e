//! Where vaults and their contacts belong.

use super::key::Place;
use super::kinds::{Kind, Stored};
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
