//! Where the records of built-in CAs belong.

use super::authorities::{CrlRecord, IssuedAdoption, IssuedIndex, ResponderRecord, RevokedRecord};
use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::Blob;
use crate::domain::authority::AuthorityRecord;
use crate::domain::issued::IssuedRecord;
use crate::keys::hierarchy::key_of_request;
use crate::keys::{authority, public_key_of};

/// Its name is the identifier of the key that signs: of its certificate, or of the request for one.
impl Stored for AuthorityRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        let of_request = || self.above.csr.as_ref().and_then(|csr| key_of_request(&csr.0));
        let key = self.chain.first().map_or_else(of_request, |Blob(der)| public_key_of(der));
        let id = key.map(|key| authority::identifier_of_key(&key));
        place.kind == Kind::Authority && id.is_some_and(|id| place.names(&self.vault, &id))
    }
}

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
