//! Whether the caller may bring back what a backup holds: under its name, within the rules, and in this vault.

use crate::domain::access::Requested;
use crate::domain::{Certificate, CertificateEntry, Result, VaultName};
use crate::keys;
use crate::service::access::Permit;

/// All versions have to be what the caller may ask for, as if they were requested. `from` is the vault that the backup
/// says it was taken from.
///
/// # Errors
/// `AccessDenied` for the name and the vault, `RequestNotAllowed` for what the certificates say.
pub(super) fn check(
    vault: &Permit<VaultName>,
    entry: &CertificateEntry,
    versions: &[Certificate],
    from: Option<&str>,
) -> Result<()> {
    let terms = vault.terms();
    if !terms.are_limited() {
        return Ok(());
    }
    terms.check(vault, &entry.name, &Requested::of(&entry.policy))?;
    for version in versions {
        let facts = keys::certificate_facts(&version.cer.0)?;
        let requested = Requested { exportable: version.exportable, ..Requested::made(&facts, &entry.policy) };
        terms.check(vault, &entry.name, &requested)?;
    }
    if from == Some(vault.as_str()) { Ok(()) } else { terms.check_move(vault, &entry.name) }
}
