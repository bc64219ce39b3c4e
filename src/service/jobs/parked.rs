//! Due records of a kind that this version has no job for: a newer replica beside it wrote them, or one before it did.
//! They are parked, which takes them out of the due work without changing them, and a version that knows their kind
//! makes them due again.

use super::{Due, DueKind, Jobs};
use crate::domain::Result;
use crate::service::outage::OncePerKind;
use crate::service::records::{ParkedRecord, key};
use crate::store::{Batch, Delete, Put, Record};

/// Records of one look.
const PAGE: usize = 500;

/// Reports each kind once in the life of the process.
static REPORTED: OncePerKind = OncePerKind::new();

impl Jobs {
    /// Takes the record out of the due work and remembers that it was due.
    pub(super) async fn park(&self, due: Due) -> Result<()> {
        let Due { record: Record { key, revision, body, due: _ }, until: _ } = due;
        let place = key::parked(&key);
        let before = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
        let parked = ParkedRecord { key: key.clone(), since: self.context.now() };
        let parked = self.context.records.put(&place, before, &parked, None)?;
        let kind = key.split('/').next().unwrap_or_default().to_owned();
        let record = Put { key, expected: Some(revision), body, due: None };
        if self.context.try_commit(Batch { puts: vec![record, parked], ..Batch::default() }).await?.is_some() {
            self.context.metrics.worker.parked.inc();
            if REPORTED.first(&kind) {
                tracing::warn!(
                    kind,
                    "records of a kind that this version does not work on are due; they are parked until a newer version takes them up"
                );
            }
        }
        Ok(())
    }

    /// Makes parked records due that this version has a job for.
    pub async fn resume_parked(&self) -> Result<()> {
        let prefix = key::all_parked();
        let mut after = String::new();
        loop {
            let page = self.context.store.list(prefix.as_str(), &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.key);
            for record in page {
                // One that does not verify was logged.
                if let Ok(parked) = self.context.records.read::<ParkedRecord>(&record)
                    && DueKind::of(&parked.key).is_some()
                {
                    self.make_due_again(record, &parked.key).await?;
                }
            }
        }
    }

    /// Somebody who is faster has resumed it, or the record changed, which the next look finds.
    async fn make_due_again(&self, parked: Record, key: &str) -> Result<()> {
        let now = self.context.now();
        let waits = self.context.store.get(key).await?.filter(|record| record.due.is_none());
        let due = |Record { key, revision, body, due: _ }| Put { key, expected: Some(revision), body, due: Some(now) };
        let puts = waits.map(due).into_iter().collect();
        let deletes = vec![Delete { key: parked.key, expected: parked.revision }];
        self.context.try_commit(Batch { puts, deletes, ..Batch::default() }).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::records::Kind;

    #[test]
    fn no_kind_that_is_only_read_has_a_job() {
        let without: Vec<Kind> =
            Kind::ALL.iter().copied().filter(|kind| DueKind::of(&format!("{}x", kind.prefix())).is_none()).collect();
        let expected = [
            Kind::Version,
            Kind::Suspended,
            Kind::Contacts,
            Kind::VaultRenewals,
            Kind::Vault,
            Kind::Issuer,
            Kind::IssuedByTime,
            Kind::IssuedByKey,
            Kind::IssuedAdoption,
            Kind::IssuerHealth,
            Kind::Grant,
            Kind::Role,
            Kind::RightsChanges,
            Kind::AuditLine,
            Kind::AuditKey,
            Kind::AuditVolume,
            Kind::Replica,
            Kind::Parked,
            Kind::Installation,
            Kind::Webhook,
            Kind::Meta,
        ];
        assert_eq!(without, expected);
        assert_eq!(DueKind::of("renewals/default/web"), None);
    }
}
