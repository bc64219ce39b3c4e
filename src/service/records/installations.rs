//! Where the reports of hosts belong.

use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::installation::Installation;

impl Stored for Installation {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Installation
            && place.names(&self.vault, self.certificate.as_str())
            && place.id == self.host.key()
    }
}
