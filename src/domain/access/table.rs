//! The grants by principal, and the decision. There are only grants that allow, and **one** of them has to allow all of
//! a request: of two, the names of one would combine with the vault of the other.

use super::grant::Grant;
use super::held::{Held, OfOne};
use super::pattern::VaultPattern;
use super::principal::PrincipalName;
use crate::domain::{DataAction, Error, Result, Timestamp, VaultName};
use std::collections::HashMap;
use std::sync::Arc;

/// Most grants of one principal in the file, and as many again in the store: a check looks at all of them.
pub const MAX_OF_PRINCIPAL: usize = 500;
/// Most grants in the file.
pub const MAX_GRANTS: usize = 100_000;

/// Which vault a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VaultAsked<'a> {
    One(&'a VaultName),
    /// Whichever there are; the answer is filtered.
    Any,
    /// All, also those to come.
    Every,
}

/// Which names a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameAsked<'a> {
    One(&'a str),
    /// An issuer that the names of a grant reach; its issuers, which may be asked, do not count.
    Managed(&'a str),
    /// Whichever there are; the answer is filtered.
    Any,
    /// The vault as a whole.
    Every,
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub action: DataAction,
    pub vault: VaultAsked<'a>,
    pub name: NameAsked<'a>,
}

impl<'a> Asked<'a> {
    /// An action on one object, or where there is no name on some of the vault. What concerns a whole vault or all of
    /// them does so whatever is named.
    pub fn of(action: DataAction, vault: &'a VaultName, name: Option<&'a str>) -> Self {
        let vault = match action {
            DataAction::VaultsWrite | DataAction::BackupsMove => VaultAsked::Every,
            _ => VaultAsked::One(vault),
        };
        let name = match name {
            _ if Self::concerns_vault(action) => NameAsked::Every,
            Some(name) => NameAsked::One(name),
            None => NameAsked::Any,
        };
        Self { action, vault, name }
    }

    /// Whether it is about the vault as a whole: its contacts.
    pub fn concerns_vault(action: DataAction) -> bool {
        action == DataAction::ContactsWrite
    }

    fn is_within(&self, grant: &Grant) -> bool {
        let scope = &grant.scope;
        let vault = match self.vault {
            VaultAsked::One(vault) => scope.vault.matches(vault),
            VaultAsked::Any => true,
            VaultAsked::Every => scope.vault == VaultPattern::Every,
        };
        vault
            && match self.name {
                // Who may ask an issuer may read what it is.
                NameAsked::One(name) => {
                    let reads = self.action == DataAction::IssuersRead;
                    let issuers = scope.issuers.iter().filter(|_| reads);
                    scope.names.iter().chain(issuers).any(|pattern| pattern.matches(name))
                }
                NameAsked::Managed(name) => scope.names.iter().any(|pattern| pattern.matches(name)),
                NameAsked::Any => true,
                NameAsked::Every => scope.has_every_name(),
            }
    }
}

/// A grant that allows it now, if there is one.
pub fn decide<'a>(
    held: impl IntoIterator<Item = &'a Arc<Grant>>,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Option<&'a Arc<Grant>> {
    let allows =
        |grant: &&Arc<Grant>| grant.role.actions.has(asked.action) && asked.is_within(grant) && !grant.is_over(now);
    held.into_iter().find(allows)
}

/// All grants, by principal. It is not changed but replaced.
#[derive(Debug, Default)]
pub struct Table {
    principals: HashMap<PrincipalName, OfOne>,
}

impl Table {
    pub fn new(grants: impl IntoIterator<Item = Arc<Grant>>) -> Self {
        let mut by_principal = HashMap::<PrincipalName, Vec<Arc<Grant>>>::new();
        for grant in grants {
            by_principal.entry(grant.principal.clone()).or_default().push(grant);
        }
        let principals = by_principal.into_iter().map(|(principal, grants)| (principal, grants.into()));
        Self { principals: principals.collect() }
    }

    /// The same with other grants of these principals. It costs as much as there are principals, not grants.
    #[must_use]
    pub fn with(&self, changed: impl IntoIterator<Item = (PrincipalName, Vec<Arc<Grant>>)>) -> Self {
        let mut principals = self.principals.clone();
        for (principal, grants) in changed {
            if grants.is_empty() {
                principals.remove(&principal);
            } else {
                principals.insert(principal, grants.into());
            }
        }
        Self { principals }
    }

    /// What somebody with these names holds; `None` if it is nothing.
    pub fn held<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<Held> {
        let mut held = None;
        for grants in names.into_iter().filter_map(|name| self.principals.get(name)) {
            held.get_or_insert_with(Held::default).add(grants);
        }
        held
    }

    /// The grants of one principal.
    pub fn of(&self, principal: &str) -> &[Arc<Grant>] {
        self.principals.get(principal).map(|grants| &**grants).unwrap_or_default()
    }

    /// When the next grant is over.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.grants().filter_map(|grant| grant.expires.filter(|expires| *expires > now)).min()
    }

    /// All grants, in no order.
    pub fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.principals.values().flat_map(|grants| grants.iter())
    }
}

