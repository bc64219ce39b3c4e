//! Where the records of built-in CAs belong.

use super::authorities::{CrlRecord, IssuedAdoption, IssuedIndex, ResponderRecord, RevokedRecord};
use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::issued::IssuedRecord;

impl Stored for IssuedRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Issued && place.vault == self.authority && place.name == self.serial.to_string()
    }
}

impl Stored for IssuedIndex {
    fn belongs(&self, place: &Place<'_>) -> bool {
        match place.kind {
            Kind::IssuedByTime => place.vault == self.authority,
            // Its first part is a hash of the key.
            Kind::IssuedByKey => true,
            _ => false,
        }
    }
}

impl Stored for RevokedRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Revoked
            && place.vault == self.authority
            && place.name == self.shard.to_string()
            && place.id == self.serial.to_string()
    }
}

impl Stored for CrlRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Crl && place.vault == self.authority && place.name == self.shard.to_string()
    }
}

impl Stored for ResponderRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Responder && place.vault == self.authority
    }
}

impl Stored for IssuedAdoption {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::IssuedAdoption
    }
}
