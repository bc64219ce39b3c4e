//! Who may grant what: nobody more than he holds and may pass on. One grant of the caller has to cover all of the new
//! one, as with every other request; with two, the names of one would combine with the roles of the other.

use super::grant::{Grant, MayGrant, Scope};
use super::pattern::NamePattern;
use super::rules::Violation;
use crate::domain::{DataAction, Timestamp};
use std::sync::Arc;

/// Whether the holder of these grants may make another one. It may not reach further than one of his with
/// `roleAssignments/write`, nor last longer, and its role has to be in `may_grant` of that one; so have the roles that
/// it lets its own holder grant. `Err(None)`: he may grant nothing in this vault; else what goes too far, by the grant
/// that comes nearest.
pub fn may_make<'a>(
    held: impl IntoIterator<Item = &'a Arc<Grant>>,
    wanted: &Grant,
    now: Timestamp,
) -> Result<(), Option<Violation>> {
    let lasts = |own: &Grant| own.expires.is_none_or(|end| wanted.expires.is_some_and(|expires| expires <= end));
    judge(held, DataAction::RoleAssignmentsWrite, wanted, now, lasts)
}

/// Whether the holder of these grants may take one away: he might have made it, but for how long it lasts.
pub fn may_remove<'a>(
    held: impl IntoIterator<Item = &'a Arc<Grant>>,
    old: &Grant,
    now: Timestamp,
) -> Result<(), Option<Violation>> {
    judge(held, DataAction::RoleAssignmentsDelete, old, now, |_| true)
}

/// Whether the holder of these grants may set or delete roles. A role counts wherever it is granted, for whoever holds
/// it, and what is in it stays: so he has to hold the action for everything and for ever, and may grant every role.
pub fn may_set_roles<'a>(held: impl IntoIterator<Item = &'a Arc<Grant>>, action: DataAction, now: Timestamp) -> bool {
    let everything = Scope::everything();
    held.into_iter().any(|own| {
        own.role.actions.has(action)
            && !own.is_over(now)
            && own.expires.is_none()
            && own.may_grant == MayGrant::Every
            && own.scope.covers(&everything)
    })
}

fn judge<'a>(
    held: impl IntoIterator<Item = &'a Arc<Grant>>,
    action: DataAction,
    other: &Grant,
    now: Timestamp,
    lasts: impl Fn(&Grant) -> bool,
) -> Result<(), Option<Violation>> {
    let mut nearest: Option<(usize, Violation)> = None;
    for own in held.into_iter().filter(|own| own.role.actions.has(action) && !own.is_over(now)) {
        let Some((passed, excess)) = excess(own, other, lasts(own)) else { return Ok(()) };
        // A grant on another vault says nothing about this one.
        if passed > 0 && nearest.as_ref().is_none_or(|(best, _)| passed > *best) {
            nearest = Some((passed, excess));
        }
    }
    Err(nearest.map(|(_, excess)| excess))
}

