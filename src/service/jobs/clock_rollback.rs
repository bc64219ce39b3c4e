//! Reschedules due times after the system clock moved backwards.

use super::Jobs;
use crate::domain::{Result, Timestamp};
use crate::service::records::{Codec, Kind, PendingRecord};
use crate::service::retry::retry;
use crate::store::{Batch, Put, Record};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Corrections of a clock that is kept right are smaller.
const NOTEWORTHY: Duration = Duration::from_secs(10);
/// Records of one look.
const PAGE: usize = 500;

/// The latest time that was seen.
#[derive(Debug)]
pub(in crate::service) struct LatestTime(AtomicI64);

impl Default for LatestTime {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl LatestTime {
    /// By how much the clock was set back since the last call; reported once.
    fn set_back(&self, now: Timestamp) -> Option<Duration> {
        let latest = self.0.fetch_max(now.0, Ordering::AcqRel);
        let back = Duration::from_millis(u64::try_from(latest.saturating_sub(now.0)).unwrap_or(0));
        (back > NOTEWORTHY).then(|| {
            self.0.store(now.0, Ordering::Release);
            back
        })
    }
}

impl Jobs {
    /// Brings due times along where the clock was set back; without it, work that waits for a second would wait for
    /// as long as the clock was wrong. Every record of an operation is looked at, which is right for something rare.
    pub(super) async fn follow_the_clock(&self, now: Timestamp) -> Result<()> {
        let Some(back) = self.latest.set_back(now) else { return Ok(()) };
        tracing::warn!(seconds = back.as_secs(), "the clock was set back; due times were moved back with it");
        let shifted = self.shift(now, back).await;
        if shifted.is_err() {
            // The next claim finds the clock set back once more.
            self.latest.0.fetch_max(now.plus(back).0, Ordering::AcqRel);
        }
        shifted
    }

    async fn shift(&self, now: Timestamp, back: Duration) -> Result<()> {
        for prefix in [Kind::Pending.prefix(), Kind::AbandonedOrder.prefix()] {
            let mut after = String::new();
            loop {
                let page = self.context.store.list(prefix, &after, PAGE).await?;
                let Some(last) = page.last().map(|record| record.key.clone()) else { break };
                for record in page {
                    shift_one(self, record, now, back).await?;
                }
                after = last;
            }
        }
        Ok(())
    }
}

/// A concurrent writer may have used the time before, if it read the clock just before it was set back, or
/// the time after: then it is right as it is.
async fn shift_one(jobs: &Jobs, record: Record, now: Timestamp, back: Duration) -> Result<()> {
    let key = record.key.clone();
    let time_before = now.plus(back).minus(NOTEWORTHY);
    let mut listed = Some(record);
    retry!({
        let record = match listed.take() {
            Some(record) => record,
            None => match jobs.context.store.get(&key).await? {
                Some(found) if found.due.is_none_or(|due| due >= time_before) => found,
                _ => return Ok(Some(())),
            },
        };
        let Some(due) = record.due.filter(|due| *due > now) else { return Ok(Some(())) };
        let Some(put) = shifted(&jobs.context.records, record, due.minus(back)) else { return Ok(Some(())) };
        Ok(jobs.context.try_commit(Batch { puts: vec![put], ..Batch::default() }).await?.map(|_| ()))
    })
}

/// What is held by a step under way is repeated: its commit finds another revision. What cannot be read was logged.
fn shifted(codec: &Codec, record: Record, due: Timestamp) -> Option<Put> {
    let pending: PendingRecord = codec.read(&record).ok()?;
    if pending.lease(&record).is_some() {
        let Record { key, revision, body, due: _ } = record;
        return Some(Put { key, expected: Some(revision), body, due: Some(due) });
    }
    let pending = PendingRecord { planned: Some(due), ..pending };
    codec.replace(&record, &pending, Some(due)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed_once() {
        let latest = LatestTime::default();
        let at = |seconds| latest.set_back(Timestamp::from_seconds(seconds));
        assert_eq!([at(5000), at(8600), at(8599)], [None; 3]);
        assert_eq!(at(5000), Some(Duration::from_secs(3600)));
        assert_eq!([at(5000), at(5001)], [None; 2]);
    }
}
