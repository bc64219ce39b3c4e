//! What callers may know of rights: their own, and those of others as far as they may read grants.

use super::grants::GrantObjects;
use super::permit::Permit;
use super::refused;
use super::rights::Mode;
use super::sees::{Reader, is_within};
use super::target::{AllVaults, Target};
use crate::domain::access::{Asked, Grant, NameAsked, NamePattern, Role, decide};
use crate::domain::{CertificateName, DataAction, Result, VaultName};
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

/// Which grants are asked for.
#[derive(Clone, Debug, Default)]
pub struct GrantFilter {
    /// Of this principal; empty: of all.
    pub principal: String,
    /// What reaches something of these names of a vault; `None`: everything.
    pub within: Option<(VaultName, Vec<NamePattern>)>,
}

impl Target for GrantFilter {
    fn vault(&self) -> Option<&VaultName> {
        self.within.as_ref().map(|(vault, _)| vault)
    }
}

/// A page of grants in the order of their ids.
#[derive(Clone, Debug)]
pub struct GrantPage {
    pub grants: Vec<Arc<Grant>>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl GrantObjects {
    /// The caller, and his grants that are not over.
    pub fn who_am_i(&self, caller: &Permit<AllVaults>) -> Identity {
        let principal = caller.caller().principal();
        let now = self.context.now();
        let held = self.rights.held(caller.caller()).unwrap_or_default();
        let mut grants: Vec<Arc<Grant>> = held.iter().filter(|grant| !grant.is_over(now)).cloned().collect();
        grants.sort_by(|one, other| one.id.cmp(&other.id));
        Identity { principal: principal.to_owned(), grants, mode: self.rights.mode() }
    }

    /// The id of the grant that allows it, if it is allowed; empty where nobody is checked.
    ///
    /// # Errors
    /// `AccessDenied` for a question about another principal where the caller may not read grants.
    pub fn check_access(&self, question: &Permit<AccessQuestion>) -> Result<Option<String>> {
        let AccessQuestion { principal, action, vault, name } = &**question;
        if self.rights.mode() == Mode::Open {
            return Ok(Some(String::new()));
        }
        let (caller, now) = (question.caller(), self.context.now());
        let own = self.rights.held(caller).unwrap_or_default();
        let asked = |action| Asked::of(action, vault, name.as_ref().map(CertificateName::as_str));
        let other = principal.as_deref().filter(|principal| *principal != caller.principal());
        let reads = DataAction::RoleAssignmentsRead;
        // Without a name the answer is about all of the vault.
        let read = match name {
            Some(_) => asked(reads),
            None => Asked { name: NameAsked::Every, ..asked(reads) },
        };
        if other.is_some() && decide(own.iter(), &read, now).is_none() {
            return Err(refused::denied(caller.principal(), reads, vault));
        }
        if *action == DataAction::AccessSelf {
            return Ok(Some(String::new()));
        }
        // The groups of another caller come with its credentials, which are not here.
        let table = self.rights.table();
        let grant = match other {
            Some(other) => decide(table.of(other), &asked(*action), now),
            None => decide(own.iter(), &asked(*action), now),
        };
        let reader = Reader::new(&self.rights, caller, now);
        Ok(grant.map(|grant| if reader.sees(grant) { grant.id.clone() } else { String::new() }))
    }

    /// The grants that the filter names: the caller's own, and those within a scope in which he may read grants.
    ///
    /// # Errors
    /// For a page token of another list.
    pub fn list_grants(&self, wanted: &Permit<GrantFilter>, size: usize, token: &str) -> Result<GrantPage> {
        let GrantFilter { principal, within } = &**wanted;
        let mut scope = vec![principal.clone()];
        if let Some((vault, names)) = within {
            scope.push(vault.to_string());
            scope.extend(names.iter().map(ToString::to_string));
        }
        let paging = self.context.paging(List::Grants, scope);
        let after = paging.position(token)?.unwrap_or_default();
        let reader = Reader::new(&self.rights, wanted.caller(), self.context.now());
        let table = self.rights.table();
        let shown = |grant: &&Arc<Grant>| grant.id > after && reader.sees(grant) && is_within(grant, within.as_ref());
        let size = size.clamp(1, MAX_PAGE);
        // One more says whether there is a next page.
        let mut grants = match principal.as_str() {
            "" => first_by_id(table.grants().filter(shown), size + 1),
            principal => first_by_id(table.of(principal).iter().filter(shown), size + 1),
        };
        let more = grants.len() > size;
        grants.truncate(size);
        let position = grants.last().filter(|_| more).map(|grant| grant.id.clone());
        Ok(GrantPage { grants, next_page_token: paging.token(position.as_deref()) })
    }

    /// All roles, in the order of their ids.
    pub fn roles(&self, _: &Permit<AllVaults>) -> Vec<Arc<Role>> {
        self.rights.roles().iter().cloned().collect()
    }
}

/// The first grants in the order of their ids, up to `most`. What a page does not show is neither copied nor sorted: there
/// may be 200,000.
fn first_by_id<'a>(grants: impl Iterator<Item = &'a Arc<Grant>>, most: usize) -> Vec<Arc<Grant>> {
    let mut first: Vec<&Arc<Grant>> = Vec::new();
    for grant in grants {
        first.push(grant);
        if first.len() >= 2 * most {
            first.select_nth_unstable_by(most, |one, other| one.id.cmp(&other.id));
            first.truncate(most);
        }
    }
    first.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    first.truncate(most);
    first.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::PrincipalName;

    #[test]
    fn a_page_has_the_first_grants_by_their_ids() {
        let grant = |number: usize| {
            let of = Grant::of_administrator(number, PrincipalName::parse("token:a").unwrap());
            Arc::new(Grant { id: format!("{number:04}"), ..of })
        };
        // Every number below 1009 once, in no order.
        let grants: Vec<_> = (1..1009).map(|number| grant(number * 577 % 1009)).collect();
        for most in [1, 2, 26, 1001, 1008, 1009, 5000] {
            let first = first_by_id(grants.iter(), most);
            let ids: Vec<String> = first.iter().map(|grant| grant.id.clone()).collect();
            let expected: Vec<String> = (1..1009).take(most).map(|number| format!("{number:04}")).collect();
            assert_eq!(ids, expected, "{most}");
        }
        assert!(first_by_id([].iter(), 3).is_empty());
        assert!(grants.iter().all(|grant| Arc::strong_count(grant) == 1), "no copy is left");
    }
}
