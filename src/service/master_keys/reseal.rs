//! Bringing every record under the newest master key: a record of the store says how far it came, and the worker of any
//! replica takes the next step. A process that is killed costs the step that it was in.

use super::MasterKeyObjects;
use super::status::MasterKeyStatus;
use super::walk::Walked;
use crate::domain::{Detail, Error, Reason, Result, Timestamp, VaultName};
use crate::service::access::{Permit, Target};
use crate::service::audit::{Scope, found};
use crate::service::records::{Counted, End, Ended, ResealRecord, Tally, key};
use crate::service::retry::retry;
use crate::store::{Batch, Record};
use std::time::Duration;

/// Passes through all records. Two are enough where nobody writes with another master key.
const MAX_PASSES: u32 = 20;
/// Before the records are looked at again that others worked on, at least.
const AGAIN: Duration = Duration::from_secs(5);
/// Before another replica is expected to have taken up what this one cannot do.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// A walk that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ResealRequest {
    /// Only count.
    pub counts_only: bool,
}

/// It concerns everything that the server has.
impl Target for ResealRequest {
    fn vault(&self) -> Option<&VaultName> {
        None
    }

    fn concerns_every_vault(&self) -> bool {
        true
    }
}

impl MasterKeyObjects {
    /// Begins a walk, which goes on by itself. One that is under way goes on where it does what is asked for.
    ///
    /// # Errors
    /// `ResealNotPossible` where another replica does not have the newest master key or writes with another one, and
    /// while records of an earlier version get their codes.
    pub async fn begin(&self, request: Permit<ResealRequest>) -> Result<MasterKeyStatus> {
        let by = request.caller().principal().to_owned();
        let counts_only = request.counts_only;
        self.refuse_unready(counts_only).await?;
        self.start(by, counts_only).await?;
        self.read_status().await
    }

