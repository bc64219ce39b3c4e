//! Reschedules due times after the system clock moved backwards.

use super::Jobs;
use crate::domain::{CertificateEntry, Result, Timestamp};
use crate::service::audit::{RENEWAL, Scope};
use crate::service::records::{Codec, Kind, PendingRecord};
use crate::service::retry::retry;
use crate::store::{Batch, Put, Record};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Corrections of a clock that is kept right are smaller.
const NOTEWORTHY: Duration = Duration::from_secs(10);
/// Records of one look.
const PAGE: usize = 500;
/// Whoever read the clock before it was set back may commit after the first look; a request and a step have ended by
/// the last of these (`limits.request_timeout`, `limits.work_lease`).
const LATE_LOOKS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(30), Duration::from_secs(120)];
/// Whose work would wait for as long as the clock was wrong, or be signed in the future.
const KINDS: [Kind; 7] = [
    Kind::Pending,
    Kind::AbandonedOrder,
    Kind::Revoked,
    Kind::Crl,
    Kind::Responder,
    Kind::Authority,
    Kind::Certificate,
];

/// The latest time that was seen.
#[derive(Debug)]
pub(in crate::service) struct LatestTime {
    latest: AtomicI64,
    /// How the clock was last set back, and how many of the late looks were taken since.
    late: Mutex<Option<(SetBack, usize)>>,
}

impl Default for LatestTime {
    fn default() -> Self {
        Self { latest: AtomicI64::new(i64::MIN), late: Mutex::default() }
    }
}

/// The clock was set back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct SetBack {
    /// The time after it.
    at: Timestamp,
    by: Duration,
}

impl SetBack {
    /// What is due from here on was written in the time before.
    fn time_before(self) -> Timestamp {
        self.at.plus(self.by).minus(NOTEWORTHY)
    }
}

impl LatestTime {
    /// By how much the clock was set back since the last call; reported once.
    fn set_back(&self, now: Timestamp) -> Option<SetBack> {
        let latest = self.latest.fetch_max(now.0, Ordering::AcqRel);
        let by = Duration::from_millis(u64::try_from(latest.saturating_sub(now.0)).unwrap_or(0));
        (by > NOTEWORTHY).then(|| {
            self.latest.store(now.0, Ordering::Release);
            SetBack { at: now, by }
        })
    }

    /// The set back for which it is time to look once more, and the number of that look.
    fn late_look(&self, now: Timestamp) -> Option<(SetBack, usize)> {
        let late = self.late();
        late.filter(|(back, taken)| LATE_LOOKS.get(*taken).is_some_and(|after| back.at.plus(*after) <= now))
    }

    fn taken(&self, back: SetBack, looks: usize) {
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = Some((back, looks));
    }

    fn late(&self) -> Option<(SetBack, usize)> {
        *self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// Brings due times along where the clock was set back; without it, work that waits for a second would wait for
    /// as long as the clock was wrong. Every record of these kinds is looked at, which is right for something rare.
    pub(super) async fn follow_the_clock(&self, now: Timestamp) -> Result<()> {
        if let Some(back) = self.latest.set_back(now) {
            tracing::warn!(seconds = back.by.as_secs(), "the clock was set back; due times were moved back with it");
            let shifted = self.shift(back, now).await;
            match &shifted {
                Ok(()) => self.latest.taken(back, 0),
                // The next claim finds the clock set back once more.
                Err(_) => {
                    self.latest.latest.fetch_max(now.plus(back.by).0, Ordering::AcqRel);
                }
            }
            return shifted;
        }
        if let Some((back, taken)) = self.latest.late_look(now) {
            self.shift(back, back.time_before()).await?;
            self.latest.taken(back, taken + 1);
        }
        Ok(())
    }

    /// Moves what is due later than `from`.
    async fn shift(&self, back: SetBack, from: Timestamp) -> Result<()> {
        for kind in KINDS {
            let mut after = String::new();
            loop {
                let page = self.context.store.list(kind.prefix(), &after, PAGE).await?;
                let Some(last) = page.last().map(|record| record.key.clone()) else { break };
                for record in page {
                    shift_one(self, record, back, from).await?;
                }
                after = last;
            }
        }
        Ok(())
    }
}

/// A concurrent writer may have used the time before, if it read the clock just before it was set back, or
/// the time after: then it is right as it is.
async fn shift_one(jobs: &Jobs, record: Record, back: SetBack, from: Timestamp) -> Result<()> {
    let key = record.key.clone();
    let mut listed = Some(record);
    retry!({
        let record = match listed.take() {
            Some(record) => record,
            None => match jobs.context.store.get(&key).await? {
                Some(found) if found.due.is_none_or(|due| due >= back.time_before()) => found,
                _ => return Ok(Some(())),
            },
        };
        let Some(due) = record.due.filter(|due| *due > from) else { return Ok(Some(())) };
        let Some(put) = shifted(&jobs.context.records, record, due.minus(back.by), back.at) else {
            return Ok(Some(()));
        };
        let commit = jobs.context.try_commit(Batch { puts: vec![put], ..Batch::default() });
        // When a renewal is looked at next is nothing for the audit ledger.
        let committed = match Kind::of(&key) {
            Some(Kind::Certificate) => Scope::job(RENEWAL).run(commit).await?,
            _ => commit.await?,
        };
        Ok(committed.map(|_| ()))
    })
}

/// What is held by a step under way is repeated: its commit finds another revision. What cannot be read was logged.
fn shifted(codec: &Codec, record: Record, due: Timestamp, now: Timestamp) -> Option<Put> {
    if Kind::of(&record.key) == Some(Kind::Certificate) {
        return planned_anew(codec, &record, now);
    }
    let moved = |Record { key, revision, body, due: _ }| Put { key, expected: Some(revision), body, due: Some(due) };
    if !matches!(Kind::of(&record.key), Some(Kind::Pending | Kind::AbandonedOrder)) {
        return Some(moved(record));
    }
    let pending: PendingRecord = codec.read(&record).ok()?;
    if pending.lease(&record).is_some() {
        return Some(moved(record));
    }
    let pending = PendingRecord { planned: Some(due), ..pending };
    codec.replace(&record, &pending, Some(due)).ok()
}

/// A renewal is due by the certificate's own dates: only what was put off by the time before is planned anew, and what
/// was claimed then.
fn planned_anew(codec: &Codec, record: &Record, now: Timestamp) -> Option<Put> {
    let mut entry: CertificateEntry = codec.read(record).ok()?;
    if let Some(renewal) = &mut entry.renewal {
        renewal.after_set_back(now);
    }
    let mut batch = Batch::default();
    codec.put_entry(&mut batch, Some(record), &entry).ok()?;
    batch.puts.pop().filter(|put| put.due != record.due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed_once() {
        let latest = LatestTime::default();
        let at = |seconds| latest.set_back(Timestamp::from_seconds(seconds));
        assert_eq!([at(5000), at(8600), at(8599)], [None; 3]);
        let back = SetBack { at: Timestamp::from_seconds(5000), by: Duration::from_secs(3600) };
        assert_eq!(at(5000), Some(back));
        assert_eq!([at(5000), at(5001)], [None; 2]);
    }
}
