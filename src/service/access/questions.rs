//! What callers may know of rights: their own, and those of others as far as they may read grants.

use super::permit::Permit;
use super::refused;
use super::rights::{Mode, Rights};
use super::target::{AllVaults, Target};
use crate::domain::access::{Asked, Grant, Role, decide};
use crate::domain::{CertificateName, DataAction, Result, VaultName};
use crate::service::context::Context;
use crate::service::records::{List, MAX_PAGE};
use std::sync::Arc;

/// Whether a principal may do something.
#[derive(Clone, Debug)]
pub struct AccessQuestion {
    /// `None`: the caller himself.
    pub principal: Option<String>,
    pub action: DataAction,
    pub vault: VaultName,
    /// `None`: whether there is a name that the action is allowed on.
    pub name: Option<CertificateName>,
}

impl Target for AccessQuestion {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }
}

/// Who a caller is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub principal: String,
    /// In the order of their ids.
    pub grants: Vec<Arc<Grant>>,
    pub mode: Mode,
}

/// A page of grants in the order of their ids.
#[derive(Clone, Debug)]
pub struct GrantPage {
    pub grants: Vec<Arc<Grant>>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// Answers questions about rights.
#[derive(Clone)]
pub struct AccessQuestions {
    context: Arc<Context>,
    rights: Arc<Rights>,
}

impl AccessQuestions {
    pub(in crate::service) fn new(context: Arc<Context>, rights: Arc<Rights>) -> Self {
        Self { context, rights }
    }

    /// The caller, and his grants that are not over.
    pub fn who_am_i(&self, caller: &Permit<AllVaults>) -> Identity {
        let principal = caller.caller().principal();
        let now = self.context.now();
        let mut grants: Vec<Arc<Grant>> = self.held(principal);
        grants.retain(|grant| !grant.is_over(now));
        grants.sort_by(|one, other| one.id.cmp(&other.id));
        Identity { principal: principal.to_owned(), grants, mode: self.rights.mode() }
    }

    /// The id of the grant that allows it, if it is allowed; empty where nobody is checked.
    ///
    /// # Errors
    /// `AccessDenied` for a question about another principal where the caller may not read grants.
    pub fn check_access(&self, question: &Permit<AccessQuestion>) -> Result<Option<String>> {
        let caller = question.caller().principal();
        let AccessQuestion { principal, action, vault, name } = &**question;
        if self.rights.mode() == Mode::Open {
            return Ok(Some(String::new()));
        }
        let (principal, now) = (principal.as_deref().unwrap_or(caller), self.context.now());
        let asked = |action| Asked::of(action, vault, name.as_ref().map(CertificateName::as_str));
        let reads = DataAction::RoleAssignmentsRead;
        if principal != caller && decide(&self.held(caller), &asked(reads), now).is_none() {
            return Err(refused::denied(caller, reads, vault));
        }
        if *action == DataAction::AccessSelf {
            return Ok(Some(String::new()));
        }
        Ok(decide(&self.held(principal), &asked(*action), now).map(|grant| grant.id.clone()))
    }

    /// The grants of a principal, or of all where it is empty: the caller's own, and those within a scope in which he
    /// may read grants.
    ///
    /// # Errors
    /// For a page token of another list.
    pub fn grants(&self, caller: &Permit<AllVaults>, principal: &str, size: usize, token: &str) -> Result<GrantPage> {
        let paging = self.context.paging(List::Grants, vec![principal.to_owned()]);
        let after = paging.position(token)?.unwrap_or_default();
        let (name, now) = (caller.caller().principal(), self.context.now());
        let mut reading = self.held(name);
        reading.retain(|own| own.role.actions.has(DataAction::RoleAssignmentsRead) && !own.is_over(now));
        let table = self.rights.table();
        let shown = |grant: &&Arc<Grant>| {
            (principal.is_empty() || grant.principal.as_str() == principal)
                && grant.id > after
                && (grant.principal.as_str() == name || reach(&reading, grant))
        };
        let mut grants: Vec<Arc<Grant>> = table.grants().filter(shown).cloned().collect();
        grants.sort_by(|one, other| one.id.cmp(&other.id));
        let size = size.clamp(1, MAX_PAGE);
        let more = grants.len() > size;
        grants.truncate(size);
        let position = grants.last().filter(|_| more).map(|grant| grant.id.clone());
        Ok(GrantPage { grants, next_page_token: paging.token(position.as_deref()) })
    }

    /// All roles, in the order of their ids.
    pub fn roles(&self, _: &Permit<AllVaults>) -> Vec<Arc<Role>> {
        self.rights.roles().iter().cloned().collect()
    }

    fn held(&self, principal: &str) -> Vec<Arc<Grant>> {
        self.rights.table().of(principal).map(|held| held.to_vec()).unwrap_or_default()
    }
}

/// Whether one of these reaches all that the grant does.
fn reach(reading: &[Arc<Grant>], grant: &Grant) -> bool {
    reading.iter().any(|own| {
        let (scope, other) = (&own.scope, &grant.scope);
        scope.vault.covers(&other.vault)
            && other.names.iter().all(|name| scope.names.iter().any(|own| own.covers(name)))
    })
}
