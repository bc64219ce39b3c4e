//! The contacts of a vault: set, read, delete.

use super::records::key;
use super::{CONFLICT_ATTEMPTS, Service, contended};
use crate::domain::{Contacts, Detail, Error, Reason, Result, VaultName};
use crate::store::{Batch, Delete};

impl Service {
    /// Replaces all contacts of the vault.
    pub async fn set_contacts(&self, vault: &VaultName, contacts: Contacts) -> Result<Contacts> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let place = key::contacts(vault);
            let expected = self.store.get(place.as_str()).await?.map(|record| record.revision);
            let puts = vec![self.records.put(&place, expected, &contacts, None)?];
            if self.try_commit(Batch { puts, ..Batch::default() }).await?.is_some() {
                return Ok(contacts);
            }
        }
        Err(contended())
    }

    /// [`Reason::ContactsNotFound`] if there are none.
    pub async fn contacts(&self, vault: &VaultName) -> Result<Contacts> {
        let found = self.load(&key::contacts(vault)).await?;
        found.map(|(_, contacts)| contacts).ok_or_else(|| not_found(vault))
    }

    /// Removes them and returns them.
    pub async fn delete_contacts(&self, vault: &VaultName) -> Result<Contacts> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let found = self.load(&key::contacts(vault)).await?;
            let (record, contacts) = found.ok_or_else(|| not_found(vault))?;
            let deletes = vec![Delete { key: record.key, expected: record.revision }];
            if self.try_commit(Batch { deletes, ..Batch::default() }).await?.is_some() {
                return Ok(contacts);
            }
        }
        Err(contended())
    }
}

fn not_found(vault: &VaultName) -> Error {
    Error::new(Reason::ContactsNotFound, "Contacts not found")
        .with(Detail::Resource { kind: "contacts", name: vault.to_string() })
}
