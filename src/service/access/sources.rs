//! Where the grants and roles in force come from: the configuration, its file, and the store. They are kept apart, so
//! that each can be replaced without the others, and make one table.

use crate::domain::access::{AccessFile, Grant, Made, PrincipalName, Role, Roles, Source, Table};
use crate::domain::{Result, Timestamp};
use crate::service::records::{GrantRecord, RoleRecord};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What is stored of a grant or role, with the bytes that it takes.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    pub(super) bytes: usize,
}

/// The grants and roles of the store.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) grants: BTreeMap<Uuid, Kept<GrantRecord>>,
    pub(super) roles: BTreeMap<Uuid, Kept<RoleRecord>>,
}

/// How much callers have put into the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) grants: usize,
    /// Of all grants.
    pub(super) bytes: usize,
    pub(super) roles: usize,
}

impl Stored {
    pub(super) fn taken(&self) -> Taken {
        let bytes = self.grants.values().map(|record| record.bytes).sum();
        Taken { grants: self.grants.len(), bytes, roles: self.roles.len() }
    }
}

/// What became of one record of the store; `None` where it is gone, or does not verify.
#[derive(Debug)]
pub(super) enum Change {
    Grant(Uuid, Option<Box<Kept<GrantRecord>>>),
    Role(Uuid, Option<Kept<RoleRecord>>),
}

/// The sources of a table.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) administrators: Vec<Arc<Grant>>,
    pub(super) file: AccessFile,
    pub(super) stored: Stored,
}

impl Sources {
    /// The roles that there are with this file and what is stored.
    ///
    /// # Errors
    /// Where roles of the file have the same name.
    pub(super) fn roles(file: &AccessFile, stored: &Stored) -> Result<Roles> {
        let mut roles = Roles::default();
        for role in &file.roles {
            roles.set(role.clone())?;
        }
        for record in stored.roles.values() {
            match role(&record.value) {
                Ok(role) => roles.add_stored(role),
                Err(error) => tracing::error!(id = %record.value.id, %error, "a stored role cannot be used"),
            }
        }
        Ok(roles)
    }

    /// How many grants there are.
    pub(super) fn count(&self) -> usize {
        self.administrators.len() + self.file.grants.len() + self.stored.grants.len()
    }

    /// All grants.
    pub(super) fn table(&self, roles: &Roles) -> Table {
        let stored = self.stored.grants.values().filter_map(|record| grant(&record.value, roles));
        Table::new(self.administrators.iter().chain(&self.file.grants).cloned().chain(stored))
    }

    /// Takes these changes in; what the table is then, and the roles where they changed.
    pub(super) fn change(
        &mut self,
        table: &Table,
        roles: &Roles,
        changes: Vec<Change>,
    ) -> Result<(Table, Option<Roles>)> {
        let mut principals = HashMap::<PrincipalName, Vec<Arc<Grant>>>::new();
        let mut roles_changed = false;
        for change in changes {
            match change {
                Change::Role(id, record) => {
                    roles_changed = true;
                    put(&mut self.stored.roles, id, record);
                }
                Change::Grant(id, record) => {
                    let fresh = record.as_ref().and_then(|record| grant(&record.value, roles));
                    let old = put(&mut self.stored.grants, id, record.map(|record| *record));
                    let old = old.and_then(|old| PrincipalName::parse(&old.value.grant.principal).ok());
                    let text = id.to_string();
                    for principal in old.iter().chain(fresh.as_ref().map(|grant| &grant.principal)) {
                        let of = principals
                            .entry(principal.clone())
                            .or_insert_with_key(|name| table.of(name.as_str()).to_vec());
                        of.retain(|grant| grant.id != text);
                    }
                    if let Some(grant) = fresh {
                        principals.entry(grant.principal.clone()).or_default().push(grant);
                    }
                }
            }
        }
        if roles_changed {
            // All grants are made anew, not only those of the changed roles: roles seldom change.
            let roles = Self::roles(&self.file, &self.stored)?;
            return Ok((self.table(&roles), Some(roles)));
        }
        Ok((table.with(principals), None))
    }
}

fn put<T>(records: &mut BTreeMap<Uuid, T>, id: Uuid, record: Option<T>) -> Option<T> {
    match record {
        Some(record) => records.insert(id, record),
        None => records.remove(&id),
    }
}

/// A grant of the store. One that cannot be read as what it was allows nothing.
pub(super) fn grant(record: &GrantRecord, roles: &Roles) -> Option<Arc<Grant>> {
    let GrantRecord { id, grant, created, created_by } = record;
    let made = Made { at: *created, by: created_by.clone() };
    match Grant::restored(grant, id.to_string(), made, roles) {
        Ok(grant) => Some(Arc::new(grant)),
        Err(error) => {
            tracing::error!(%id, %error, "a stored grant cannot be used: it allows nothing");
            None
        }
    }
}

pub(super) fn role(record: &RoleRecord) -> Result<Role> {
    let RoleRecord { id, name, description, actions, changed, changed_by } = record;
    let made = Made { at: *changed, by: changed_by.clone() };
    Role::restored(*id, name, description, actions.clone(), made)
}

/// What is stored of a grant.
pub(super) fn record_of(id: Uuid, grant: &Grant) -> GrantRecord {
    let (created, created_by) = match &grant.source {
        Source::Store(Made { at, by }) => (*at, by.clone()),
        Source::Configuration | Source::File => (Timestamp(0), String::new()),
    };
    GrantRecord { id, grant: grant.written(), created, created_by }
}
