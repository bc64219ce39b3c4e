//! Stopping the renewals of one certificate, and letting them go on.

use super::{Renewals, VaultRules};
use crate::domain::{CertificateEntry, Pause, Renewal, Result};
use crate::service::access::{CertificateRef, Permit};
use crate::service::retry::retry;
use crate::store::Batch;

impl Renewals {
    /// Stops the automatic renewals of a certificate. A second pause changes the reason alone.
    pub async fn pause(&self, wanted: Permit<CertificateRef>, reason: &str) -> Result<super::RenewalView> {
        let reason = Pause::reason(reason)?;
        let now = self.context.now();
        self.change(wanted, |renewal| {
            renewal.paused = Some(Pause::or_begun(renewal.paused.as_ref(), reason, now));
        })
        .await
    }

    /// Lets the renewals of a certificate go on.
    pub async fn resume(&self, wanted: Permit<CertificateRef>) -> Result<super::RenewalView> {
        self.change(wanted, |renewal| renewal.paused = None).await
    }

    pub(super) async fn change(
        &self,
        wanted: Permit<CertificateRef>,
        change: impl Fn(&mut Renewal),
    ) -> Result<super::RenewalView> {
        let (vault, name) = &*wanted;
        retry!({
            let (record, mut entry) = self.entries.live(vault, name).await?;
            let version = entry.latest.unwrap_or(entry.first_version);
            let mut renewal = Renewal::of(&entry, version);
            change(&mut renewal);
            keep(&mut entry, renewal);
            let mut batch = Batch::default();
            self.context.records.put_entry(&mut batch, Some(&record), &entry)?;
            if self.context.try_commit(batch).await?.is_none() {
                return Ok(None);
            }
            let rules = VaultRules::of(&self.context, vault).await?;
            Ok(Some(self.view(&entry, None, &rules)))
        })
    }
}

/// Puts the state into the entry, unless it says nothing.
pub(in crate::service) fn keep(entry: &mut CertificateEntry, renewal: Renewal) {
    entry.renewal = (!renewal.is_new()).then_some(renewal);
}
