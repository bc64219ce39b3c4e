//! The records of the audit ledger: its lines, the keys that sign its checkpoints, and how much there is of it.

use crate::domain::text::hex;
use crate::domain::{Blob, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A line of the ledger, in the very bytes that were hashed.
#[derive(Clone, Debug)]
pub(in crate::service) struct AuditLine {
    pub(super) writer: String,
    pub(super) seq: u64,
    line: Box<RawValue>,
}

/// What a line says of its place.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    writer: String,
}

impl AuditLine {
    /// `line` is that line of the writer, a JSON object.
    pub(in crate::service) fn new(writer: String, seq: u64, line: String) -> serde_json::Result<Self> {
        Ok(Self { writer, seq, line: RawValue::from_string(line)? })
    }

    pub(in crate::service) fn text(&self) -> &str {
        self.line.get()
    }
}

impl Serialize for AuditLine {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.line.serialize(to)
    }
}

impl<'de> Deserialize<'de> for AuditLine {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let line = Box::<RawValue>::deserialize(from)?;
        let Head { seq, writer } = serde_json::from_str(line.get()).map_err(D::Error::custom)?;
        Ok(Self { writer, seq, line })
    }
}

/// The last part of the key of a line: sorts as the lines of a writer were made.
pub(super) fn place_of_line(seq: u64) -> String {
    format!("{seq:012}")
}

/// A time as keys have it.
pub(in crate::service) fn audit_time(at: Timestamp) -> String {
    format!("{:015}", at.0.max(0))
}

/// A key that signs checkpoints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct AuditKeyRecord {
    /// PKCS#8, sealed.
    pub(in crate::service) sealed_key: Blob,
    /// SubjectPublicKeyInfo, DER.
    pub(in crate::service) public_key: Blob,
    pub(in crate::service) created: Timestamp,
}

/// How much a writer added to the ledger within an hour, as of its last checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct AuditVolume {
    pub(in crate::service) writer: String,
    /// When the hour began.
    pub(in crate::service) hour: Timestamp,
    pub(in crate::service) lines: u64,
    /// Of the lines, without what a database needs beside.
    pub(in crate::service) bytes: u64,
}

/// Who writes: 16 hex digits for each start of a process.
pub(in crate::service) fn writer_of(id: uuid::Uuid) -> String {
    hex(&id.as_bytes()[..8])
}