    /// Ends a walk before it is through. What was written stays.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn stop(&self, _: Permit<ResealRequest>) -> Result<MasterKeyStatus> {
        retry!({
            let Some(record) = self.context.store.get(key::reseal().as_str()).await? else {
                return Ok(Some(()));
            };
            let Some(mut job) = self.context.records.unless_damaged::<ResealRecord>(&record)? else {
                return Ok(Some(()));
            };
            if !job.is_under_way() {
                return Ok(Some(()));
            }
            job.ended = Some(Ended { at: self.context.now(), how: End::Stopped });
            found(|found| found.detail = format!("{} records are under the master key {}", job.resealed, job.to));
            self.save(&record, &job, None).await.map(|saved| saved.then_some(()))
        })?;
        self.read_status().await
    }

    /// Begins a count by itself where there is more than one master key, and nobody counted for this long.
    ///
    /// # Errors
    /// Where the store is not available.
    pub(super) async fn count_after(&self, patience: Duration) -> Result<()> {
        if self.context.records.master_keys().count() < 2 || !self.context.records.is_strict() {
            return Ok(());
        }
        let now = self.context.now();
        if let Some(record) = self.context.store.get(key::reseal().as_str()).await? {
            let Some(job) = self.context.records.unless_damaged::<ResealRecord>(&record)? else { return Ok(()) };
            let last = job.counted.as_ref().map(|counted| counted.at).max(job.ended.map(|ended| ended.at));
            if job.is_under_way() || last.is_some_and(|last| last.plus(patience) > now) {
                return Ok(());
            }
        }
        self.start(String::new(), true).await
    }

    async fn start(&self, by: String, counts_only: bool) -> Result<()> {
        let records = &self.context.records;
        let newest = records.newest_key().to_owned();
        retry!({
            let there = self.context.store.get(key::reseal().as_str()).await?;
            let before = match &there {
                // One that was changed outside is made anew.
                Some(record) => records.unless_damaged::<ResealRecord>(record)?,
                None => None,
            };
            if let Some(job) = before.as_ref().filter(|job| job.is_under_way() && job.to == newest)
                && (counts_only || !job.counts_only)
            {
                return Ok(Some(()));
            }
            let now = self.context.now();
            let job = ResealRecord {
                to: newest.clone(),
                counts_only,
                begun: now,
                by: by.clone(),
                pass: 1,
                counted: before.and_then(|job| job.counted),
                ..ResealRecord::default()
            };
            if !counts_only {
                found(|found| found.detail = format!("to the master key {newest}"));
            }
            let expected = there.map(|record| record.revision);
            let puts = vec![records.put(&key::reseal(), expected, &job, Some(now))?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| ()))
        })
    }

    /// Takes the next step of the walk whose record is due.
    ///
    /// # Errors
    /// Where the store is not available: the step is due again when its lease ends.
    pub(in crate::service) async fn step(&self, record: &Record) -> Result<()> {
        let mut job: ResealRecord = self.context.records.read(record)?;
        if !job.is_under_way() {
            return self.save(record, &job, None).await.map(|_| ());
        }
        if job.counts_only {
            // A count goes on with other master keys, where servers were restarted with those meanwhile.
            self.context.records.newest_key().clone_into(&mut job.to);
        }
        if job.to != self.context.records.newest_key() {
            tracing::warn!(
                key = job.to,
                "records are to be brought under a master key that is not the newest one of this server; it leaves them to another replica"
            );
            let due = self.context.now().plus(ELSEWHERE);
            return self.save(record, &job, Some(due)).await.map(|_| ());
        }
        let Walked { records, at_the_end } = self.walk(&mut job).await?;
        let now = self.context.now();
        let rest = Duration::from_secs_f64(records as f64 / f64::from(self.context.keys.reseal_rate().max(1)));
        if !at_the_end {
            return self.save(record, &job, Some(now.plus(rest))).await.map(|_| ());
        }
        let tally = std::mem::take(&mut job.tally);
        let others_work = tally.again > 0;
        // A replica that was started meanwhile may write with another key behind the last look.
        let is_clean = tally.written == 0
            && tally.again == 0
            && (job.counts_only || self.unready_replica(&job.to).await?.is_none());
        job.after.clear();
        if is_clean || job.counts_only {
            job.counted = Some(Counted { at: now, tally: tally.clone() });
        }
        if is_clean || job.counts_only || job.pass >= MAX_PASSES {
            let how = if is_clean || job.counts_only { End::Done } else { End::Incomplete };
            job.tally = tally;
            job.ended = Some(Ended { at: now, how });
            return self.end(record, &job).await;
        }
        job.pass += 1;
        // The passes together take longer than the step of a replica that was killed counts as under way.
        let again = AGAIN.max(self.context.limits().work_lease / (MAX_PASSES - 2));
        let pause = if others_work { rest.max(again) } else { rest };
        self.save(record, &job, Some(now.plus(pause))).await.map(|_| ())
    }

    /// Says that the walk is over. That of a change of the store has its line in the ledger.
    async fn end(&self, record: &Record, job: &ResealRecord) -> Result<()> {
        if job.counts_only {
            return self.save(record, job, None).await.map(|_| ());
        }
        let Tally { damaged, unknown, again, .. } = job.tally;
        let said = format!(
            "{} records were brought under the master key {}; {damaged} are damaged, {unknown} could not be looked into, {again} were written by others",
            job.resealed, job.to
        );
        let ended = async {
            found(|found| found.detail.clone_from(&said));
            self.save(record, job, None).await
        };
        if Scope::job("end of a reseal").run(ended).await? {
            tracing::info!(passes = job.pass, "{said}");
        }
        Ok(())
    }

    /// False where somebody else wrote the record, who decides.
    async fn save(&self, record: &Record, job: &ResealRecord, due: Option<Timestamp>) -> Result<bool> {
        let puts = vec![self.context.records.replace(record, job, due)?];
        Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.is_some())
    }

    async fn refuse_unready(&self, counts_only: bool) -> Result<()> {
        // What needs which key such records do not say.
        if !self.context.records.is_strict() {
            return Err(refused(
                "takeover",
                "Records of a version without authentication codes are still getting theirs. Repeat it when that is over: certmint doctor --store says so.",
            ));
        }
        if counts_only {
            return Ok(());
        }
        let newest = self.context.records.newest_key();
        match self.unready_replica(newest).await? {
            Some(problem) => Err(refused("replica", &problem)),
            None => Ok(()),
        }
    }
}

fn refused(subject: &str, problem: &str) -> Error {
    Error::new(Reason::ResealNotPossible, problem).with(Detail::Precondition {
        kind: "MASTER_KEYS",
        subject: subject.to_owned(),
        description: problem.to_owned(),
    })
}
