//! Whether the certificate of a CA was revoked by one above it, which takes everything below away.

use crate::domain::{Blob, Result, Revocation, VaultName};
use crate::keys::authority::{self, subject_of};
use crate::keys::issued::serial_of;
use crate::service::context::Context;
use crate::service::records::key;
use std::fmt;

/// A CA whose certificate the one above it revoked.
pub(in crate::service) struct RevokedAbove {
    /// The subject of the certificate.
    pub(super) ca: String,
    pub(super) revocation: Revocation,
}

/// A sentence without its period.
impl fmt::Display for RevokedAbove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.revocation.time.date();
        write!(f, "The certificate of \"{}\" was revoked by the CA above it on {on}", self.ca)
    }
}

/// The first certificate of a chain that the CA above it revoked, as far as the CAs above are those of the vault: what
/// others revoke is on their lists alone.
///
/// # Errors
/// Where the log cannot be read.
pub(in crate::service) async fn revoked_above(
    context: &Context,
    vault: &VaultName,
    chain: &[Blob],
) -> Result<Option<RevokedAbove>> {
    for pair in chain.windows(2) {
        let [Blob(below), Blob(above)] = pair else { continue };
        let (Some(id), Some(serial)) = (authority::identifier(above), serial_of(below)) else { continue };
        let Some((_, signer)) = context.load(&key::authority(vault, &id)).await? else { continue };
        // That another program signed is on the list alone.
        let logged = context.load(&key::issued(&id, &serial)).await?.and_then(|(_, issued)| issued.revocation);
        let revocation = match logged {
            Some(revocation) => Some(revocation),
            None => {
                let place = key::revoked(&id, signer.shard_of(&serial), &serial);
                context.load(&place).await?.map(|(_, listed)| listed.revocation)
            }
        };
        if let Some(revocation) = revocation {
            return Ok(Some(RevokedAbove { ca: subject_of(below)?, revocation }));
        }
    }
    Ok(None)
}
