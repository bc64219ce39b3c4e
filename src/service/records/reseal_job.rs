//! The record of the walk that brings every record under the newest master key.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records that are named because they stayed as they are.
const MAX_NAMED: usize = 20;
/// Master keys that are counted apart: whoever can write to the database can name any.
const MAX_KEYS: usize = 2000;
/// What the keys above that are counted as.
pub(in crate::service) const OTHERS: &str = "(others)";

/// The walk that is under way, or the last one; due while it is under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::service) struct ResealRecord {
    /// The id of the master key under which everything is brought.
    pub(in crate::service) to: String,
    /// Nothing is written, only counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::service) counts_only: bool,
    pub(in crate::service) begun: Timestamp,
    /// The principal who asked for it; empty for the server itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::service) by: String,
    /// From 1: it goes through all records until nothing is left to do.
    pub(in crate::service) pass: u32,
    /// The key of the last record of this pass that was looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::service) after: String,
    /// Records that were written, in all passes.
    #[serde(default)]
    pub(in crate::service) resealed: u64,
    /// Of this pass.
    #[serde(default)]
    pub(in crate::service) tally: Tally,
    /// When it ended, and how; none while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) ended: Option<Ended>,
    /// The last pass that looked at everything and had nothing to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::service) counted: Option<Counted>,
}

/// The end of a walk.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct Ended {
    pub(in crate::service) at: Timestamp,
    pub(in crate::service) how: End,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::service) enum End {
    /// Everything that can be is under the newest master key.
    Done,
    /// Somebody stopped it.
    Stopped,
    /// Others wrote with another master key all the while.
    Incomplete,
}

/// What a pass counted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct Counted {
    pub(in crate::service) at: Timestamp,
    pub(in crate::service) tally: Tally,
}

/// Counts of one pass.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct Tally {
    /// Records that were looked at.
    #[serde(default)]
    pub(in crate::service) records: u64,
    /// How many of them need a master key, by its id, as they were left.
    #[serde(default)]
    pub(in crate::service) keys: BTreeMap<String, u64>,
    /// Records that were written.
    #[serde(default)]
    pub(in crate::service) written: u64,
    /// Records that somebody else wrote meanwhile, or works on: the next pass looks at them again.
    #[serde(default)]
    pub(in crate::service) again: u64,
    /// Damaged records.
    #[serde(default)]
    pub(in crate::service) damaged: u64,
    /// Records that this version, or this server with its master keys, cannot look into.
    #[serde(default)]
    pub(in crate::service) unknown: u64,
    /// Some of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::service) named: Vec<Named>,
}

/// A record that stayed as it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct Named {
    pub(in crate::service) key: String,
    pub(in crate::service) problem: String,
}

impl Tally {
    /// A record that needs these keys.
    pub(in crate::service) fn needs<'a>(&mut self, keys: impl IntoIterator<Item = &'a String>) {
        for key in keys {
            let apart = self.keys.len() < MAX_KEYS || self.keys.contains_key(key);
            *self.keys.entry(if apart { key.clone() } else { OTHERS.to_owned() }).or_default() += 1;
        }
    }

    pub(in crate::service) fn name(&mut self, key: &str, problem: String) {
        if self.named.len() < MAX_NAMED {
            self.named.push(Named { key: key.to_owned(), problem });
        }
    }
}

impl ResealRecord {
    pub(super) const NAME: &str = "latest";

    /// Whether it is under way.
    pub(in crate::service) fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }
}
