//! Due times that are not as they ought to be. Replicas of versions without renewals write entries that are never due; a
//! clock that was ahead leaves entries that are due when it would have been right; and entries that were written by other
//! settings are due by those.

use super::Renewals;
use super::pause::keep;
use crate::domain::renewal::plan;
use crate::domain::{CertificateEntry, EntryState, Renewal, Result, Timestamp, VersionSummary};
use crate::keys::chain;
use crate::service::audit::{RENEWAL, Scope};
use crate::service::records::{Kind, Scan, concerns_a_record};
use crate::store::{Batch, Record};
use std::time::Duration;

/// What is overdue begins within this time, what is over too, so that an upgrade is no burst.
const SPREAD: Duration = Duration::from_secs(12 * 3600);

impl Renewals {
    /// Gives a due time to every certificate that ought to have one, or an earlier one, and returns how many got it. Safe
    /// to repeat, and beside other replicas.
    ///
    /// # Errors
    /// Where the store is not available; what was done is kept.
    pub async fn adopt_renewals(&self) -> Result<usize> {
        let mut adopted = 0;
        let mut scan = Scan::new(&*self.context.store, Kind::Certificate.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                // One that does not verify was logged.
                if let Ok(entry) = self.context.records.read::<CertificateEntry>(&record)
                    && self.is_wrong(&record, &entry)
                {
                    match self.adopt(&record, entry).await {
                        Ok(is_adopted) => adopted += usize::from(is_adopted),
                        // Its version is damaged, which was logged: it holds no other certificate up.
                        Err(error) if concerns_a_record(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(adopted)
    }

    fn is_wrong(&self, record: &Record, entry: &CertificateEntry) -> bool {
        let Some(due) = record.due else { return entry.state == EntryState::Live };
        let now = self.context.now();
        if entry.renewal.as_ref().is_some_and(|renewal| renewal.is_of_the_future(now)) {
            return true;
        }
        // One that was claimed, or that is only looked at while renewals are switched off, is not late.
        let options = &self.context.options.renewal;
        let claimed = now.plus(self.context.limits().work_lease);
        options.enabled && plan(entry, options.rules()).is_ok_and(|plan| due > plan.due.max(claimed))
    }

    /// False where there is nothing to do, or where somebody else wrote the entry, which made it due.
    async fn adopt(&self, record: &Record, mut entry: CertificateEntry) -> Result<bool> {
        if let Some(latest) = entry.latest.filter(|_| entry.current_summary().is_none()) {
            let Some(newest) = super::newest(&self.context, &entry.vault, &entry.name, latest).await? else {
                return Ok(false);
            };
            entry.summary = Some(VersionSummary::of(&newest, chain::thumbprint(&newest.cer.0)));
        }
        let rules = self.context.options.renewal.rules();
        let now = self.context.now();
        if let Some(renewal) = &mut entry.renewal
            && renewal.is_of_the_future(now)
        {
            renewal.after_set_back(now);
        }
        let Ok(found) = plan(&entry, rules) else { return Ok(false) };
        let mut renewal: Renewal = found.renewal;
        let between = |from: Timestamp, to: Timestamp| {
            Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
        };
        let (left, over) = (between(now, found.valid.end), between(found.valid.end, now));
        // What has been over for long has time.
        let spread = SPREAD.min(left / 4 + over);
        if found.renew_at <= now.plus(spread) {
            renewal.put_off(now, spread.mul_f64(renewal.share()), "");
        }
        if !entry.policy.issuer.is_self() && renewal.ask_at.is_none() {
            renewal.ask_at = Some(now.plus(SPREAD.min(left / 8).mul_f64(renewal.share())));
        }
        keep(&mut entry, renewal);
        let mut batch = Batch::default();
        self.context.records.put_entry(&mut batch, Some(record), &entry)?;
        let written = Scope::job(RENEWAL).run(self.context.try_commit(batch)).await?;
        Ok(written.is_some())
    }
}
