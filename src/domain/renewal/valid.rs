//! When a version is valid, which all that is said of its renewal counts from.

use crate::domain::{Timestamp, VersionSummary};

/// A CA that dates certificates back for clients whose clocks are slow does so by no more.
const DATED_BACK: i64 = 3_600_000;

/// When a version is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Valid {
    pub begin: Timestamp,
    pub end: Timestamp,
}

impl Valid {
    /// When a version is valid, without what its CA dated it back.
    pub fn of(version: &VersionSummary) -> Self {
        let dated_back = version.created.0.saturating_sub(version.not_before.0);
        let begin = if (0..=DATED_BACK).contains(&dated_back) { version.created } else { version.not_before };
        Self { begin, end: version.expires }
    }

    /// In milliseconds, and never 0.
    pub(super) fn life(self) -> i64 {
        self.end.0.saturating_sub(self.begin.0).max(1)
    }

    /// When this share of the life is left.
    pub fn left(self, share: i64) -> Timestamp {
        Timestamp(self.end.0.saturating_sub(self.life() / share))
    }

    /// When a third of the life is over.
    pub fn third(self) -> Timestamp {
        Timestamp(self.begin.0.saturating_add(self.life() / 3))
    }

    /// The part of its life, in milliseconds.
    pub fn part(self, share: i64) -> i64 {
        self.life() / share
    }
}
