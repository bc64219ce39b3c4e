//! Revocation lists, made some seconds after a revocation and anew each day, and the certificates of OCSP responders.

use super::{Due, Jobs};
use crate::domain::Result;
use crate::service::records::{CrlRecord, ResponderRecord, RevokedRecord};

impl Jobs {
    /// Puts a revoked certificate on the list of its authority, or forgets it when it is over.
    pub(super) async fn list_revoked(&self, due: Due) -> Result<()> {
        match self.context.records.unless_damaged::<RevokedRecord>(&due.record)? {
            Some(revoked) => self.cas.crls.list(&due.record, revoked).await,
            None => self.cas.crls.restore_row(&due.record).await,
        }
    }

    /// Makes a list anew before the last one ends.
    pub(super) async fn renew_crl(&self, due: Due) -> Result<()> {
        match self.context.records.unless_damaged::<CrlRecord>(&due.record)? {
            Some(crl) => self.cas.crls.renew(&crl.vault, &crl.authority, crl.shard).await,
            None => self.cas.crls.replace(&due.record).await,
        }
    }

    /// Gives an OCSP responder its next certificate, one step at a time.
    pub(super) async fn renew_responder(&self, due: Due) -> Result<()> {
        let responder: ResponderRecord = self.context.records.read(&due.record)?;
        self.cas.responders.step(&due.record, responder).await
    }
}
