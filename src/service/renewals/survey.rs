//! How the certificates of all vaults stand, for the metrics.

use super::Renewals;
use crate::domain::renewal::plan;
use crate::domain::{CertificateEntry, EntryState, Result};
use crate::metrics::{EXPIRY_BUCKETS, Survey};
use crate::service::records::{Kind, Scan};

impl Renewals {
    /// Looks at the newest versions of all certificates, and sets the metrics of renewals and of expiry. It reads every
    /// entry: not for each scrape.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn survey(&self) -> Result<()> {
        let (rules, mut survey) = (self.context.options.renewal.rules(), Survey::default());
        let mut scan = Scan::new(&*self.context.store, Kind::Certificate.prefix());
        while let Some(page) = scan.next().await? {
            let now = self.context.now();
            for record in page {
                // One that does not verify was logged.
                let Ok(entry) = self.context.records.read::<CertificateEntry>(&record) else { continue };
                let Some(summary) = entry.current_summary().filter(|_| entry.state == EntryState::Live) else {
                    continue;
                };
                let left = summary.expires.0.saturating_sub(now.0) as f64 / 1000.0;
                let within = EXPIRY_BUCKETS.iter().position(|bucket| left <= *bucket).unwrap_or(EXPIRY_BUCKETS.len());
                survey.count(entry.vault.as_str(), &entry.policy.issuer.name, within);
                if let Ok(plan) = plan(&entry, rules).as_ref()
                    && plan.planned <= now
                {
                    survey.due += 1;
                    survey.overdue += u64::from(plan.emergency() <= now);
                }
            }
        }
        self.context.metrics.operations.renewals.set(survey);
        Ok(())
    }
}
