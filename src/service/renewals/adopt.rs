//! Due times for certificates of versions without renewals: those replicas write entries that are never due.

use super::Renewals;
use super::pause::keep;
use crate::domain::renewal::plan;
use crate::domain::{CertificateEntry, EntryState, Renewal, Result, VersionSummary};
use crate::keys::chain;
use crate::service::records::{Kind, Scan};
use crate::store::{Batch, Record};
use std::time::Duration;

/// What is overdue begins within this time, so that an upgrade is no burst.
const SPREAD: Duration = Duration::from_secs(12 * 3600);

impl Renewals {
    /// Gives a due time to every certificate that ought to have one, and answers to how many. Safe to repeat, and beside
    /// other replicas.
    ///
    /// # Errors
    /// Where the store is not available; what was done is kept.
    pub async fn adopt_renewals(&self) -> Result<usize> {
        let mut adopted = 0;
        let mut scan = Scan::new(&*self.context.store, Kind::Certificate.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                // One that does not verify was logged.
                if record.due.is_none()
                    && let Ok(entry) = self.context.records.read::<CertificateEntry>(&record)
                    && entry.state == EntryState::Live
                {
                    adopted += usize::from(self.adopt(&record, entry).await?);
                }
            }
        }
        Ok(adopted)
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
        let Ok(found) = plan(&entry, rules) else { return Ok(false) };
        let now = self.context.now();
        let mut renewal: Renewal = found.renewal;
        let left = Duration::from_millis(u64::try_from(found.valid.end.0 - now.0).unwrap_or(0));
        let spread = SPREAD.min(left / 4);
        if found.renew_at <= now.plus(spread) {
            renewal.put_off(now, spread.mul_f64(renewal.share()), "");
        }
        if !entry.policy.issuer.is_self() && renewal.ask_at.is_none() {
            renewal.ask_at = Some(now.plus(SPREAD.min(left / 8).mul_f64(renewal.share())));
        }
        keep(&mut entry, renewal);
        let mut batch = Batch::default();
        self.context.records.put_entry(&mut batch, Some(record), &entry)?;
        Ok(self.context.try_commit(batch).await?.is_some())
    }
}
