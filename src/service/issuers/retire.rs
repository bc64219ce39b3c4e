//! What becomes of the authorities of an issuer that is deleted, or whose next one signs.

use super::Authorities;
use super::authorities::place;
use crate::domain::authority::AuthorityRecord;
use crate::domain::{Detail, Error, IssuerConfig, IssuerName, Reason, Result, VaultName};
use crate::service::records::{Scan, key};
use crate::store::Put;

impl Authorities {
    /// The write that keeps the authority of an issuer that is deleted, for as long as certificates depend on it.
    pub(in crate::service) async fn retire_authority(
        &self,
        vault: &VaultName,
        issuer: &IssuerConfig,
    ) -> Result<Option<Put>> {
        let Some(held) = &issuer.authority else { return Ok(None) };
        let place = place(vault, &held.chain).ok_or_else(Error::internal)?;
        let found = self.context.load(&place).await?;
        let revision = found.as_ref().map(|(record, _)| record.revision);
        let mut record = match found {
            Some((_, record)) => record,
            None => self.unrecorded(vault, issuer, held)?,
        };
        record.retired = Some(self.context.now());
        record.sealed_key = Some(held.sealed_key.clone());
        let due = record.erasable_at();
        self.context.records.put(&place, revision, &record, due).map(Some)
    }

    /// The writes that give up what is requested or next of an issuer that is deleted: nobody else gets it with the name,
    /// and its key goes as that of any retired one.
    pub(in crate::service) async fn retire_waiting(&self, vault: &VaultName, issuer: &IssuerName) -> Result<Vec<Put>> {
        let (prefix, mut puts) = (key::authorities_of(vault), Vec::new());
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            for record in page {
                // One that is damaged was logged.
                let found = self.context.records.unless_damaged::<AuthorityRecord>(&record)?;
                let Some(mut found) = found.filter(|found| found.issuer == *issuer && found.waits()) else { continue };
                found.retired = Some(self.context.now());
                puts.push(self.context.records.replace(&record, &found, found.erasable_at())?);
            }
        }
        Ok(puts)
    }
}

/// Why an issuer gets no further authority now.
pub(in crate::service) fn has_a_next(issuer: &IssuerName) -> Error {
    let description = "Install and activate it, or retire it first.".to_owned();
    let message = format!("The issuer {issuer} has an authority that is requested or next. {description}");
    Error::new(Reason::IssuerInUse, message)
        .with(Detail::Resource { kind: "issuer", name: issuer.to_string() })
        .with(Detail::Precondition { kind: "NO_NEXT_AUTHORITY", subject: issuer.to_string(), description })
}
