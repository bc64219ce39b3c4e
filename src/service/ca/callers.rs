//! Which certificates of callers the CAs of this server have revoked.

use super::publish::Publications;
use crate::domain::{Result, Serial};
use crate::keys::authority::Signer;
use crate::keys::ocsp::Status;
use der::Encode;

impl Publications {
    /// Whether a CA of this name (DER) has revoked the certificate with this number; not where there is none. It is
    /// known half a minute after the CA was made at the latest.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn has_revoked(&self, issuer: &[u8], serial: &Serial) -> Result<bool> {
        let serial = [Some(serial.clone())];
        for (id, authority) in self.all().await?.iter() {
            let signer = authority.chain.first().and_then(|der| Signer::read(&der.0).ok());
            let name = signer.and_then(|signer| signer.name().to_der().ok());
            if name.as_deref() != Some(issuer) {
                continue;
            }
            let statuses = self.statuses(authority, id, &serial).await?;
            if matches!(statuses.first(), Some(Status::Revoked(..))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
