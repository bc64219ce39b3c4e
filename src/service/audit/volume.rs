//! How much this process wrote into the ledger, hour by hour, for the retention by bytes.

use crate::domain::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const HOUR_MS: i64 = 3_600_000;

/// When the hour of a time began.
pub(super) fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(HOUR_MS))
}

/// Counts lines by hours.
#[derive(Debug, Default)]
pub(super) struct Volume(Mutex<BTreeMap<Timestamp, Hour>>);

/// What was written in an hour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Hour {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    is_new: bool,
}

impl Volume {
    pub(super) fn add(&self, at: Timestamp, bytes: usize) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hours.entry(hour_of(at)).or_default();
        hour.lines += 1;
        hour.bytes += bytes as u64;
        hour.is_new = true;
    }

    /// The hours whose records are to be written.
    pub(super) fn news(&self) -> Vec<(Timestamp, Hour)> {
        let hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.iter().filter(|(_, hour)| hour.is_new).map(|(at, hour)| (*at, *hour)).collect()
    }

    /// They were written; hours before `now` are forgotten, unless lines came in meanwhile.
    pub(super) fn stored(&self, news: &[(Timestamp, Hour)], now: Timestamp) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, written) in news {
            if let Some(hour) = hours.get_mut(at) {
                hour.is_new = hour.lines != written.lines;
            }
        }
        let current = hour_of(now);
        hours.retain(|at, hour| hour.is_new || *at >= current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_told_again_only_where_lines_came_in() {
        let volume = Volume::default();
        let (first, second) = (Timestamp(10), Timestamp(HOUR_MS + 10));
        volume.add(first, 100);
        volume.add(second, 50);
        let news = volume.news();
        assert_eq!(
            news.iter().map(|(at, hour)| (at.0, hour.lines, hour.bytes)).collect::<Vec<_>>(),
            [(0, 1, 100), (HOUR_MS, 1, 50)]
        );
        volume.add(second, 7);
        volume.stored(&news, second);
        let news = volume.news();
        assert_eq!(news.len(), 1);
        assert_eq!((news[0].0.0, news[0].1.lines, news[0].1.bytes), (HOUR_MS, 2, 57));
        volume.stored(&news, Timestamp(3 * HOUR_MS));
        assert!(volume.news().is_empty() && volume.0.lock().unwrap().is_empty());
    }
}