/// Refused where a file has too many grants, altogether or of one principal.
pub(super) fn bounded(grants: &[Arc<Grant>]) -> Result<()> {
    if grants.len() > MAX_GRANTS {
        let count = grants.len();
        return Err(Error::bad_parameter(format!("There are {count} grants, more than {MAX_GRANTS}.")));
    }
    let mut counts = HashMap::<&PrincipalName, usize>::new();
    for grant in grants {
        *counts.entry(&grant.principal).or_default() += 1;
    }
    match counts.into_iter().find(|(_, count)| *count > MAX_OF_PRINCIPAL) {
        Some((principal, count)) => Err(Error::bad_parameter(format!(
            "{principal} has {count} grants, more than {MAX_OF_PRINCIPAL}. A grant takes many names, and a star behind their beginning."
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::{GrantInput, Source};
    use super::super::role::Roles;
    use super::*;

    fn grant(principal: &str, role: &str, vault: &str, names: &[&str]) -> Arc<Grant> {
        let input = GrantInput {
            principal: principal.into(),
            role: role.into(),
            vault: vault.into(),
            names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..GrantInput::default()
        };
        Arc::new(Grant::parse(&input, "1".into(), Source::File, &Roles::default()).unwrap())
    }

    fn vault(name: &str) -> VaultName {
        VaultName::parse(name).unwrap()
    }

    #[test]
    fn one_grant_has_to_allow_all_of_a_request() {
        let table = Table::new([
            grant("token:a", "Key Vault Certificates Officer", "one", &["web-*"]),
            grant("token:a", "Key Vault Certificate User", "two", &["*"]),
            grant("token:b", "Key Vault Administrator", "*", &["*"]),
        ]);
        let may = |principal: &str, action, vault_name: &str, name: &str| {
            let vault = vault(vault_name);
            let asked = Asked { action, vault: VaultAsked::One(&vault), name: NameAsked::One(name) };
            table.held([principal]).is_some_and(|held| decide(held.iter(), &asked, Timestamp(0)).is_some())
        };
        use DataAction as A;
        assert!(may("token:a", A::CertificatesCreate, "one", "WEB-1") && may("token:a", A::SecretsGet, "two", "x"));
        assert!(!may("token:a", A::CertificatesCreate, "two", "web-1"), "the vault of another grant");
        assert!(!may("token:a", A::SecretsGet, "one", "web-1"), "the action of another grant");
        assert!(!may("token:a", A::CertificatesCreate, "one", "web"), "another name");
        assert!(may("token:b", A::CertificatesPurge, "three", "x") && !may("token:c", A::CertificatesRead, "one", "x"));
    }

    #[test]
    fn what_concerns_a_whole_vault_or_all_vaults_needs_a_grant_of_as_much() {
        let wide = grant("token:a", "Key Vault Administrator", "one", &["*"]);
        let narrow = grant("token:a", "Key Vault Administrator", "one", &["web"]);
        let every = grant("token:a", "Key Vault Administrator", "*", &["*"]);
        let one = vault("one");
        let may = |grant: &Arc<Grant>, vault, name| {
            let asked = Asked { action: DataAction::CertificatesRead, vault, name };
            decide(std::slice::from_ref(grant), &asked, Timestamp(0)).is_some()
        };
        let (this, any, all) = (VaultAsked::One(&one), VaultAsked::Any, VaultAsked::Every);
        assert!(may(&wide, this, NameAsked::Every) && !may(&narrow, this, NameAsked::Every));
        assert!(may(&narrow, this, NameAsked::Any) && may(&narrow, any, NameAsked::Any));
        assert!(!may(&wide, all, NameAsked::Any) && may(&every, all, NameAsked::Any));
    }

    #[test]
    fn the_table_knows_when_a_grant_ends_next() {
        let ending = |text: &str| {
            let grant = grant("token:a", "Key Vault Reader", "*", &["*"]);
            Arc::new(Grant { expires: Some(Timestamp(text.parse().unwrap())), ..Grant::clone(&grant) })
        };
        let table = Table::new([ending("10"), ending("30"), ending("20")]);
        assert_eq!(table.next_end(Timestamp(10)), Some(Timestamp(20)));
        assert_eq!(table.next_end(Timestamp(30)), None);
    }

    #[test]
    fn grants_are_bounded() {
        let one = grant("token:a", "Key Vault Reader", "*", &["*"]);
        let mut many = vec![one; MAX_OF_PRINCIPAL];
        assert_eq!(bounded(&many), Ok(()));
        many.push(grant("token:a", "Key Vault Reader", "*", &["*"]));
        assert!(bounded(&many).unwrap_err().message.contains("token:a has 501 grants"));
        assert!(bounded(&vec![many[0].clone(); MAX_GRANTS + 1]).unwrap_err().message.contains("more than 100000"));
    }

    #[test]
    fn a_caller_holds_the_grants_of_all_of_its_names() {
        let one = |principal: &str, vault: &str| grant(principal, "Key Vault Reader", vault, &["*"]);
        let table =
            Table::new([one("token:a", "a"), one("group:c:g", "b"), one("group:c:g", "c"), one("token:b", "d")]);
        let vaults = |names: &[&str]| {
            let held = table.held(names.iter().copied());
            let text = |grant: &Arc<Grant>| grant.scope.vault.to_string();
            held.map(|held| held.iter().map(text).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(vaults(&["token:a", "group:c:g", "group:c:h"]).as_deref(), Some("a b c"));
        assert_eq!(vaults(&["token:x", "group:c:g"]).as_deref(), Some("b c"));
        assert_eq!(vaults(&["token:x"]), None);
        let changed = table.with([
            (one("token:a", "e").principal.clone(), vec![one("token:a", "e")]),
            (one("token:b", "d").principal.clone(), Vec::new()),
        ]);
        assert_eq!(changed.of("token:a").len() + changed.of("group:c:g").len() + changed.of("token:b").len(), 3);
        assert!(changed.held(["token:b"]).is_none() && table.held(["token:b"]).is_some());
    }
}