/// How many members of the other grant lie within this one, and the first that does not.
fn excess(own: &Grant, other: &Grant, lasts: bool) -> Option<(usize, Violation)> {
    let (mine, scope) = (&own.scope, &other.scope);
    let outside =
        |own: &[NamePattern], others: &[NamePattern]| NamePattern::uncovered(own, others).map(ToString::to_string);
    let text = |is_wrong: bool, text: &dyn Fn() -> String| is_wrong.then(text);
    let members: [(&str, Option<String>); 7] = [
        ("vault", text(!mine.vault.covers(&scope.vault), &|| scope.vault.to_string())),
        ("role", text(!own.may_grant.has(other.role.id), &|| format!("the role {}", other.role.name))),
        ("names", outside(&mine.names, &scope.names)),
        ("issuers", outside(&mine.issuers, &scope.issuers)),
        ("rules", text(mine.rules.is_some() && mine.rules != scope.rules, &|| "a grant with other rules".to_owned())),
        (
            "may_grant",
            text(!own.may_grant.covers(&other.may_grant), &|| "the right to grant all of these roles".to_owned()),
        ),
        ("expires", text(!lasts, &|| "anything that lasts longer than they do".to_owned())),
    ];
    let (passed, (member, value)) = members.into_iter().enumerate().find(|(_, (_, value))| value.is_some())?;
    Some((passed, Violation { member, value: value.unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::super::grant::{GrantInput, Source};
    use super::super::role::{Role, RoleSource, Roles};
    use super::super::rules::RulesInput;
    use super::*;
    use uuid::Uuid;

    fn grant(input: GrantInput) -> Arc<Grant> {
        let mut roles = Roles::default();
        let all = vec!["Microsoft.Authorization/*".to_owned()];
        roles.set(Role::custom(Uuid::from_u128(1), "Granter", "", all, RoleSource::File).unwrap()).unwrap();
        Arc::new(Grant::parse(&input, "1".into(), Source::File, &roles).unwrap())
    }

    fn input(role: &str) -> GrantInput {
        let vault = "shop".to_owned();
        GrantInput { principal: "token:a".into(), role: role.into(), vault, ..GrantInput::default() }
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    const OFFICER: &str = "Key Vault Certificates Officer";
    const GRANTER: &str = "Key Vault Data Access Administrator";

    /// The member that goes too far; empty where there is nothing to grant with.
    fn refused(own: &[GrantInput], wanted: GrantInput) -> Option<&'static str> {
        let own: Vec<_> = own.iter().cloned().map(grant).collect();
        match may_make(&own, &grant(wanted), Timestamp(0)) {
            Ok(()) => None,
            Err(excess) => Some(excess.map_or("", |excess| excess.member)),
        }
    }

    #[test]
    fn nobody_grants_more_than_he_may_pass_on() {
        let own = [GrantInput { names: names(&["shop-*"]), ..input(GRANTER) }];
        let within = || GrantInput { names: names(&["shop-1"]), ..input(OFFICER) };
        assert_eq!(refused(&own, within()), None);
        for (member, wanted) in [
            ("", GrantInput { vault: "other".into(), ..within() }),
            ("", GrantInput { vault: "*".into(), ..within() }),
            ("role", GrantInput { role: "certmint Requester".into(), ..within() }),
            ("role", GrantInput { role: GRANTER.into(), ..within() }),
            ("names", GrantInput { names: None, ..within() }),
            ("names", GrantInput { names: names(&["shop-1", "web"]), ..within() }),
            ("may_grant", GrantInput { may_grant: vec!["*".into()], ..within() }),
            ("may_grant", GrantInput { may_grant: vec!["certmint Requester".into()], ..within() }),
        ] {
            assert_eq!(refused(&own, wanted.clone()), Some(member), "{wanted:?}");
        }
        assert_eq!(refused(&own, GrantInput { may_grant: vec![OFFICER.into()], ..within() }), None);
    }

    #[test]
    fn issuers_rules_and_the_end_are_passed_on() {
        let rules = Some(RulesInput { dns: vec!["*.shop.example".into()], ..RulesInput::default() });
        let (issuers, expires) = (names(&["corp"]), Some("2027-01-31T00:00:00Z".to_owned()));
        let own =
            GrantInput { issuers: issuers.clone(), rules: rules.clone(), expires: expires.clone(), ..input(GRANTER) };
        let within = GrantInput { issuers, rules, expires, ..input(OFFICER) };
        let own = std::slice::from_ref(&own);
        assert_eq!(refused(own, within.clone()), None);
        assert_eq!(refused(own, GrantInput { issuers: None, ..within.clone() }), Some("issuers"));
        assert_eq!(refused(own, GrantInput { rules: None, ..within.clone() }), Some("rules"));
        assert_eq!(refused(own, GrantInput { expires: None, ..within.clone() }), Some("expires"));
        let later = Some("2027-01-31T00:00:01Z".to_owned());
        assert_eq!(refused(own, GrantInput { expires: later, ..within }), Some("expires"));
    }

    #[test]
    fn two_grants_do_not_add_up() {
        let one =
            GrantInput { names: names(&["shop-*"]), may_grant: vec!["Key Vault Reader".into()], ..input(GRANTER) };
        let other = GrantInput { may_grant: vec![OFFICER.into()], names: names(&["web"]), ..input(GRANTER) };
        let wanted = GrantInput { names: names(&["shop-1"]), ..input(OFFICER) };
        assert_eq!(refused(&[one, other], wanted), Some("names"));
        // Who may do everything with certificates may grant nothing.
        assert_eq!(refused(&[input("Key Vault Administrator")], input("Key Vault Reader")), Some(""));
    }

    #[test]
    fn what_one_may_make_one_may_take_away_however_long_it_lasts() {
        let own = grant(GrantInput { expires: Some("2027-01-31T00:00:00Z".into()), ..input(GRANTER) });
        let own = std::slice::from_ref(&own);
        assert_eq!(may_remove(own, &grant(input(OFFICER)), Timestamp(0)), Ok(()));
        assert!(may_remove(own, &grant(input(GRANTER)), Timestamp(0)).is_err());
        let end = own[0].expires.unwrap();
        assert_eq!(may_remove(own, &grant(input(OFFICER)), end), Err(None));
    }

    #[test]
    fn roles_are_set_by_who_may_grant_everything_for_ever() {
        let may = |input: GrantInput| may_set_roles([&grant(input)], DataAction::RoleDefinitionsWrite, Timestamp(0));
        let full = || GrantInput { vault: "*".into(), may_grant: vec!["*".into()], ..input("Granter") };
        assert!(may(full()));
        for less in [
            GrantInput { role: GRANTER.into(), ..full() },
            GrantInput { vault: "shop".into(), ..full() },
            GrantInput { names: names(&["web"]), ..full() },
            GrantInput { issuers: names(&["corp"]), ..full() },
            GrantInput { rules: Some(RulesInput::default()), ..full() },
            GrantInput { may_grant: vec![OFFICER.into()], ..full() },
            GrantInput { expires: Some("2027-01-31T00:00:00Z".into()), ..full() },
        ] {
            assert!(!may(less.clone()), "{less:?}");
        }
    }
}
