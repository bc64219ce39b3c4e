//! Vaults that came to be by their use, where every name is a vault: no record says that they are there, but records of
//! other kinds are.

use crate::domain::{Result, VaultName};
use crate::service::records::contents::KINDS;
use crate::service::records::{Kind, Place};
use crate::store::Store;
use std::collections::BTreeSet;

/// The first `size` used vaults behind the name `after`, in the order of their names. Reads one record for each vault
/// and kind, however many records a vault has.
pub(super) async fn used(store: &dyn Store, after: &str, size: usize) -> Result<BTreeSet<VaultName>> {
    let mut names = BTreeSet::new();
    for kind in KINDS {
        names.append(&mut of_kind(store, kind.prefix(), after, size).await?);
    }
    let contacts = Kind::Contacts.prefix();
    let records = store.list(contacts, &format!("{contacts}{after}"), size).await?;
    names.extend(records.iter().filter_map(|record| record.key.strip_prefix(contacts).map(str::to_owned)));
    // A row that somebody wrote by hand may have any key.
    Ok(names.iter().filter_map(|name| VaultName::parse(name).ok()).take(size).collect())
}

async fn of_kind(store: &dyn Store, prefix: &str, after: &str, size: usize) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut from = format!("{prefix}{after}");
    while names.len() < size {
        let Some(record) = store.list(prefix, &from, 1).await?.pop() else { break };
        let Some(Place { vault, .. }) = Place::of(&record.key) else { break };
        // `team-a-b/` is before `team-a/` in the store, and behind it in the list.
        let shorter = vault.match_indices('-').map(|(end, _)| &vault[..end]);
        for name in shorter.filter(|name| *name > after) {
            if !names.contains(name) && !store.list(&format!("{prefix}{name}/"), "", 1).await?.is_empty() {
                names.insert(name.to_owned());
            }
        }
        if vault > after {
            names.insert(vault.to_owned());
        }
        // Behind everything of this vault: 0 follows the / of the key.
        from = format!("{prefix}{vault}0");
    }
    Ok(names)
}
