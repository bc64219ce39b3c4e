//! What makes a creation the renewal of a version.

use crate::domain::renewal::{Valid, retry};
use crate::domain::{CertificateEntry, CertificateName, Renewal, Renews, Result, Timestamp, VersionSummary};
use crate::service::certificates::entries::{not_found, version_not_found};
use crate::service::records::PendingRecord;
use crate::store::Record;

/// A creation that renews a version.
#[derive(Clone, Debug)]
pub(in crate::service) struct Renewing {
    pub(in crate::service) renews: Renews,
    /// The entry from which it was decided; `None` where a caller asked, who wants it whatever the entry says by now. Not
    /// its revision: the key may take longer than the lease, and a claim alone decides nothing.
    pub(in crate::service) decided_from: Option<Box<CertificateEntry>>,
    /// The version, for an entry that an earlier release wrote without it.
    pub(in crate::service) newest: Option<Box<VersionSummary>>,
}

impl Renewing {
    /// Whether the version is still the newest one, and the entry is still as it was where that decided: whoever wrote
    /// it since then may have renewed it, stopped its renewals or changed its policy.
    ///
    /// # Errors
    /// [`crate::domain::Reason::CertificateNotFound`].
    pub(super) fn check(&self, name: &CertificateName, entry: Option<&(Record, CertificateEntry)>) -> Result<()> {
        let (_, entry) = entry.ok_or_else(|| not_found(name))?;
        let unchanged = self.decided_from.as_ref().is_none_or(|before| decisive(before) == decisive(entry));
        if entry.latest == Some(self.renews.replaces) && unchanged {
            return Ok(());
        }
        Err(version_not_found(name, self.renews.replaces))
    }

    /// Writes the attempt into the entry, and gives the new version what the one before has: its tags, whether it is
    /// enabled, and the order of its chain.
    pub(super) fn note(&self, entry: &mut CertificateEntry, pending: &mut PendingRecord, now: Timestamp) {
        if entry.current_summary().is_none() {
            entry.summary = self.newest.as_deref().cloned();
        }
        let Some(summary) = entry.current_summary() else { return };
        pending.tags = pending.tags.take().or_else(|| summary.tags.clone());
        pending.enabled = summary.enabled;
        pending.operation.preserve_cert_order = entry.preserve_cert_order;
        let valid = Valid::of(summary);
        let mut renewal = Renewal::of(entry, self.renews.replaces);
        let wait = retry::wait(renewal.tries.next(), renewal.version, valid, now);
        renewal.tried(now, wait, Some(pending.operation.request_id), "");
        entry.renewal = Some(renewal);
    }
}

/// The entry without what other replicas write into it that only look at it.
fn decisive(entry: &CertificateEntry) -> CertificateEntry {
    CertificateEntry { renewal: Renewal::decisive(entry), ..entry.clone() }
}
