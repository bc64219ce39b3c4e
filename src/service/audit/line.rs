//! The form of a line of the audit ledger, version 1: a JSON object (RFC 8259) without line ends. Its hash, SHA-256 of its
//! bytes in hex, is `prev` of the next line of the same writer. docs/audit.md describes it.

use super::facts::Facts;
use crate::domain::{Result, Timestamp};
use crate::keys::{defect, digest};
use crate::service::records::hex;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The form that this version writes.
const FORM: u32 = 1;
/// `prev` of the first line of a writer.
pub(super) const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a line is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// A writer begins.
    Start,
    /// A writer has ended; nothing of it follows.
    Stop,
    Request,
    /// Work of the service itself.
    Service,
    /// Requests without accepted credentials: how many came from one address.
    Unauthenticated,
    /// Refusals that have no line of their own: how many of one caller.
    Refused,
    Checkpoint,
    /// The oldest lines were removed, as the retention has it.
    Trim,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl LineKind {
    /// As the line has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Request => "request",
            Self::Service => "service",
            Self::Unauthenticated => "unauthenticated",
            Self::Refused => "refused",
            Self::Checkpoint => "checkpoint",
            Self::Trim => "trim",
            Self::Unknown => "unknown",
        }
    }
}

/// Lines of a writer that may be missing: their commits failed, or nobody knows how they ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Unwritten {
    pub from: u64,
    pub to: u64,
    /// The hash of the last of them.
    pub sha256: String,
}

/// Up to where the lines of a writer were removed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    pub writer: String,
    pub seq: u64,
    /// The hash of the last one that was removed.
    pub sha256: String,
}

/// A signature over the place where a chain is: ECDSA on P-256 with SHA-256 over [`Checkpoint::message`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub writer: String,
    /// The line of the chain that holds the checkpoint.
    pub seq: u64,
    /// The hash of the line before it.
    pub prev: String,
    /// The id of the key.
    pub key: String,
    /// In DER, then in hex.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed.
    pub(super) fn message(writer: &str, seq: u64, prev: &str) -> String {
        format!("certmint audit checkpoint 1\n{writer}\n{seq}\n{prev}")
    }
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub v: u32,
    /// Counts the lines of a writer, from 1.
    pub seq: u64,
    /// RFC 3339, in UTC, to the millisecond; never before the line above it.
    pub time: String,
    /// A process from its start to its end.
    pub writer: String,
    pub prev: String,
    pub kind: LineKind,
    #[serde(flatten)]
    pub facts: Facts,
    #[serde(flatten)]
    pub notes: Notes,
}

/// What some kinds of lines have beside.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// How many requests this line stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unwritten: Vec<Unwritten>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

impl Line {
    pub(super) fn new(seq: u64, at: Timestamp, writer: &str, prev: &str, kind: LineKind, facts: Facts) -> Self {
        let (writer, prev) = (writer.to_owned(), prev.to_owned());
        Self { v: FORM, seq, time: text_of(at), writer, prev, kind, facts, notes: Notes::default() }
    }

    /// The line as it is written, and its hash.
    pub(super) fn written(&self) -> Result<(String, String)> {
        let text =
            serde_json::to_string(self).map_err(defect("a line of the audit ledger could not be written as JSON"))?;
        let hash = hash_of(text.as_bytes());
        Ok((text, hash))
    }

    /// When it was written; 1970 where the time cannot be read.
    pub(super) fn at(&self) -> Timestamp {
        timestamp_of(&self.time).unwrap_or_default()
    }
}

/// SHA-256 in hex.
pub(super) fn hash_of(line: &[u8]) -> String {
    hex(&digest::fingerprint(line))
}

/// `2026-11-30T22:55:00.123Z`.
fn text_of(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.0.rem_euclid(1000))
}

fn timestamp_of(text: &str) -> Option<Timestamp> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back() {
        for at in [0, 1, 999, 1_796_115_101_123] {
            assert_eq!(timestamp_of(&text_of(Timestamp(at))), Some(Timestamp(at)));
        }
        assert_eq!(text_of(Timestamp(1_796_115_101_123)), "2026-12-01T08:51:41.123Z");
    }

    #[test]
    fn a_line_is_one_object_whose_empty_members_are_left_out() {
        let facts = Facts { principal: "token:ci".into(), outcome: "200".into(), ..Facts::default() };
        let line = Line::new(7, Timestamp(0), "w", NOTHING_BEFORE, LineKind::Request, facts);
        let (text, hash) = line.written().unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"v":1,"seq":7,"time":"1970-01-01T00:00:00.000Z","writer":"w","prev":"{NOTHING_BEFORE}","kind":"request","principal":"token:ci","outcome":"200"}}"#
            )
        );
        assert_eq!(hash, hash_of(text.as_bytes()));
        let read: Line = serde_json::from_str(&text).unwrap();
        assert_eq!((read.seq, read.facts.principal.as_str(), read.kind), (7, "token:ci", LineKind::Request));
        let newer: Line = serde_json::from_str(&text.replace("\"request\"", "\"sealed\"")).unwrap();
        assert_eq!(newer.kind, LineKind::Unknown);
    }
}
