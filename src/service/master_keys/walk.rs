//! One step of the walk through all records, in the order of their keys: looks at some of them, and writes those that are
//! not under the newest master key.

use super::MasterKeyObjects;
use crate::domain::{Reason, Result};
use crate::service::records::{Kind, Next, PendingRecord, ResealRecord, Standing, Stays, Tally, key};
use crate::store::{Batch, Put, Record};
use std::collections::BTreeSet;

/// Records of one look.
const PAGE: usize = 100;
/// Records of one step.
const MAX_STEP: usize = 1000;
/// Bytes of one commit.
const MAX_BATCH: usize = 1 << 20;

/// What a step did.
pub(super) struct Walked {
    /// Records that were looked at.
    pub(super) records: u64,
    /// It came to the end of all records.
    pub(super) at_the_end: bool,
}

/// A record on its way, with the master keys that it needs as it is.
struct Rewrite {
    put: Put,
    before: BTreeSet<String>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Committed {
    Written,
    /// Somebody else wrote one of the records.
    Changed,
    NotTaken,
}

impl MasterKeyObjects {
    /// Goes on behind the last record that was looked at. What was written stays written, whatever comes of the step.
    pub(super) async fn walk(&self, job: &mut ResealRecord) -> Result<Walked> {
        let rate = usize::try_from(self.context.keys.reseal_rate()).unwrap_or(MAX_STEP);
        let mut left = rate.clamp(1, MAX_STEP);
        let mut records = 0;
        while left > 0 {
            let limit = PAGE.min(left);
            let page = self.context.store.list("", &job.after, limit).await?;
            let at_the_end = page.len() < limit;
            left -= page.len().min(left);
            records += page.len() as u64;
            let last = page.last().map(|record| record.key.clone());
            self.look_at(page, job).await?;
            if let Some(last) = last {
                job.after = last;
            }
            if at_the_end {
                return Ok(Walked { records, at_the_end });
            }
        }
        Ok(Walked { records, at_the_end: false })
    }

    async fn look_at(&self, page: Vec<Record>, job: &mut ResealRecord) -> Result<()> {
        let (mut rewrites, mut bytes) = (Vec::new(), 0);
        let own = key::reseal();
        for record in page {
            job.tally.records += 1;
            // The walk writes its own record with each step.
            if record.key == own.as_str() {
                job.tally.needs([&job.to]);
                continue;
            }
            let Standing { keys, next } = self.context.records.standing(&record);
            match next {
                Next::Nothing => job.tally.needs(&keys),
                Next::Body(_) if job.counts_only => job.tally.needs(&keys),
                Next::Body(_) if self.is_under_way(&record) => {
                    job.tally.again += 1;
                    job.tally.needs(&keys);
                }
                Next::Body(body) => {
                    bytes += body.len();
                    let Record { key, revision, body: _, due } = record;
                    rewrites.push(Rewrite { put: Put { key, expected: Some(revision), body, due }, before: keys });
                    if bytes >= MAX_BATCH {
                        self.write(std::mem::take(&mut rewrites), job).await?;
                        bytes = 0;
                    }
                }
                Next::Stays(Stays::Damaged(problem)) => {
                    job.tally.damaged += 1;
                    // One with a good code that cannot be read may be that of a newer version: its key still counts.
                    job.tally.needs(&keys);
                    job.tally.name(&record.key, problem);
                }
                Next::Stays(Stays::Unknown(problem)) => {
                    job.tally.unknown += 1;
                    job.tally.needs(&keys);
                    job.tally.name(&record.key, problem);
                }
            }
        }
        self.write(rewrites, job).await
    }

    /// Whether a step may be waiting for an issuer with this operation: its result would be refused, and asked for again.
    fn is_under_way(&self, record: &Record) -> bool {
        if !matches!(Kind::of(&record.key), Some(Kind::Pending | Kind::AbandonedOrder)) {
            return false;
        }
        let lease = self.context.records.read::<PendingRecord>(record).ok().and_then(|pending| pending.lease(record));
        lease.is_some_and(|end| end > self.context.now())
    }

    /// Where one record was changed meanwhile, the others are written one by one; the next pass looks at it again. One that
    /// the store does not take, such as one that became too large, stays as it is.
    async fn write(&self, rewrites: Vec<Rewrite>, job: &mut ResealRecord) -> Result<()> {
        if rewrites.is_empty() {
            return Ok(());
        }
        let puts = rewrites.iter().map(|rewrite| rewrite.put.clone()).collect();
        if self.commit(puts).await? == Committed::Written {
            written(job, rewrites.len() as u64);
            return Ok(());
        }
        for Rewrite { put, before } in rewrites {
            let key = put.key.clone();
            match self.commit(vec![put]).await? {
                Committed::Written => written(job, 1),
                Committed::Changed => {
                    job.tally.again += 1;
                    job.tally.needs(&before);
                }
                Committed::NotTaken => {
                    job.tally.unknown += 1;
                    job.tally.needs(&before);
                    job.tally.name(&key, "the store does not take it; the log of the server has the cause".to_owned());
                }
            }
        }
        Ok(())
    }

    async fn commit(&self, puts: Vec<Put>) -> Result<Committed> {
        match self.context.try_commit(Batch { puts, ..Batch::default() }).await {
            Ok(Some(_)) => Ok(Committed::Written),
            Ok(None) => Ok(Committed::Changed),
            Err(error) if error.reason == Reason::Internal => Ok(Committed::NotTaken),
            Err(error) => Err(error),
        }
    }
}

fn written(job: &mut ResealRecord, count: u64) {
    let Tally { written, keys, .. } = &mut job.tally;
    *written += count;
    *keys.entry(job.to.clone()).or_default() += count;
    job.resealed += count;
}
