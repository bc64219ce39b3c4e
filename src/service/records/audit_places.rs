//! Where the records of the audit ledger lie.

use super::audit::{AuditKeyRecord, AuditLine, AuditVolume, audit_time, place_of_line};
use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::keys::audit_key_id;

impl Stored for AuditLine {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::AuditLine && place.name == self.writer && place.id == place_of_line(self.seq)
    }
}

impl Stored for AuditKeyRecord {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::AuditKey && place.vault == audit_key_id(&self.public_key.0)
    }
}

impl Stored for AuditVolume {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::AuditVolume && place.vault == audit_time(self.hour) && place.name == self.writer
    }
}
