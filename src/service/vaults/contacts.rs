//! The contacts of a vault: set, read, delete.

use super::VaultObjects;
use crate::domain::{Contacts, Detail, Error, Reason, Result, VaultName};
use crate::service::access::Permit;
use crate::service::records::key;
use crate::service::retry::retry;
use crate::store::{Batch, Delete};

impl VaultObjects {
    /// Replaces all contacts of the vault.
    pub async fn set_contacts(&self, vault: Permit<VaultName>, contacts: Contacts) -> Result<Contacts> {
        retry!({
            let place = key::contacts(&vault);
            let expected = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
            let puts = vec![self.context.records.put(&place, expected, &contacts, None)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| contacts.clone()))
        })
    }

    /// [`Reason::ContactsNotFound`] where there are none.
    pub async fn contacts(&self, vault: Permit<VaultName>) -> Result<Contacts> {
        let found = self.context.load(&key::contacts(&vault)).await?;
        found.map(|(_, contacts)| contacts).ok_or_else(|| not_found(&vault))
    }

    /// Removes them and answers what they were.
    pub async fn delete_contacts(&self, vault: Permit<VaultName>) -> Result<Contacts> {
        retry!({
            let found = self.context.load(&key::contacts(&vault)).await?;
            let (record, contacts) = found.ok_or_else(|| not_found(&vault))?;
            let deletes = vec![Delete { key: record.key, expected: record.revision }];
            Ok(self.context.try_commit(Batch { deletes, ..Batch::default() }).await?.map(|_| contacts))
        })
    }
}

fn not_found(vault: &VaultName) -> Error {
    Error::new(Reason::ContactsNotFound, "Contacts not found")
        .with(Detail::Resource { kind: "contacts", name: vault.to_string() })
}
