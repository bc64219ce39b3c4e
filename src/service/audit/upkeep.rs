//! What the ledger needs as time goes by: checkpoints, what was only counted, and an end of what is too old.

use super::facts::Facts;
use super::line::{Line, LineKind, Notes, Removed, hash_of};
use super::scope::of_service;
use super::trail::AuditTrail;
use super::volume::hour_of;
use crate::domain::{Result, Timestamp};
use crate::service::records::{AuditLine, AuditVolume, audit_time, key};
use crate::store::{Batch, Delete, Record};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A checkpoint after so many lines, or when this time has passed since the last one and there are lines.
const SIGNED_LINES: u64 = 1000;
const SIGNED_EVERY: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Lines that are removed in one commit, and commits of one look at the retention.
const STEP: usize = 500;
const STEPS: usize = 100;
/// Between two looks at how many bytes there are.
const WEIGH_EVERY: u32 = 60;

impl AuditTrail {
    /// Works until `shutdown`.
    pub async fn keep_up(&self, shutdown: CancellationToken) {
        if !self.is_on() {
            return shutdown.cancelled().await;
        }
        let (mut signed, mut told, mut minutes) = (Instant::now(), Instant::now(), 0_u32);
        let (mut trims, mut weighs) = (false, false);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let unsigned = self.context.writes.ledger().unsigned();
            if unsigned >= SIGNED_LINES || (unsigned > 0 && signed.elapsed() >= SIGNED_EVERY) {
                signed = Instant::now();
                warn("a checkpoint of the audit ledger could not be written", self.sign(LineKind::Checkpoint).await);
            }
            if told.elapsed() >= SIGNED_EVERY {
                told = Instant::now();
                warn("requests that were only counted could not be recorded", self.tell_untold().await);
                trims = true;
                weighs |= minutes.is_multiple_of(WEIGH_EVERY);
                minutes = minutes.wrapping_add(1);
            }
            if trims {
                // What one look does not remove, the next one does, a second later.
                let trimmed = self.trim(weighs, &shutdown).await;
                trims = matches!(trimmed, Ok(true));
                weighs &= !matches!(trimmed, Ok(false));
                warn("the audit ledger could not be trimmed", trimmed.map(|_| ()));
            }
        }
    }

    /// Removes what is older than the retention, and, where it is weighed, what is above its bytes. Another replica may do
    /// the same: who comes second is refused, and looks again a minute later. Whether there is more to remove.
    ///
    /// # Errors
    /// Where the store is not available; what was removed until then is.
    pub async fn trim(&self, weigh: bool, shutdown: &CancellationToken) -> Result<bool> {
        let options = self.context.writes.ledger().options();
        let mut before = self.now().minus(options.retention);
        if weigh && let Some(above) = self.above(options.retention_bytes).await? {
            before = before.max(above);
        }
        for _ in 0..STEPS {
            if shutdown.is_cancelled() {
                break;
            }
            if !self.trim_step(before).await? {
                // Not before: the counts of hours of which lines are left would be missing when they are weighed again.
                return self.forget_volumes(before).await.map(|()| false);
            }
        }
        Ok(true)
    }

    /// Removes the oldest lines before a time; whether there may be more.
    pub(super) async fn trim_step(&self, before: Timestamp) -> Result<bool> {
        let (prefix, end) = (key::audit_lines(), format!("{}{}", key::audit_lines().as_str(), audit_time(before)));
        let mut after = String::new();
        let (last, deletes, more) = loop {
            let mut records = self.context.store.list(prefix.as_str(), &after, STEP).await?;
            let full = records.len() == STEP;
            let older = records.partition_point(|record| record.key < end);
            let more = full && older == records.len();
            records.truncate(older);
            let Some(last_key) = records.last().map(|record| record.key.clone()) else { return Ok(false) };
            let (last, deletes) = self.removable(records);
            if !deletes.is_empty() {
                break (last, deletes, more);
            }
            // However many were changed outside, those behind them are removed.
            after = last_key;
        };
        let facts = Facts { outcome: "done".into(), ..of_service("retention") };
        let notes =
            Notes { count: Some(deletes.len() as u64), removed: last.into_values().collect(), ..Notes::default() };
        let entry = self.context.writes.ledger().line(LineKind::Trim, facts, notes, None)?;
        self.write(entry, Batch { deletes, ..Batch::default() }).await.map(|_| more)
    }

    /// What is removed of these lines, and the last one of each writer. One that was changed outside is refused, and stays
    /// for whoever looks into it.
    fn removable(&self, records: Vec<Record>) -> (BTreeMap<String, Removed>, Vec<Delete>) {
        let mut last: BTreeMap<String, Removed> = BTreeMap::new();
        let mut deletes = Vec::with_capacity(records.len());
        for record in records {
            if let Ok(line) = self.context.records.read::<AuditLine>(&record)
                && let Ok(Line { seq, writer, .. }) = serde_json::from_str(line.text())
            {
                let sha256 = hash_of(line.text().as_bytes());
                last.insert(writer.clone(), Removed { writer, seq, sha256 });
                let Record { key, revision, .. } = record;
                deletes.push(Delete { key, expected: revision });
            }
        }
        (last, deletes)
    }

    /// The beginning of the oldest hour that may stay, so that what is left has no more bytes than these.
    async fn above(&self, bytes: u64) -> Result<Option<Timestamp>> {
        let mut hours: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for (_, volume) in self.volumes().await? {
            *hours.entry(volume.hour).or_default() += volume.bytes;
        }
        Ok(first_hour(&hours, bytes, hour_of(self.now())))
    }

    async fn volumes(&self) -> Result<Vec<(Record, AuditVolume)>> {
        let (prefix, mut after, mut found) = (key::audit_volumes(), String::new(), Vec::new());
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, STEP).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after.clone_from(&last.key);
            found.extend(page.into_iter().filter_map(|record| {
                let volume = self.context.records.read::<AuditVolume>(&record).ok()?;
                Some((record, volume))
            }));
        }
    }

    /// Removes the counts of hours of which nothing is left.
    async fn forget_volumes(&self, before: Timestamp) -> Result<()> {
        let end = format!("{}{}", key::audit_volumes().as_str(), audit_time(hour_of(before)));
        let page = self.context.store.list(key::audit_volumes().as_str(), "", STEP).await?;
        let gone = page.into_iter().take_while(|record| record.key < end);
        let deletes: Vec<Delete> =
            gone.map(|Record { key, revision, .. }| Delete { key, expected: revision }).collect();
        if deletes.is_empty() {
            return Ok(());
        }
        self.context.try_commit(Batch { deletes, ..Batch::default() }).await.map(|_| ())
    }
}

/// From which hour on there are at most so many bytes; `None` where all may stay. The current hour always stays.
fn first_hour(hours: &BTreeMap<Timestamp, u64>, bytes: u64, current: Timestamp) -> Option<Timestamp> {
    let mut sum = 0_u64;
    for (hour, own) in hours.iter().rev() {
        sum = sum.saturating_add(*own);
        if sum > bytes {
            return Some(Timestamp(hour.0 + 3_600_000).min(current));
        }
    }
    None
}

fn warn(what: &str, ended: Result<()>) {
    if let Err(error) = ended {
        tracing::warn!(%error, "{what}; will retry");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_hours_go_until_the_rest_is_small_enough() {
        let hour = |number: i64| Timestamp(number * 3_600_000);
        let hours = BTreeMap::from([(hour(0), 50), (hour(1), 40), (hour(2), 30)]);
        assert_eq!(first_hour(&hours, 120, hour(2)), None);
        assert_eq!(first_hour(&hours, 119, hour(2)), Some(hour(1)));
        assert_eq!(first_hour(&hours, 69, hour(2)), Some(hour(2)));
        assert_eq!(first_hour(&hours, 10, hour(2)), Some(hour(2)), "the current hour stays");
    }
}
