//! What the store holds of a vault, whose own record says how what is deleted there is kept.

use super::kinds::Kind;
use crate::domain::{Result, VaultName};
use crate::store::Store;

/// A vault with a record of one of these kinds holds something. Their keys are `KIND/VAULT/NAME`.
pub(in crate::service) const KINDS: [Kind; 4] = [Kind::Certificate, Kind::Pending, Kind::Deleted, Kind::Issuer];

/// Whether there are certificates or issuers in the vault, deleted ones among them.
pub(in crate::service) async fn holds_something(store: &dyn Store, vault: &VaultName) -> Result<bool> {
    for kind in KINDS {
        if !store.list(&format!("{}{vault}/", kind.prefix()), "", 1).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
