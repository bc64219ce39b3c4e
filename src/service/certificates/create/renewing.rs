//! What makes a creation the renewal of a version.

use crate::domain::renewal::plan::Valid;
use crate::domain::renewal::retry;
use crate::domain::{CertificateEntry, CertificateName, Renewal, Renews, Result, Timestamp};
use crate::service::certificates::entries::{not_found, version_not_found};
use crate::service::records::PendingRecord;
use crate::store::Record;

/// A creation that renews a version.
#[derive(Clone, Debug)]
pub(in crate::service) struct Renewing {
    pub(in crate::service) renews: Renews,
}

impl Renewing {
    /// Whether the version is still the newest one: whoever was faster renewed it.
    ///
    /// # Errors
    /// [`crate::domain::Reason::CertificateNotFound`].
    pub(super) fn check(&self, name: &CertificateName, entry: Option<&(Record, CertificateEntry)>) -> Result<()> {
        let (_, entry) = entry.ok_or_else(|| not_found(name))?;
        if entry.latest == Some(self.renews.replaces) {
            return Ok(());
        }
        Err(version_not_found(name, self.renews.replaces))
    }

    /// Writes the attempt into the entry, and gives the new version the tags of the one before.
    pub(super) fn note(&self, entry: &mut CertificateEntry, pending: &mut PendingRecord, now: Timestamp) {
        let Some(summary) = entry.current_summary() else { return };
        pending.tags = pending.tags.take().or_else(|| summary.tags.clone());
        let valid = Valid { begin: summary.not_before, end: summary.expires };
        let mut renewal = Renewal::of(entry, self.renews.replaces);
        let wait = retry::wait(renewal.tries.next(), renewal.version, valid, now);
        renewal.tried(now, wait, Some(pending.operation.request_id), "");
        entry.renewal = Some(renewal);
    }
}
