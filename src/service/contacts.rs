//! The contacts of a vault: set, read, delete.

use super::Service;
use super::access::Permit;
use super::records::key;
use super::retry::retry;
use crate::domain::{Contacts, Detail, Error, Reason, Result, VaultName};
use crate::store::{Batch, Delete};

impl Service {
    /// Replaces all contacts of the vault.
    pub async fn set_contacts(&self, vault: Permit<VaultName>, contacts: Contacts) -> Result<Contacts> {
        retry!({
            let place = key::contacts(&vault);
            let expected = self.store.get(place.as_str()).await?.map(|record| record.revision);
            let puts = vec![self.records.put(&place, expected, &contacts, None)?];
            Ok(self.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| contacts.clone()))
        })
    }

    /// [`Reason::ContactsNotFound`] where there are none.
    pub async fn contacts(&self, vault: Permit<VaultName>) -> Result<Contacts> {
        let found = self.load(&key::contacts(&vault)).await?;
        found.map(|(_, contacts)| contacts).ok_or_else(|| not_found(&vault))
    }

    /// Removes them and answers what they were.
    pub async fn delete_contacts(&self, vault: Permit<VaultName>) -> Result<Contacts> {
        retry!({
            let found = self.load(&key::contacts(&vault)).await?;
            let (record, contacts) = found.ok_or_else(|| not_found(&vault))?;
            let deletes = vec![Delete { key: record.key, expected: record.revision }];
            Ok(self.try_commit(Batch { deletes, ..Batch::default() }).await?.map(|_| contacts))
        })
    }
}

fn not_found(vault: &VaultName) -> Error {
    Error::new(Reason::ContactsNotFound, "Contacts not found")
        .with(Detail::Resource { kind: "contacts", name: vault.to_string() })
}
