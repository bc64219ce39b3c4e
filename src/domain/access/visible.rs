//! Which names a caller sees in lists and streams.

use super::grant::Grant;
use super::pattern::{NamePattern, VaultPattern, simplest};
use crate::domain::{DataAction, Timestamp, VaultName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The names of all vaults that some grants show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Visible {
    /// In every vault.
    everywhere: Vec<NamePattern>,
    vaults: BTreeMap<VaultName, Vec<NamePattern>>,
}

impl Visible {
    pub fn everything() -> Self {
        Self { everywhere: vec![NamePattern::every()], vaults: BTreeMap::new() }
    }

    /// These names of one vault.
    pub fn in_vault(vault: VaultName, names: Vec<NamePattern>) -> Self {
        Self { everywhere: Vec::new(), vaults: BTreeMap::from([(vault, simplest(names))]) }
    }

    /// What these grants allow the action on now.
    pub fn of<'a>(held: impl IntoIterator<Item = &'a Arc<Grant>>, action: DataAction, now: Timestamp) -> Self {
        let mut visible = Self::default();
        for grant in held.into_iter().filter(|grant| grant.role.actions.has(action) && !grant.is_over(now)) {
            let patterns = match &grant.scope.vault {
                VaultPattern::Every => &mut visible.everywhere,
                VaultPattern::One(vault) => visible.vaults.entry(vault.clone()).or_default(),
            };
            patterns.extend_from_slice(&grant.scope.names);
            // As the decision on one of them.
            if action == DataAction::IssuersRead {
                patterns.extend_from_slice(&grant.scope.issuers);
            }
        }
        visible.everywhere = simplest(visible.everywhere);
        for patterns in visible.vaults.values_mut() {
            *patterns = simplest(std::mem::take(patterns));
        }
        visible
    }

    pub fn is_everything(&self) -> bool {
        self.everywhere.iter().any(NamePattern::is_every)
    }

    /// Whether every name of the vault is shown.
    pub fn shows_every_name_of(&self, vault: &VaultName) -> bool {
        let of_vault = self.vaults.get(vault).into_iter().flatten();
        self.everywhere.iter().chain(of_vault).any(NamePattern::is_every)
    }

    pub fn shows(&self, vault: &VaultName, name: &str) -> bool {
        let of_vault = self.vaults.get(vault).into_iter().flatten();
        self.everywhere.iter().chain(of_vault).any(|pattern| pattern.matches(name))
    }

    /// The names of one vault, in their order and without overlaps.
    pub fn names_in(&self, vault: &VaultName) -> Vec<NamePattern> {
        let of_vault = self.vaults.get(vault).into_iter().flatten();
        simplest(self.everywhere.iter().chain(of_vault).cloned().collect())
    }

    /// The vaults outside of which nothing is shown; `None` if there may be something in any.
    pub fn vaults(&self) -> Option<impl Iterator<Item = &VaultName>> {
        self.everywhere.is_empty().then(|| self.vaults.keys())
    }

    /// Whether everything that the other one shows is shown here.
    pub fn covers(&self, other: &Self) -> bool {
        let anywhere = |pattern: &NamePattern| self.everywhere.iter().any(|own| own.covers(pattern));
        let all_anywhere = other.everywhere.iter().all(anywhere);
        all_anywhere
            && other.vaults.iter().all(|(vault, patterns)| {
                let own = self.vaults.get(vault).map(Vec::as_slice).unwrap_or_default();
                patterns.iter().all(|pattern| anywhere(pattern) || own.iter().any(|own| own.covers(pattern)))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::{GrantInput, Source};
    use super::super::role::Roles;
    use super::*;

    fn visible(grants: &[(&str, &[&str])]) -> Visible {
        let grant = |(vault, names): &(&str, &[&str])| {
            let input = GrantInput {
                principal: "token:a".into(),
                role: "certmint Watcher".into(),
                vault: (*vault).into(),
                names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
                ..GrantInput::default()
            };
            Arc::new(Grant::parse(&input, "1".into(), Source::File, &Roles::default()).unwrap())
        };
        let held: Vec<_> = grants.iter().map(grant).collect();
        assert_eq!(Visible::of(&held, DataAction::SecretsGet, Timestamp(0)), Visible::default());
        Visible::of(&held, DataAction::CertificatesRead, Timestamp(0))
    }

    fn vault(name: &str) -> VaultName {
        VaultName::parse(name).unwrap()
    }

    #[test]
    fn what_is_shown_is_the_sum_of_the_grants() {
        let visible = visible(&[("*", &["pub-*"]), ("a", &["web", "api-*"]), ("a", &["api-1"])]);
        for (name, shown) in [("pub-1", true), ("web", true), ("API-9", true), ("website", false), ("x", false)] {
            assert_eq!(visible.shows(&vault("a"), name), shown, "{name}");
        }
        assert!(visible.shows(&vault("b"), "pub-1") && !visible.shows(&vault("b"), "web"));
        let names = |of: &str| visible.names_in(&vault(of)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names("a"), ["api-*", "pub-*", "web"]);
        assert_eq!(names("b"), ["pub-*"]);
        assert!(visible.vaults().is_none() && !visible.is_everything());
        assert!(!visible.shows_every_name_of(&vault("a")));
    }

    #[test]
    fn the_vaults_are_known_where_every_grant_names_one() {
        let visible = visible(&[("b", &["*"]), ("a", &["web"])]);
        assert_eq!(visible.vaults().unwrap().map(VaultName::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Visible::everything().vaults().is_none() && Visible::everything().is_everything());
    }

    #[test]
    fn a_view_is_narrower_where_it_lacks_something() {
        let wide = visible(&[("*", &["pub-*"]), ("a", &["*"])]);
        assert!(wide.shows_every_name_of(&vault("a")) && !wide.shows_every_name_of(&vault("b")));
        for narrow in [&[("*", &["pub-1"][..])][..], &[("b", &["pub-*"])], &[("a", &["web", "x*"])], &[]] {
            assert!(wide.covers(&visible(narrow)), "{narrow:?}");
        }
        for other in [&[("*", &["*"][..])][..], &[("b", &["web"])], &[("*", &["pub*"])]] {
            assert!(!wide.covers(&visible(other)), "{other:?}");
        }
        assert!(Visible::everything().covers(&wide) && !wide.covers(&Visible::everything()));
    }
}
