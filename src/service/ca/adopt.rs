//! Taking over what versions without the log left: a record for each authority, and one for each version that an authority
//! of this server signed.

use super::CertificateAuthorities;
use crate::domain::authority::AuthorityRecord;
use crate::domain::issued::{Door, IssuedFor, IssuedRecord, IssuedState};
use crate::domain::{Blob, Certificate, IssuerName, Result, Timestamp, VaultName};
use crate::keys::authority;
use crate::keys::issued::{content_of, is_signed_by, serial_of};
use crate::keys::{Caller, Work};
use crate::service::context::Context;
use crate::service::records::{IssuedAdoption, Kind, Place, Scan, key};
use crate::store::{Batch, Record};
use std::collections::HashMap;
use std::time::Duration;

/// Whose an authority is, by its identifier.
type Owners = HashMap<String, (VaultName, IssuerName)>;

impl CertificateAuthorities {
    /// Writes what is missing in the logs of all CAs, and answers how much. Replicas of versions without the log may
    /// complete certificates for `window` after the first call: it looks again until then, and answers `None` once there
    /// is nothing to look for any more.
    ///
    /// # Errors
    /// Where the store is not available; what was done is kept, and the next call goes on.
    pub async fn adopt_issued(&self, window: Duration) -> Result<Option<usize>> {
        let now = self.context.now();
        let place = key::issued_adoption();
        let known = self.context.load(&place).await?;
        let begun = known.as_ref().map_or(now, |(_, known)| known.begun);
        if known.as_ref().is_some_and(|(_, known)| known.finished.is_some_and(|at| at >= begun.plus(window))) {
            return Ok(None);
        }
        let (owners, mut adopted) = (self.owners().await?, 0);
        let mut scan = Scan::new(&*self.context.store, Kind::Version.prefix());
        while let Some(page) = scan.next().await?.filter(|_| !owners.is_empty()) {
            adopted += self.adopt_page(&page, &owners).await?;
        }
        let done = IssuedAdoption { begun, finished: Some(self.context.now()) };
        let expected = known.map(|(record, _)| record.revision);
        let puts = vec![self.context.records.put(&place, expected, &done, None)?];
        // Another replica that was faster did the same.
        self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
        Ok(Some(adopted))
    }

    /// All authorities, with a record for each that had none.
    async fn owners(&self) -> Result<Owners> {
        let mut owners = Owners::new();
        let mut scan = Scan::new(&*self.context.store, Kind::Issuer.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                let Some(vault) = Place::of(&record.key).and_then(|place| VaultName::parse(place.vault).ok()) else {
                    continue;
                };
                self.authorities.record_authority(&vault, &record).await?;
            }
        }
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                let Ok(authority) = self.context.records.read::<AuthorityRecord>(&record) else {
                    continue;
                };
                let id = authority.chain.first().and_then(|signer| authority::identifier(&signer.0));
                owners.extend(id.map(|id| (id, (authority.vault, authority.issuer))));
            }
        }
        Ok(owners)
    }

    async fn adopt_page(&self, page: &[Record], owners: &Owners) -> Result<usize> {
        let mut found = Vec::new();
        for record in page {
            let Ok(version) = self.context.records.read::<Certificate>(record) else { continue };
            found.extend(self.as_issued(version, owners));
        }
        let place = |(issued, _): &(IssuedRecord, Blob)| Some(key::issued(&issued.authority, &issued.serial));
        let places: Vec<_> = found.iter().map(place).collect();
        let there = self.context.load_many(&places).await?;
        let mut adopted = 0;
        for ((issued, signer), there) in found.into_iter().zip(there) {
            if there.is_ok_and(|there| there.is_none()) && is_signed(&self.context, &issued, signer).await? {
                adopted += usize::from(self.adopt(&issued).await?);
            }
        }
        Ok(adopted)
    }

    /// Writes one record; false where somebody else did.
    pub(super) async fn adopt(&self, issued: &IssuedRecord) -> Result<bool> {
        let mut batch = Batch::default();
        let due = self.log.forgotten_at(issued);
        batch.puts.push(self.context.records.put(
            &key::issued(&issued.authority, &issued.serial),
            None,
            issued,
            due,
        )?);
        self.log.index(&mut batch, issued)?;
        Ok(self.context.try_commit(batch).await?.is_some())
    }

    /// What the log says of a version that names one of the authorities as its signer, and the certificate of that; none
    /// for others, and for one that is too old for the log.
    pub(super) fn as_issued(&self, mut version: Certificate, owners: &Owners) -> Option<(IssuedRecord, Blob)> {
        let signer = (!version.chain.is_empty()).then(|| version.chain.swap_remove(0))?;
        let authority = authority::identifier(&signer.0)?;
        let (_, issuer) = owners.get(&authority)?;
        let issued = IssuedRecord {
            authority,
            serial: serial_of(&version.cer.0)?,
            state: IssuedState::Issued,
            tbs: None,
            content: content_of(&version.cer.0)?,
            cer: Some(Blob(version.cer.0)),
            asked: IssuedFor {
                vault: version.vault,
                issuer: issuer.clone(),
                certificate: Some(version.name),
                version: Some(version.version),
                request_id: None,
                principal: String::new(),
                door: if version.sealed_key.is_some() { Door::Create } else { Door::Csr },
                profile: String::new(),
            },
            created: version.created,
            revocation: None,
        };
        let kept: Timestamp = self.log.forgotten_at(&issued)?;
        (kept > self.context.now()).then_some((issued, signer))
    }
}

/// Whether the authority signed it. Its name and the identifier of its key are in every certificate that it signed:
/// anybody can write them into one of his own, and import it.
pub(super) async fn is_signed(context: &Context, issued: &IssuedRecord, signer: Blob) -> Result<bool> {
    let Some(cer) = issued.cer.clone() else { return Ok(false) };
    let check = move || Ok(is_signed_by(&cer.0, &signer.0));
    context.keys.run(&Caller::server(), Work::Small, check).await
}
